"""Who may spend how much before calls are refused? One ``[[quota]]``, and what is said of it to those who call."""

from decimal import Decimal
from typing import Any, Final, Literal, Self

from pydantic import ValidationInfo, field_validator, model_validator

from spendgauge.schemas.money import picodollars
from spendgauge.schemas.quotas import QuotaLimit, QuotaStanding, amount_text
from spendgauge.streams.budgets.scope import Scope, exact_amount
from spendgauge.streams.ledger import AccountKey, Amounts

__all__ = ["Quota"]

_MOST: Final = {"usd": Decimal(10**9), "tokens": Decimal(10**15)}
_PLACES: Final = {"usd": 12, "tokens": 0}
_ADVICE: Final = {
    "usd": 'write an amount in USD above 0, at most a billion, such as "500" or "0.25"',
    "tokens": "write a whole number of tokens above 0, such as 2_000_000",
}


class Quota(Scope):
    """One ``[[quota]]``: for whom, from where on a warning, from where on a refusal, and from when to when."""

    unit: Literal["usd", "tokens"] = "usd"
    soft: Decimal | None = None
    """From here on there are warnings; in the unit."""
    hard: Decimal | None = None
    """No call may begin that is expected to go beyond; in the unit."""

    @field_validator("soft", "hard", mode="before")
    @classmethod
    def _amount(cls, value: Any, info: ValidationInfo) -> Decimal:
        unit = info.data.get("unit", "usd")
        amount = exact_amount(value, most=_MOST[unit], places=_PLACES[unit])
        if amount is None:
            raise ValueError(_ADVICE[unit])
        return amount

    @model_validator(mode="after")
    def _limited(self) -> Self:
        if self.soft is None and self.hard is None:
            raise ValueError("it limits nothing; give soft, hard or both")
        if self.soft is not None and self.hard is not None and self.soft > self.hard:
            raise ValueError(f"soft {self.soft} is above hard {self.hard}; warn before you refuse")
        return self

    @property
    def limit(self) -> QuotaLimit:
        """What is said of it."""
        return QuotaLimit(
            kind="limit",
            name=self.name,
            series=self.series,
            key=self.key,
            unit=self.unit,
            soft=self._text(self.soft),
            hard=self._text(self.hard),
            period=self.period,
            days=self.rolling_days if self.period == "rolling" else None,
            time_zone=self.time_zone,
        )

    def standing(
        self, key: AccountKey, spent: Amounts, *, period: tuple[int, int], as_of_ms: int, partition: int
    ) -> QuotaStanding:
        """Say what a key has spent of it; ``as_of_ms``: all that was sent by then is in it."""
        amount = self.amount(spent)
        return QuotaStanding(
            kind="standing",
            name=self.name,
            series=self.series,
            key=key[1],
            unit=self.unit,
            spent=amount_text(amount, self.unit),
            period_start=period[0],
            resets_at=None if self.period == "rolling" else period[1],
            as_of_ms=as_of_ms,
            state=self._state(amount),
            partition=partition,
        )

    def amount(self, spent: Amounts) -> int:
        """Say how much that is in its unit: picodollars, or tokens."""
        return spent.cost if self.unit == "usd" else spent.tokens

    def _state(self, amount: int) -> Literal["ok", "soft", "hard"]:
        if self.hard is not None and amount >= self._whole(self.hard):
            return "hard"
        return "soft" if self.soft is not None and amount >= self._whole(self.soft) else "ok"

    def _whole(self, amount: Decimal) -> int:
        return picodollars(amount) if self.unit == "usd" else int(amount)

    def _text(self, amount: Decimal | None) -> str | None:
        return None if amount is None else amount_text(self._whole(amount), self.unit)
