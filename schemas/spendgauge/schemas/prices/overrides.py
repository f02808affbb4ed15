"""Which prices are the user's own, and what is wrong with the file that says so?

A TOML file of ``[[price]]`` entries; see ``docs/prices.md`` and the packaged ``data/example-overrides.toml``.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Final, Literal, NoReturn, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from spendgauge.schemas.configuration import fault_of, read_toml
from spendgauge.schemas.errors import PriceFileError
from spendgauge.schemas.prices.catalogue import date_ms
from spendgauge.schemas.prices.supplements import file_version
from spendgauge.schemas.prices.units import MAX_USD_PER_1000, MAX_USD_PER_MTOK

__all__ = ["Overrides", "PriceEntry", "is_pattern", "read_overrides"]


def _decimal(limit: Decimal, decimals: int) -> Callable[[Any], Decimal]:
    def read(value: Any) -> Decimal:
        """Read text or a TOML number (which the parser kept exact)."""
        text = value if isinstance(value, str) else str(value)
        try:
            number = Decimal(text) if not isinstance(value, bool) else Decimal("NaN")
        except ArithmeticError:
            number = Decimal("NaN")
        exponent = number.as_tuple().exponent
        if not isinstance(exponent, int) or not 0 <= number <= limit or -exponent > decimals:
            raise ValueError(
                f'write a decimal number from 0 to {limit} with at most {decimals} decimals, such as "1.25"'
            )
        return number

    return read


_DAY = "write a day from 1970-01-02 on, such as 2026-01-31"
_ADVICE: Final = {
    "model_type": 'write a table such as { input = "1.25", output = "10" }',
    "string_too_short": "write a name, or * for all",
    **dict.fromkeys(("date_type", "date_from_datetime_parsing", "date_from_datetime_inexact"), _DAY),
    **dict.fromkeys(("greater_than_equal", "less_than_equal"), _DAY),
}
"""What to write instead, by pydantic's kind of error; other kinds say it themselves."""

UsdPerMtok = Annotated[Decimal, BeforeValidator(_decimal(MAX_USD_PER_MTOK, 12))]
UsdPer1000 = Annotated[Decimal, BeforeValidator(_decimal(MAX_USD_PER_1000, 9))]
Multiplier = Annotated[Decimal, BeforeValidator(_decimal(Decimal(100), 6))]
Day = Annotated[date, Field(ge=date(1970, 1, 2), le=date(9999, 1, 1))]


class _TokenPrices(BaseModel):
    """USD per million tokens; a leaf that is not named keeps its price."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    input: UsdPerMtok | None = None
    cache_read: UsdPerMtok | None = None
    cache_write_5m: UsdPerMtok | None = None
    cache_write_1h: UsdPerMtok | None = None
    output: UsdPerMtok | None = None
    reasoning: UsdPerMtok | None = None
    input_audio: UsdPerMtok | None = None
    output_audio: UsdPerMtok | None = None


class PriceEntry(BaseModel):
    """One ``[[price]]``: for whom, when, and what it costs."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    provider: Annotated[str, Field(min_length=1)]
    model: Annotated[str, Field(min_length=1)]
    service_tier: Literal["standard", "batch", "flex", "priority"] | None = None
    from_: Annotated[Day | None, Field(alias="from")] = None
    until: Day | None = None
    like: Annotated[str | None, Field(min_length=1)] = None
    usd_per_mtok: _TokenPrices = _TokenPrices()
    usd_per_1000_web_searches: UsdPer1000 | None = None
    usd_per_1000_requests: UsdPer1000 | None = None
    multiplier: Multiplier | None = None

    @cached_property
    def named(self) -> Mapping[str, Decimal]:
        """The prices that this entry states itself."""
        stated = {
            **self.usd_per_mtok.model_dump(),
            "web_search": self.usd_per_1000_web_searches,
            "request": self.usd_per_1000_requests,
        }
        return {name: usd for name, usd in stated.items() if usd is not None}

    @cached_property
    def period_ms(self) -> tuple[int | None, int | None]:
        """[from, until) as milliseconds since 1970 UTC; None is open."""
        return (date_ms(self.from_) if self.from_ else None, date_ms(self.until) if self.until else None)

    def active(self, at_ms: int) -> bool:
        """Whether the entry holds at this time."""
        start, end = self.period_ms
        return (start is None or start <= at_ms) and (end is None or at_ms < end)

    def fits(self, providers: set[str], models: set[str], service_tier: str) -> bool:
        """Whether the entry is for any of these spellings of a provider and a model, in this tier."""
        return (
            self.service_tier in (None, service_tier)
            and any(fnmatchcase(name.lower(), self.provider.lower()) for name in providers)
            and any(fnmatchcase(name.lower(), self.model.lower()) for name in models)
        )

    @model_validator(mode="after")
    def _useful(self) -> Self:
        if self.from_ and self.until and self.from_ >= self.until:
            raise ValueError(f"from {self.from_} must be before until {self.until}, the first day it no longer holds")
        if self.named and self.multiplier is not None:
            raise ValueError("give either prices or a multiplier, not both: multiply the prices yourself")
        if not self.named and self.multiplier is None and self.like is None:
            raise ValueError("say what it costs: usd_per_mtok, usd_per_1000_..., multiplier or like")
        return self


