"""How much may who spend, and how much is spent? What is on ``cost.quotas``.

The topic is compacted and has one partition: whoever reads it from its beginning knows all quotas as they stand. Each
record is one JSON object; its key is compact JSON and says what it is about, so a later one replaces it, and one
without a value removes it:

* ``["limit","<quota>"]``: a ``QuotaLimit``, one quota of ``budgets.toml``.
* ``["standing","<quota>",["<value>",...]]``: a ``QuotaStanding``, what one key has spent of it. A key that has spent
  nothing has none.
* ``["clock",<partition>]``: a ``QuotaClock``, about every ten seconds: whoever watches that partition of
  ``cost.rates`` is alive, and what it has not said since has not changed.
"""

from decimal import Decimal
from typing import Annotated, Final, Literal, Self

from pydantic import ConfigDict, Field, RootModel, TypeAdapter, ValidationError, model_validator

from spendgauge.schemas.fields import Total
from spendgauge.schemas.money import picodollars, usd_text
from spendgauge.schemas.wire import WireModel, compact_json

__all__ = [
    "QUOTAS_SCHEMA",
    "Amount",
    "PeriodName",
    "QuotaClock",
    "QuotaKey",
    "QuotaLimit",
    "QuotaLine",
    "QuotaStanding",
    "Unit",
    "amount_of",
    "amount_text",
    "check_key",
    "clock_key",
    "limit_key",
    "read_quota",
    "read_quota_key",
    "standing_key",
]

QUOTAS_SCHEMA: Final = "spendgauge.quotas/1"

Unit = Literal["usd", "tokens"]
"""``tokens``: all of them, each once; reasoning is part of the output."""

PeriodName = Literal["day", "week", "month", "rolling"]

Amount = Annotated[str, Field(pattern=r"^-?[0-9]{1,26}(\.[0-9]{12})?$")]
"""An exact amount: USD with twelve decimals, tokens as a whole number."""

QuotaKey = (
    tuple[Literal["limit"], str] | tuple[Literal["standing"], str, tuple[str, ...]] | tuple[Literal["clock"], int]
)
"""A record's key, read."""

_Name = Annotated[str, Field(min_length=1, max_length=100, description="The quota's name in budgets.toml.")]
_Values = Annotated[tuple[str, ...], Field(max_length=16)]
_Milliseconds = Annotated[int, Field(ge=0, le=2**53)]
_Partition = Annotated[int, Field(ge=0, le=2**31 - 1)]


class _Line(WireModel):
    def line(self) -> bytes:
        """Write it as one line of JSON, without the newline."""
        return self.model_dump_json().encode()


class QuotaLimit(_Line):
    """One quota: who may spend how much, from when to when."""

    kind: Literal["limit"] = Field(description="Tells it from the other lines of this topic.")
    name: _Name
    series: str = Field(min_length=1, description="As in a contribution: dimensions joined by +, or total.")
    key: _Values = Field(
        description="The dimensions' values in the same order; * stands for each value, which then has such a quota by "
        "itself. What is not given has none."
    )
    unit: Unit = Field(description="What is limited: usd, or tokens of all kinds.")
    soft: Amount | None = Field(description="From here on there are warnings; null: never.")
    hard: Amount | None = Field(description="No call may begin that is expected to go beyond; null: none is refused.")
    period: PeriodName = Field(description="By whose calendar it begins anew; rolling: never, the oldest falls out.")
    days: int | None = Field(ge=1, le=366, description="How long a rolling period is; null for the others.")
    time_zone: str = Field(min_length=1, description="Whose midnight a calendar's period begins with.")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        check_key(self.series, self.key)
        _check_unit(self.unit, self.soft, self.hard)
        if self.soft is None and self.hard is None:
            raise ValueError(f"quota {self.name!r} has no limit; give soft, hard or both")
        if (self.days is not None) != (self.period == "rolling"):
            raise ValueError(f"days is {self.days} in a period {self.period!r}; a rolling one has days, no other has")
        return self

    def entry(self) -> tuple[bytes, bytes]:
        """Give the record's key and value."""
        return limit_key(self.name), self.line()


