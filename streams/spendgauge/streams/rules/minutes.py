"""What has each key done in each of the last minutes? The highest version of each pane and block, added up.

Contributions are cumulative, so lines that come again, late or in another order change nothing.
"""

from collections.abc import Iterator
from typing import Final

import polars as pl

__all__ = ["SUMS", "SUMS_SCHEMA", "Minutes"]

SUMS: Final = ("requests", "errors", "unpriced", "tokens", "cost_picodollars")
SUMS_SCHEMA: Final = pl.Schema({"key": pl.String()} | dict.fromkeys(SUMS, pl.Int64()))
"""What the keys of one series did."""

_PLACE: Final = ("series", "key", "pane_start", "stream", "partition", "block")
_IDLE_LINES: Final = 50_000
"""So many lines may lie about before what they replace is thrown away: a merge costs some milliseconds at least."""


class Minutes:
    """The lines of the minutes that are not yet forgotten."""

    def __init__(self) -> None:
        """Begin without lines."""
        self._lines: dict[int, list[pl.DataFrame]] = {}
        """Of each minute what was merged last, and what came since."""

    def add(self, lines: pl.DataFrame) -> set[int]:
        """Take in lines (``LINES_SCHEMA``) of any minutes, in any order; say which minutes those are."""
        own = lines.select("minute", *_PLACE, "rank", *SUMS)
        parts = own.partition_by("minute", as_dict=True, include_key=False)
        for (minute,), part in parts.items():
            held = self._lines.setdefault(int(minute), [])
            held.append(part)
            if sum(map(len, held[1:])) > _IDLE_LINES + len(held[0]):
                self._merge(int(minute))
        return {int(minute) for (minute,) in parts}

    def held(self) -> Iterator[int]:
        """Give the minutes of which there are lines, the first one first."""
        yield from sorted(self._lines)

    def forget(self, *, before: int) -> None:
        """Drop all minutes before this one."""
        self._lines = {minute: lines for minute, lines in self._lines.items() if minute >= before}

    def sums(self, minute: int) -> dict[str, pl.DataFrame]:
        """Say what each key of each series did in a minute: ``SUMS_SCHEMA``, in no order."""
        if minute not in self._lines:
            return {}
        summed = self._merge(minute).group_by("series", "key").agg(pl.col(SUMS).sum())
        parts = summed.partition_by("series", as_dict=True, include_key=False)
        return {str(series): part for (series,), part in parts.items()}

    def _merge(self, minute: int) -> pl.DataFrame:
        """Throw away what is replaced."""
        merged = pl.concat(self._lines[minute]).sort("rank").unique(_PLACE, keep="last")
        self._lines[minute] = [merged]
        return merged
