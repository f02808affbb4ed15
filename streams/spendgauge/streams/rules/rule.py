"""What is an alert rule? A name, for whom it holds, its lines, and one function from what was seen to levels.

A rule is one frozen class: its fields are its table in ``rules.toml``, ``judge`` says how high each key stands, ``say``
says it to a person. Everything else (when it is raised, escalated and over, once whoever dies) is the same for all.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Any, ClassVar, Final, Self

import polars as pl
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from spendgauge.schemas.prices.freshness import PriceData
from spendgauge.schemas.wire import compact_json
from spendgauge.streams.rules.standstills import Standstill

__all__ = ["CALM", "LEVELS_SCHEMA", "NEAR", "PAGE", "WARN", "Count", "Line", "Rule", "Seen", "in_words", "level"]

CALM: Final = 0
"""Below 90 % of the lowest line: after some minutes of this an alarm is over."""
NEAR: Final = 1
"""Neither: what is up stays up, what is not is not raised."""
WARN: Final = 2
PAGE: Final = 3

LEVELS_SCHEMA: Final = pl.Schema({"key": pl.String(), "level": pl.Int64()})
"""What a rule's ``judge`` gives, with any columns more that its ``say`` wants. A key that is not there is calm.

Three columns mean something to everybody: ``onset`` (the minute it began in, where that is not the first one over a
line), ``seen_picodollars`` and ``usual_picodollars`` (the alert's amounts)."""

_LARGEST: Final = Decimal(10**9)


def _number(value: Any) -> Decimal | None:
    """Read a TOML number (which the parser kept exact) or text; no line stays none."""
    if value is None:
        return None
    try:
        number = Decimal(str(value)) if not isinstance(value, bool) else Decimal("NaN")
    except ArithmeticError:
        number = Decimal("NaN")
    if not (number.is_finite() and 0 < number <= _LARGEST):
        raise ValueError("write a number above 0, at most a billion, such as 20 or 0.5")
    return number


Line = Annotated[Decimal | None, BeforeValidator(_number)]
Count = Annotated[int, Field(ge=1, le=10**9, strict=True)]


@dataclass(frozen=True)
class Seen:
    """What a rule is shown of a partition at the end of a minute, or now; only keys that it covers."""

    partition: int
    minute: int
    """Since 1970 UTC; the last one of the window."""
    current: bool
    """The clock agrees: nobody is catching up."""
    window: pl.DataFrame
    """The sums of the last ``window_minutes``: ``key``, ``requests``, ``errors``, ``unpriced``, ``tokens`` and
    ``cost_picodollars``."""
    stretches: pl.DataFrame
    """``key``, and the ``first`` and ``last`` minute in which it came without a longer silence than
    ``gap_minutes``."""
    prices: PriceData | None
    """What is known of the price data; None: nothing."""
    standstills: Sequence[Standstill] = ()
    """The partitions of ``usage.events`` in which records wait and none is rated; of a rule that goes by the clock."""


class Rule(BaseModel):
    """One ``[[rule]]``; a kind of rule is a class that derives from this."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)

    kind: ClassVar[str]
    """How ``rules.toml`` names it."""
    deployment_wide: ClassVar[bool] = False
    """Whether it is about the deployment as a whole, so that it has no key, and one of its kind is enough."""

    name: Annotated[str, Field(min_length=1, max_length=100)]
    enabled: Annotated[bool, Field(strict=True)] = True
    series: Annotated[str, Field(min_length=1)] = "total"
    key: tuple[str, ...] | None = None
    """The values of the series' dimensions; ``*``: each by itself. Left out: each of all."""
    warn: Line = None
    page: Line = None
    for_minutes: Annotated[int, Field(ge=1, le=60, strict=True)] = 1
    """So many minutes in a row it must be over a line to be raised."""
    resolve_minutes: Annotated[int, Field(ge=1, le=1440, strict=True)] = 5
    """So many minutes in a row it must be below 90 % of its lowest line to be over."""
    cooldown_minutes: Annotated[int, Field(ge=0, le=10_080, strict=True)] = 30
    """So long after that only something more severe is raised."""

    @property
    def by_clock(self) -> bool:
        """Whether it is judged every second by the clock, and not at the end of each minute of events."""
        return False

    @property
    def window_minutes(self) -> int:
        """How many minutes ``Seen.window`` sums up; 0: it wants none."""
        return 0

    @property
    def gap_minutes(self) -> int:
        """How long a silence ends a stretch in ``Seen.stretches``; 0: it wants none."""
        return 0

    @property
    def again_minutes(self) -> int:
        """How long after an onset ``judge`` may find it again; 0: never, for it is when it was seen."""
        return 0

    def judge(self, seen: Seen) -> pl.DataFrame:
        """Say how high keys stand: ``LEVELS_SCHEMA``."""
        raise NotImplementedError

    def say(self, who: str, row: Mapping[str, Any]) -> str:
        """Say in a sentence what a row of ``judge`` is about that is over a line."""
        raise NotImplementedError

    def over(self, who: str) -> str:
        """Say in a sentence that it is over."""
        return f"{who}: below 90 % of its lowest line for {in_words(self.resolve_minutes)}."

    @property
    def lines(self) -> tuple[int | None, int | None]:
        """From which value on it warns and pages, in whole units."""
        warn, page = (None if line is None else int(line * 10**self.places) for line in (self.warn, self.page))
        return warn, page

    def crossed(self, row: Mapping[str, Any]) -> Decimal | None:
        """Say which line a row of ``judge`` is over."""
        return self.page if row["level"] == PAGE or self.warn is None else self.warn

    @property
    def places(self) -> int:
        """How many places behind the point its lines may have; ``lines`` are whole numbers of that unit."""
        return 0

    @property
    def pattern(self) -> tuple[str, ...]:
        """The key, with ``*`` for each dimension where none is given."""
        dimensions = 0 if self.series == "total" else self.series.count("+") + 1
        return ("*",) * dimensions if self.key is None else self.key

    @property
    def looks(self) -> bool:
        """Whether it looks at what keys did."""
        return self.window_minutes > 0 or self.gap_minutes > 0

    def concerned(self) -> pl.Expr:
        """Whether a row with ``series`` and ``key`` may be of this rule's keys."""
        return (pl.col("series") == self.series) & (pl.lit(value=True) if "*" in self.pattern else self._matches())

    def covered(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Keep the rows of this rule's keys, all rows being of its series; what is not given (empty) is left out."""
        return frame if not self.pattern or frame.is_empty() else frame.filter(self._matches())

    def _matches(self) -> pl.Expr:
        key = pl.col("key")
        if "*" not in self.pattern:
            return key == compact_json(self.pattern)
        values = key.str.json_decode(pl.List(pl.String))
        named = [values.list.get(place) == value for place, value in enumerate(self.pattern) if value != "*"]
        return pl.all_horizontal(~key.str.contains(r'(^\[|,)""(,|\]$)'), *named)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.deployment_wide and self.series != "total":
            raise ValueError(
                f"series = {self.series!r} means nothing to a rule about the whole deployment; leave it out"
            )
        dimensions = [] if self.series == "total" else self.series.split("+")
        if self.key is not None and len(self.key) != len(dimensions):
            raise ValueError(f"key {list(self.key)} must have a value (or *) for each of {dimensions}")
        given = [line for line in (self.warn, self.page) if line is not None]
        if not given:
            raise ValueError("it has no line, so it would never fire; give it warn, page or both")
        fine = next((line for line in given if line != round(line, self.places)), None)
        if fine is not None:
            raise ValueError(f"the line {fine} has more than {self.places} places behind the point; round it")
        if given != sorted(given):
            raise ValueError(f"page = {self.page} is below warn = {self.warn}; a page is for what is worse")
        return self


def in_words(minutes: int) -> str:
    """Say a number of minutes."""
    return "1 minute" if minutes == 1 else f"{minutes:,} minutes"


def level(value: pl.Expr, *, warn: pl.Expr | int | None, page: pl.Expr | int | None) -> pl.Expr:
    """Say at which level a value stands, as a column of that name."""
    lowest = page if warn is None else warn
    if lowest is None:
        raise AssertionError("a rule without a line was let in")
    near = pl.when(value >= lowest - lowest // 10).then(NEAR).otherwise(CALM)
    warned = near if warn is None else pl.when(value >= warn).then(WARN).otherwise(near)
    paged = warned if page is None else pl.when(value >= page).then(PAGE).otherwise(warned)
    return paged.cast(pl.Int64).alias("level")
