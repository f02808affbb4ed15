"""Who may spend how much? ``budgets.toml``, read and checked: each error is a sentence that names the budget."""

import tomllib
from collections.abc import Mapping, Sequence
from decimal import Decimal
from functools import cached_property
from typing import Annotated, Any, Final, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import ErrorDetails

from spendgauge.schemas.errors import ConfigurationError
from spendgauge.schemas.events import DIMENSIONS
from spendgauge.schemas.money import picodollars
from spendgauge.streams.budgets.periods import Periods

__all__ = ["Budget", "parse_budgets"]

_MOST_USD: Final = Decimal(10**9)
_WEEKDAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_KEYED: Final = ("provider", "model", *DIMENSIONS)


def _usd(value: Any) -> Decimal:
    """Read text or a TOML number (which the parser kept exact)."""
    try:
        amount = Decimal(str(value)) if not isinstance(value, bool) else Decimal("NaN")
    except ArithmeticError:
        amount = Decimal("NaN")
    if not (amount.is_finite() and 0 < amount <= _MOST_USD) or amount != round(amount, 12):
        raise ValueError('write an amount in USD above 0, at most a billion, such as "500" or "0.25"')
    return amount


def _zone(value: Any) -> str:
    try:
        ZoneInfo(value)
    except (ValueError, OSError, TypeError, ZoneInfoNotFoundError):
        raise ValueError("write the name of a time zone, such as Europe/Zurich or UTC") from None
    return str(value)


class Budget(BaseModel):
    """One ``[[budget]]``: for whom, how much, and from when to when."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, Field(min_length=1, max_length=100)]
    series: Annotated[str, Field(min_length=1)] = "total"
    key: tuple[str, ...] = ()
    """The values of the series' dimensions; ``*`` stands for each: every user, team or feature by itself."""
    usd: Annotated[Decimal, BeforeValidator(_usd)]
    period: Literal["day", "week", "month", "rolling"] = "month"
    days: Annotated[int, Field(ge=1, le=366, strict=True)] | None = None
    """Of a rolling period."""
    begins: int | str | None = None
    """The day that a month (1 to 31) or a week (monday to sunday) begins with."""
    time_zone: Annotated[str, BeforeValidator(_zone)] = "UTC"
    lines: tuple[Annotated[int, Field(ge=1, le=1000, strict=True)], ...] = (50, 80, 100)
    """Per cent of the budget at which something is said."""

    @cached_property
    def amount(self) -> int:
        """Picodollars."""
        return picodollars(self.usd)

    @cached_property
    def periods(self) -> Periods:
        """Its calendar."""
        anchor = _WEEKDAYS.index(self.begins) + 1 if isinstance(self.begins, str) else self.begins or 1
        return Periods(self.period, ZoneInfo(self.time_zone), anchor=anchor, days=self.days or 30)

    def covers(self, series: str, key: Sequence[str]) -> bool:
        """Whether this key of this series has such a budget; what is not given (empty) has none of its own."""
        if series != self.series or len(key) != len(self.key):
            return False
        return all(ours == theirs or (ours == "*" and theirs) for ours, theirs in zip(self.key, key, strict=True))

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        dimensions = [] if self.series == "total" else self.series.split("+")
        unknown = next((name for name in dimensions if name not in _KEYED), None)
        if unknown is not None:
            raise ValueError(f"series {self.series!r} has {unknown!r}; use total or any of {', '.join(_KEYED)}")
        if len(self.key) != len(dimensions):
            raise ValueError(f"key {list(self.key)} must have a value (or *) for each of {dimensions}")
        if self.days is not None and self.period != "rolling":
            raise ValueError(f"days is for a rolling period only; a {self.period} has the days that it has")
        _check_beginning(self.period, self.begins)
        if list(self.lines) != sorted(set(self.lines)):
            raise ValueError(f"lines {list(self.lines)} must rise, each once, such as [50, 80, 100]")
        return self


def parse_budgets(text: str, *, name: str = "budgets.toml") -> tuple[Budget, ...]:
    """Read a file's content.

    Raises ``ConfigurationError`` with one sentence: the file, the budget, the value, and what to do.
    """
    try:
        document = tomllib.loads(text, parse_float=Decimal)
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{name} is not valid TOML: {error}; correct it there.") from None
    unknown = next((key for key in document if key != "budget"), None)
    tables = document.get("budget", [])
    if unknown is not None or not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise ConfigurationError(f"{name}: {unknown or 'budget'!r} must be written as [[budget]], once a budget.")
    budgets = tuple(_read(name, index, table) for index, table in enumerate(tables))
    names = [budget.name for budget in budgets]
    twice = next((one for one in names if names.count(one) > 1), None)
    if twice is not None:
        raise ConfigurationError(f"{name}, budget {twice!r}: the name is given twice; an alert says it, so say which.")
    return budgets


def _check_beginning(period: str, begins: int | str | None) -> None:
    if begins is None:
        return
    if period == "month" and isinstance(begins, int) and not isinstance(begins, bool) and 1 <= begins <= 31:
        return
    if period == "week" and begins in _WEEKDAYS:
        return
    raise ValueError(
        f"begins = {begins!r} is no day that a {period} begins with; a month's is 1 to 31, a week's monday"
    )


def _read(name: str, index: int, table: Mapping[str, Any]) -> Budget:
    try:
        return Budget.model_validate(table)
    except ValidationError as error:
        who = repr(table["name"]) if isinstance(table.get("name"), str) else f"number {index + 1}"
        raise ConfigurationError(f"{name}, budget {who}: {_fault(error.errors()[0])}.") from None


def _fault(error: ErrorDetails) -> str:
    where = ".".join(str(part) for part in error["loc"])
    if error["type"] == "missing":
        return f"{where} is missing; add it"
    if error["type"] == "extra_forbidden":
        return f"{where} is not known; the fields are {', '.join(Budget.model_fields)}"
    reason = error["msg"].removeprefix("Value error, ")
    return f"{where} = {str(error['input'])!r} cannot be used: {reason}" if where else reason
