"""What has each key cost in each of the last minutes? The highest version of each pane and block, added up.

Contributions are cumulative, so lines that come again, late or in another order change nothing.
"""

from collections.abc import Iterator
from typing import Final

import polars as pl

from spendgauge.streams.alerting.lines import LINES_SCHEMA

__all__ = ["AMOUNTS_SCHEMA", "RULES", "WATCHED", "RecentMinutes"]

WATCHED: Final = ("total", "team", "provider+model", "feature", "agent", "user_id", "api_key_id")
"""The series whose keys are judged, where the plan has them with panes that a minute is a multiple of."""

RULES: Final = ("spike", "token_spike")
"""What is judged: money, and the output tokens of models without a price."""

AMOUNTS_SCHEMA: Final = pl.Schema(
    {
        "rule": pl.String(),
        "series": pl.String(),
        "key": pl.String(),
        "amount": pl.Int64(),
        "requests": pl.Int64(),
    }
)
"""What a key did in a minute: picodollars, or output tokens."""

_PLACE: Final = ("series", "key", "pane_start", "stream", "partition", "block")
_IDLE_LINES: Final = 50_000
"""So many lines may lie about before what they replace is thrown away: a merge costs some milliseconds at least."""


class RecentMinutes:
    """The lines of the minutes that are not yet forgotten."""

    def __init__(self) -> None:
        """Begin without lines."""
        self._lines: dict[int, list[pl.DataFrame]] = {}

    def add(self, lines: pl.DataFrame) -> None:
        """Take in lines (``LINES_SCHEMA``) of any minutes, in any order."""
        for (minute,), part in lines.partition_by("minute", as_dict=True).items():
            held = self._lines.setdefault(int(minute), [LINES_SCHEMA.to_frame()])
            held.append(part)
            if sum(map(len, held[1:])) > _IDLE_LINES + len(held[0]):
                self._merge(int(minute))

    def held(self) -> Iterator[int]:
        """Give the minutes of which there are lines, the first one first."""
        yield from sorted(self._lines)

    def forget(self, *, before: int) -> None:
        """Drop all minutes before this one."""
        self._lines = {minute: lines for minute, lines in self._lines.items() if minute >= before}

    def amounts(self, minute: int) -> pl.DataFrame:
        """Say what each key did in a minute; the result has ``AMOUNTS_SCHEMA``, a row for each rule and key."""
        if minute not in self._lines:
            return AMOUNTS_SCHEMA.to_frame()
        sums = (
            self._merge(minute)
            .group_by("series", "key")
            .agg(pl.col("requests", "unpriced", "output_tokens", "cost_picodollars").sum())
            .with_columns(pl.col("series").cast(pl.String))
            .sort("series", "key")
        )
        without_price = (
            (pl.col("series") == "provider+model") & (pl.col("unpriced") > 0) & (pl.col("cost_picodollars") == 0)
        )
        return pl.concat(
            [
                _amounts(sums, "spike", "cost_picodollars"),
                _amounts(sums.filter(without_price), *RULES[1:], "output_tokens"),
            ]
        )

    def _merge(self, minute: int) -> pl.DataFrame:
        """Throw away what is replaced."""
        held = self._lines[minute]
        if len(held) > 1:
            merged = pl.concat(held).sort("rank").unique(_PLACE, keep="last")
            self._lines[minute] = held = [merged]
        return held[0]


def _amounts(sums: pl.DataFrame, rule: str, amount: str) -> pl.DataFrame:
    return sums.select(pl.lit(rule).alias("rule"), "series", "key", pl.col(amount).alias("amount"), "requests")