class QuotaStanding(_Line):
    """What one key has spent of one quota."""

    kind: Literal["standing"] = Field(description="As in a limit.")
    name: _Name
    series: str = Field(min_length=1, description="As in the limit.")
    key: _Values = Field(description="The values themselves: no *.")
    unit: Unit = Field(description="As in the limit.")
    spent: Amount = Field(description="In this period so far, as far as it was read.")
    period_start: Total = Field(description="Seconds since 1970 UTC; a rolling period moves on with the clock.")
    resets_at: Total | None = Field(
        description="When the next period begins and nothing is spent, seconds since 1970 UTC; null: rolling."
    )
    as_of_ms: _Milliseconds = Field(
        description="All events that usage.events held at this time are included, milliseconds since 1970 UTC by the "
        "watcher's clock; later ones may be. It stands still while nobody rates events."
    )
    state: Literal["ok", "soft", "hard"] = Field(description="The highest limit that is reached.")
    partition: _Partition = Field(description="Of cost.rates: where this key is; its clock tells how fresh this is.")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        check_key(self.series, self.key)
        _check_unit(self.unit, self.spent)
        return self

    def entry(self) -> tuple[bytes, bytes]:
        """Give the record's key and value."""
        return standing_key(self.name, self.key), self.line()


class QuotaClock(_Line):
    """Up to when all standings of one partition are what they are."""

    kind: Literal["clock"] = Field(description="As in a limit.")
    partition: _Partition = Field(description="Of cost.rates.")
    as_of_ms: _Milliseconds = Field(description="As in a standing; those that were not written since have not changed.")

    def entry(self) -> tuple[bytes, bytes]:
        """Give the record's key and value."""
        return clock_key(self.partition), self.line()


class QuotaLine(RootModel[Annotated[QuotaLimit | QuotaStanding | QuotaClock, Field(discriminator="kind")]]):
    """One value of ``cost.quotas``."""


_KEY: Final[TypeAdapter[QuotaKey]] = TypeAdapter(QuotaKey, config=ConfigDict(strict=True))


def limit_key(name: str) -> bytes:
    """Write the key of a limit."""
    return compact_json(["limit", name]).encode()


def standing_key(name: str, key: tuple[str, ...]) -> bytes:
    """Write the key of a standing."""
    return compact_json(["standing", name, key]).encode()


def clock_key(partition: int) -> bytes:
    """Write the key of a clock."""
    return compact_json(["clock", partition]).encode()


def read_quota_key(key: bytes | None) -> QuotaKey | None:
    """Read a record's key; None for what is none of ours."""
    try:
        return _KEY.validate_json(key or b"")
    except ValidationError:
        return None


def read_quota(value: bytes) -> QuotaLimit | QuotaStanding | QuotaClock | None:
    """Read a record's value; None for what is none of ours."""
    try:
        return QuotaLine.model_validate_json(value).root
    except ValidationError:
        return None


def amount_of(text: str, unit: Unit) -> int:
    """Read an amount: picodollars, or tokens."""
    return picodollars(Decimal(text)) if unit == "usd" else int(text)


def amount_text(amount: int, unit: Unit) -> str:
    """Write picodollars or tokens as an ``Amount``."""
    return usd_text(amount) if unit == "usd" else str(amount)


def check_key(series: str, key: tuple[str, ...]) -> None:
    """Raise ``ValueError`` where a key has not one value for each dimension of its series."""
    dimensions = 0 if series == "total" else series.count("+") + 1
    if len(key) != dimensions:
        raise ValueError(f"key {key} must have {dimensions} values, one for each dimension of {series}")


def _check_unit(unit: Unit, *amounts: str | None) -> None:
    wrong = next((text for text in amounts if text is not None and ("." in text) != (unit == "usd")), None)
    if wrong is not None:
        raise ValueError(f"{wrong} is no amount of {unit}; write USD with twelve decimals, tokens as a whole number")
