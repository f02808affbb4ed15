"""Whose spending counts, and from when to when? What a budget and a quota have in common in ``budgets.toml``."""

import re
from collections.abc import Sequence
from decimal import Decimal
from functools import cached_property
from typing import Annotated, Any, Final, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from spendgauge.schemas.events import DIMENSIONS
from spendgauge.schemas.fields import TimeZone
from spendgauge.streams.budgets.periods import Periods
from spendgauge.streams.judging.series import remark_on
from spendgauge.streams.ledger.account import AccountKey
from spendgauge.streams.ledger.patterns import Patterns

__all__ = ["Scope", "UsdAmount", "exact_amount"]

_NUMBER: Final = re.compile(r"[0-9.eE+-]+")
_MOST_USD: Final = Decimal(10**9)
_WEEKDAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_KEYED: Final = ("provider", "model", *DIMENSIONS)


def exact_amount(value: Any, *, most: Decimal, places: int) -> Decimal | None:
    """Read text or a TOML number (which the parser kept exact); None: it is no amount above 0, up to ``most``."""
    if isinstance(value, bool) or not _NUMBER.fullmatch(str(value)):
        return None
    try:
        amount = Decimal(str(value))
    except ArithmeticError:
        return None
    fits = amount.is_finite() and 0 < amount <= most and amount == round(amount, places)
    return amount if fits else None


def _usd(value: Any) -> Decimal:
    amount = exact_amount(value, most=_MOST_USD, places=12)
    if amount is None:
        raise ValueError('write an amount in USD above 0, at most a billion, such as "500" or "0.25"')
    return amount


def _name(value: str) -> str:
    if not value.isprintable():
        raise ValueError("write a name without line breaks, tabs and other characters that cannot be seen")
    return value


def _day(value: Any) -> Any:
    if value is not None and type(value) not in {int, str}:
        raise ValueError("a month begins with a day from 1 to 31, a week with one from monday to sunday")
    return value


UsdAmount = Annotated[Decimal, BeforeValidator(_usd)]


class Scope(BaseModel):
    """For whom, and from when to when."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, Field(min_length=1, max_length=100), AfterValidator(_name)]
    series: Annotated[str, Field(min_length=1)] = "total"
    key: tuple[str, ...] = ()
    """The values of the series' dimensions; ``*`` stands for each: every user, team or feature by itself."""
    period: Literal["day", "week", "month", "rolling"] = "month"
    days: Annotated[int, Field(ge=1, le=366, strict=True)] | None = None
    """Of a rolling period."""
    begins: Annotated[int | str | None, BeforeValidator(_day)] = None
    """The day that a month (1 to 31) or a week (monday to sunday) begins with."""
    time_zone: TimeZone = "UTC"

    @cached_property
    def periods(self) -> Periods:
        """Its calendar."""
        anchor = _WEEKDAYS.index(self.begins) + 1 if isinstance(self.begins, str) else self.begins or 1
        return Periods(self.period, ZoneInfo(self.time_zone), anchor=anchor, days=self.rolling_days)

    @property
    def rolling_days(self) -> int:
        """How long it is if it is rolling."""
        return self.days or 30

    @property
    def pattern(self) -> AccountKey:
        """The keys that it is for."""
        return self.series, self.key

    @cached_property
    def _pattern(self) -> Patterns[None]:
        return Patterns([(self.pattern, None)])

    @property
    def remark(self) -> str | None:
        """What may be wrong with it and cannot be known here; None: nothing is."""
        return remark_on(self.series)

    def covers(self, series: str, key: Sequence[str]) -> bool:
        """Whether this key of this series has such a one; what is not given (empty) has none of its own."""
        return bool(self._pattern.of((series, tuple(key))))

    @model_validator(mode="after")
    def _placed(self) -> Self:
        dimensions = [] if self.series == "total" else self.series.split("+")
        unknown = next((name for name in dimensions if name not in _KEYED), None)
        if unknown is not None:
            raise ValueError(f"series {self.series!r} has {unknown!r}; use total or any of {', '.join(_KEYED)}")
        if len(self.key) != len(dimensions):
            raise ValueError(f"key {list(self.key)} must have a value (or *) for each of {dimensions}")
        if "" in self.key:
            raise ValueError(f"key {list(self.key)} has an empty value; what is not given has no budget or quota")
        remark_on(self.series)
        if self.days is not None and self.period != "rolling":
            raise ValueError(f"days is for a rolling period only; a {self.period} has the days that it has")
        _check_beginning(self.period, self.begins)
        return self


def _check_beginning(period: str, begins: int | str | None) -> None:
    if begins is None:
        return
    if period == "month" and isinstance(begins, int) and 1 <= begins <= 31:
        return
    if period == "week" and begins in _WEEKDAYS:
        return
    raise ValueError(
        f"begins = {begins!r} is no day that a {period} begins with; a month's is 1 to 31, a week's monday"
    )