@dataclass(frozen=True)
class Overrides:
    """A price file that was read; ``version`` names it and its content (empty: there is none)."""

    name: str = ""
    version: str = ""
    entries: tuple[PriceEntry, ...] = ()

    def provider_of(self, model: str) -> str | None:
        """Name the provider of the last entry that this model fits, if it is a name and no pattern."""
        named = (entry for entry in reversed(self.entries) if not is_pattern(entry.provider))
        return next((entry.provider for entry in named if fnmatchcase(model.lower(), entry.model.lower())), None)

    def reject(self, entry: PriceEntry, reason: str) -> NoReturn:
        """Raise ``PriceFileError`` about one entry."""
        raise PriceFileError(f"{self.name}, {_who(self.entries.index(entry), entry.model_dump())}: {reason}.")


def is_pattern(name: str) -> bool:
    """Whether this is a pattern rather than a name."""
    return any(mark in name for mark in "*?[")


def read_overrides(path: Path) -> Overrides:
    """Read and check a price file.

    Raises ``PriceFileError`` with one sentence: the file, the entry, the value, and what to do.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise PriceFileError(
            f"the price file {path} cannot be read ({error.strerror}); correct SPENDGAUGE_PRICES or --prices, "
            "or leave it out to use catalogue prices only."
        ) from None
    document = read_toml(content, f"the price file {path}", error=PriceFileError)
    return Overrides(path.name, file_version(path.name, content), _entries(path.name, document))


def _entries(name: str, document: dict[str, Any]) -> tuple[PriceEntry, ...]:
    unknown = next((key for key in document if key != "price"), None)
    if unknown is not None:
        raise PriceFileError(f"{name}: {unknown!r} is not known; a price file holds [[price]] entries only.")
    tables = document.get("price", [])
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise PriceFileError(f"{name}: 'price' must be written as [[price]], in double brackets, once an entry.")
    entries = []
    for index, table in enumerate(tables):
        try:
            entries.append(PriceEntry.model_validate(table))
        except ValidationError as error:
            fault = fault_of(error, PriceEntry, tables={"usd_per_mtok": _TokenPrices}, advice=_ADVICE)
            raise PriceFileError(f"{name}, {_who(index, table)}: {fault}.") from None
    _refuse_hidden(name, entries)
    return tuple(entries)


def _who(index: int, table: Mapping[str, Any]) -> str:
    return f"entry {index + 1} (provider {table.get('provider', '?')}, model {table.get('model', '?')})"


def _refuse_hidden(name: str, entries: list[PriceEntry]) -> None:
    """Refuse an entry that a later one for exactly the same names hides at all times."""
    for index, entry in enumerate(entries):
        for later, other in enumerate(entries[index + 1 :], index + 1):
            if _whom(entry) == _whom(other) and _covers(other.period_ms, entry.period_ms):
                raise PriceFileError(
                    f"{name}, {_who(index, entry.model_dump())}: it can never apply, because entry {later + 1} is for "
                    "the same names, covers its whole time and comes later; give that one a `from`, or remove this one."
                )


def _whom(entry: PriceEntry) -> tuple[str, str, str | None]:
    return entry.provider.lower(), entry.model.lower(), entry.service_tier


def _covers(outer: tuple[int | None, int | None], inner: tuple[int | None, int | None]) -> bool:
    starts = outer[0] is None or (inner[0] is not None and outer[0] <= inner[0])
    ends = outer[1] is None or (inner[1] is not None and inner[1] <= outer[1])
    return starts and ends
