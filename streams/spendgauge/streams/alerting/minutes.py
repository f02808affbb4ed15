"""What has each key done in each of the last minutes? The highest version of each pane and block, added up.

Contributions are cumulative, so lines that come again, late or in another order change nothing. A hundred thousand keys
for a quarter of an hour are millions of lines, so each takes some fifty bytes: a key is a number, and so is all else.
"""

from collections.abc import Iterator, Sequence
from typing import Final

import polars as pl

from spendgauge.streams.alerting.keys import KeyNumbers

__all__ = ["RecentMinutes"]

_PLACE: Final = ("number", "pane", "stream", "partition", "block")
_COUNTS: Final = ("requests", "errors", "unpriced", "output_tokens")
"""Measures of which no pane has more than 31 bits hold."""

_MOST_COUNTED: Final = 2**31 - 1
_IDLE_LINES: Final = 50_000
"""So many lines may lie about before what they replace is thrown away: a merge costs some milliseconds at least."""


class RecentMinutes:
    """The lines of the minutes that are not yet forgotten."""

    def __init__(self, measures: Sequence[str]) -> None:
        """Begin without lines; of each, these columns are held."""
        self.numbers = KeyNumbers()
        """Which key the column ``number`` of ``sums`` stands for."""
        self._measures = tuple(measures)
        self._lines: dict[int, list[pl.DataFrame]] = {}
        place = {"number": pl.UInt32(), "pane": pl.UInt8(), "stream": pl.Categorical(), "partition": pl.Int32()}
        own = {name: pl.Int32() if name in _COUNTS else pl.Int64() for name in self._measures}
        self._schema = pl.Schema({**place, "block": pl.Int64(), "rank": pl.UInt64(), **own})

    def add(self, lines: pl.DataFrame) -> None:
        """Take in lines (``LINES_SCHEMA``) of any minutes, in any order."""
        texts = lines.select(pl.col("series").cast(pl.String) + pl.col("key")).to_series().to_list()
        held = lines.select(
            "minute",
            pl.Series("number", self.numbers.find(texts), pl.UInt32),
            (pl.col("pane_start") % 60).cast(pl.UInt8).alias("pane"),
            "stream",
            pl.col("partition").cast(pl.Int32, strict=False),
            "block",
            "rank",
            *(pl.col(name).clip(0, _MOST_COUNTED).cast(pl.Int32) for name in self._measures if name in _COUNTS),
            *(name for name in self._measures if name not in _COUNTS),
        ).select("minute", *self._schema)
        for (minute,), part in held.partition_by("minute", as_dict=True, include_key=False).items():
            self._take(int(minute), part)

    def held(self) -> Iterator[int]:
        """Give the minutes of which there are lines, the first one first."""
        yield from sorted(self._lines)

    def forget(self, *, before: int) -> None:
        """Drop all minutes before this one."""
        self._lines = {minute: lines for minute, lines in self._lines.items() if minute >= before}
        self.numbers.forget(before=before)

    def sums(self, first: int, last: int) -> pl.DataFrame:
        """Say what each key did from one minute to another, both included.

        *Shape*: ``number`` and the measures, in the order of the numbers, which are free again once they are forgotten.
        """
        held = [self._merge(minute) for minute in range(first, last + 1) if minute in self._lines]
        sums = [pl.col(name).cast(pl.Int64).sum() for name in self._measures]
        return pl.concat(held or [self._schema.to_frame()]).group_by("number").agg(sums).sort("number")

    def _take(self, minute: int, part: pl.DataFrame) -> None:
        self.numbers.use(part["number"].to_numpy(), minute)
        held = self._lines.setdefault(minute, [self._schema.to_frame()])
        held.append(part)
        if sum(map(len, held[1:])) > _IDLE_LINES + len(held[0]):
            self._merge(minute)

    def _merge(self, minute: int) -> pl.DataFrame:
        """Throw away what is replaced."""
        held = self._lines[minute]
        if len(held) > 1:
            merged = pl.concat(held).sort("rank").unique(_PLACE, keep="last")
            self._lines[minute] = held = [merged]
        return held[0]
