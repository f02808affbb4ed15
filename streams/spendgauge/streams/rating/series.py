"""How do rated events become totals by series, key and pane?

Group-bys cost by the row and by the call, so rows are grouped once by all ordinary dimensions together; each ordinary
series is derived from many such small frames at once. Dimensions with many values (users, sessions, keys, entities)
would make the joint frame as large as the events, so series that use one are grouped from the events.

All sums are integers: tokens in 64 bits (a block of at most 2**20 records of 1 MiB holds less than 9e18 tokens),
money in 128 bits.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import Final

import polars as pl

from spendgauge.schemas.errors import ConfigurationError
from spendgauge.schemas.events import DIMENSIONS
from spendgauge.schemas.rates import DEFAULT_SERIES, MEASURES, SeriesSpec
from spendgauge.streams.rating.panes import pane_start

__all__ = ["KEYS", "TOTALS_SCHEMA", "SeriesPlan", "merge", "parse_series"]

KEYS: Final = ("series", "key", "pane_start")
"""What identifies a total: the series' number in the plan, its key as a JSON list, the pane's start in seconds."""

TOTALS_SCHEMA: Final = pl.Schema(
    {"series": pl.UInt16, "key": pl.String, "pane_start": pl.Int64}
    | dict.fromkeys(MEASURES[:-1], pl.Int64)
    | {MEASURES[-1]: pl.Int128, "dirty": pl.Boolean}
)
"""``dirty``: something in this total is not yet acknowledged by the broker."""

_GROUPABLE: Final = ("provider", "model", "request_model", "operation", "service_tier", "status", *DIMENSIONS)
_MANY_VALUED: Final = frozenset({"user_id", "session_id", "api_key_id", "entity_id"})
_IS_USAGE: Final = pl.col("kind") == "usage"

_MEASURED: Final = (
    _IS_USAGE.cast(pl.Int64).alias("requests"),
    (_IS_USAGE & (pl.col("status") == "error")).cast(pl.Int64).alias("errors"),
    pl.col("cost_picodollars").is_null().cast(pl.Int64).alias("unpriced"),
    *MEASURES[3:-1],
    pl.col("cost_picodollars").fill_null(0).cast(pl.Int128),
)
_MERGED: Final = (*(pl.col(name).sum() for name in MEASURES), pl.col("dirty").any())


def merge(totals: Iterable[pl.DataFrame]) -> pl.DataFrame:
    """Add totals of the same series, key and pane."""
    return pl.concat(totals).group_by(KEYS).agg(_MERGED)


def parse_series(text: str) -> tuple[SeriesSpec, ...]:
    """Read ``total:10,feature+model:10,user_id:60``; an empty text gives the default series.

    Raises ``ConfigurationError`` for a dimension that events do not have, a bad length or a series given twice.
    """
    if not text.strip():
        return DEFAULT_SERIES
    specs = tuple(_parse_one(part.strip()) for part in text.split(","))
    names = [spec.name for spec in specs]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice:
        raise ConfigurationError(f"the series {twice} is given twice; a series has one pane length")
    return specs


def _parse_one(text: str) -> SeriesSpec:
    name, _, seconds = text.partition(":")
    if not (seconds.isascii() and seconds.isdigit() and 1 <= int(seconds) <= 86_400):
        raise ConfigurationError(f"the series {text!r} must end in its pane's seconds, 1 to 86400, as in feature:10")
    dimensions = () if name == "total" else tuple(name.split("+"))
    unknown = next((d for d in dimensions if d not in _GROUPABLE), None)
    if unknown is not None:
        raise ConfigurationError(
            f"{unknown!r} in the series {name!r} is no dimension of an event; "
            f"use total or any of {', '.join(_GROUPABLE)}"
        )
    return SeriesSpec(dimensions, int(seconds))


@dataclass(frozen=True)
class SeriesPlan:
    """Which series there are, and how they are computed from events."""

    specs: tuple[SeriesSpec, ...] = DEFAULT_SERIES

    @cached_property
    def _dimensions(self) -> tuple[str, ...]:
        return tuple(sorted(set(chain.from_iterable(spec.dimensions for spec in self.specs))))

    @cached_property
    def _pane_lengths(self) -> tuple[int, ...]:
        return tuple(sorted({spec.pane_seconds for spec in self.specs}))

    @cached_property
    def _ordinary_dimensions(self) -> tuple[str, ...]:
        return tuple(d for d in self._dimensions if d not in _MANY_VALUED)

    @cached_property
    def _ordinary_panes(self) -> tuple[str, ...]:
        panes = (f"pane_{spec.pane_seconds}" for spec in self.specs if not _is_many_valued(spec))
        return tuple(dict.fromkeys(panes)) or (f"pane_{self._pane_lengths[0]}",)

    def rows(self, priced: pl.DataFrame, *, acknowledged: int) -> pl.DataFrame:
        """Keep what the totals need of priced events: dimensions, panes, measures, and whether an event is new.

        ``acknowledged``: contributions with the events below this offset are on ``cost.rates`` already.
        """
        return priced.select(
            *self._dimensions,
            *(pane_start(seconds).alias(f"pane_{seconds}") for seconds in self._pane_lengths),
            *_MEASURED,
            (pl.col("offset") >= acknowledged).alias("dirty"),
        )

    def joint(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Sum rows by all ordinary dimensions and panes together.

        The result is small, and keeps nothing of the rows in memory: its texts are its own.
        """
        summed = rows.group_by(*self._ordinary_dimensions, *self._ordinary_panes).agg(_MERGED)
        return summed.with_columns(pl.col(name) + pl.lit("") for name in self._ordinary_dimensions)

    def ordinary_totals(self, joints: Iterable[pl.DataFrame]) -> pl.DataFrame:
        """Derive the totals of the ordinary series from ``joint`` frames, at least one."""
        joint = pl.concat(joints)
        return self._totals(joint, [n for n, spec in enumerate(self.specs) if not _is_many_valued(spec)])

    def many_valued_totals(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Sum rows by the series that have too many keys to be derived from others."""
        return self._totals(rows, [n for n, spec in enumerate(self.specs) if _is_many_valued(spec)])

    def _totals(self, frame: pl.DataFrame, numbers: list[int]) -> pl.DataFrame:
        """Sum by series, key and pane; the result has ``TOTALS_SCHEMA``, in no particular order."""
        return pl.concat([TOTALS_SCHEMA.to_frame(), *(self._series(frame, number) for number in numbers)])

    def _series(self, frame: pl.DataFrame, number: int) -> pl.DataFrame:
        spec = self.specs[number]
        pane = f"pane_{spec.pane_seconds}"
        return (
            frame.group_by(*spec.dimensions, pane)
            .agg(_MERGED)
            .select(
                pl.lit(number, pl.UInt16).alias("series"),
                _key(spec.dimensions),
                pl.col(pane).alias("pane_start"),
                *MEASURES,
                "dirty",
            )
        )


def _is_many_valued(spec: SeriesSpec) -> bool:
    return not _MANY_VALUED.isdisjoint(spec.dimensions)


def _key(dimensions: tuple[str, ...]) -> pl.Expr:
    if not dimensions:
        return pl.lit("[]").alias("key")
    listed = pl.struct(pl.concat_list(dimensions).alias("key")).struct.json_encode()
    return listed.str.strip_prefix('{"key":').str.strip_suffix("}").alias("key")
