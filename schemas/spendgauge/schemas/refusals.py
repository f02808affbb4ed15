"""Which calls did a quota stop? What is on ``cost.refusals``.

One line for each call that was refused or, where that was chosen, let pass with a warning. Written by those who
refuse, services and gateways; what they could not send is counted there and lost here.
"""

from typing import Annotated, Final, Literal, Self

from pydantic import Field, model_validator

from spendgauge.schemas.fields import EventId, Milliseconds, Total
from spendgauge.schemas.quotas import Amount, Unit, check_key
from spendgauge.schemas.wire import WireModel

__all__ = ["REFUSALS_SCHEMA", "QuotaRefusal"]

REFUSALS_SCHEMA: Final = "spendgauge.refusals/1"

_Values = Annotated[tuple[str, ...], Field(max_length=16)]


class QuotaRefusal(WireModel):
    """One call that a quota refused, or let pass with a warning.

    Where the reason is ``unknown``, no quota was looked at: its name is empty, the series ``total``, the limit null.
    """

    refusal_id: EventId = Field(description="A UUID; the same line may come twice.")
    refused_at: Milliseconds = Field(description="When it was decided, on the clock of whoever did, UTC.")
    action: Literal["refused", "warned"] = Field(description="warned: the call was made all the same.")
    reason: Literal["hard", "soft", "unknown"] = Field(
        description="Which limit it would have gone beyond; unknown: nobody knew what is spent, and that is refused."
    )
    quota: str = Field(max_length=100, description="The quota's name in budgets.toml.")
    series: str = Field(min_length=1, description="As in a contribution.")
    key: _Values = Field(description="As in a contribution: whose quota it is.")
    unit: Unit = Field(description="What is limited.")
    limit: Amount | None = Field(description="The limit that was reached.")
    spent: Amount = Field(description="What was known to be spent in the period.")
    reserved: Amount = Field(description="What this process held for calls of its own that were not yet in spent.")
    estimate: Amount = Field(description="What the call was expected to cost.")
    resets_at: Total | None = Field(
        description="When the next period begins, seconds since 1970 UTC; null: rolling, or nothing was spent yet."
    )
    source: str = Field(min_length=1, max_length=256, description="Who refused: service@host#boot.")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        check_key(self.series, self.key)
        return self
