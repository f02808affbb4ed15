"""How do events become the lines that judges read, without a broker? One line for each key and minute.

A worker writes a line for each pane of ten seconds, again and again as it grows; judges add the panes of a minute up.
Here the minute is the pane, and said once. What is added is computed by the same plan, so it is the same.
"""

from collections.abc import Collection, Iterable, Iterator
from typing import Final

import polars as pl

from spendgauge.schemas.chunks.frame import FRAME_SCHEMA
from spendgauge.schemas.chunks.rules import RULES
from spendgauge.schemas.events import LEAVES
from spendgauge.schemas.prices import PriceBook
from spendgauge.schemas.rates import SeriesSpec
from spendgauge.streams.judging.lines import LINES_SCHEMA
from spendgauge.streams.rating.series import SeriesPlan
from spendgauge.streams.spikes.state import MAX_MINUTE_AMOUNT

__all__ = ["MINUTE_SECONDS", "MinuteLines", "in_order", "with_defaults"]

MINUTE_SECONDS: Final = 60
_TOTAL: Final = "total"


class MinuteLines:
    """Prices events and adds them up by series, key and minute."""

    def __init__(self, book: PriceBook, *, series: Collection[str]) -> None:
        """``series``: those that are wanted; ``total`` is there in any case."""
        names = sorted({*series, _TOTAL})
        self._book = book
        self._plan = SeriesPlan(tuple(_spec(name) for name in names))
        self._names = pl.Series(names, dtype=pl.String)
        self._block = 0

    def lines(self, events: pl.DataFrame) -> pl.DataFrame:
        """Give the lines (``LINES_SCHEMA``) of some events, in no particular order.

        ``events``: columns as in the codec's frames, at least those that are not at their defaults. The lines of one
        call are to be added to those of another.
        """
        priced = self._book.price(with_defaults(events))
        rows = self._plan.rows(priced, acknowledged=0)
        summed = [self._plan.many_valued_totals(rows), self._plan.ordinary_totals([self._plan.joint(rows)])]
        self._block += 1
        return self._lines(pl.concat(summed))

    def _lines(self, totals: pl.DataFrame) -> pl.DataFrame:
        place = {"stream": pl.lit("rehearsal"), "partition": pl.lit(0), "block": pl.lit(self._block), "rank": pl.lit(0)}
        known = {
            "series": pl.lit(self._names).gather(pl.col("series")),
            "minute": pl.col("pane_start") // MINUTE_SECONDS,
            "tokens": pl.sum_horizontal(leaf for leaf in LEAVES if leaf.endswith("_tokens")),
            "cost_picodollars": pl.col("cost_picodollars").clip(-MAX_MINUTE_AMOUNT, MAX_MINUTE_AMOUNT),
            **place,
        }
        return totals.select(
            known.get(name, pl.col(name)).cast(dtype).alias(name) for name, dtype in LINES_SCHEMA.items()
        )


def with_defaults(events: pl.DataFrame) -> pl.DataFrame:
    """Fill in what is at its default, so that the columns are those of ``FRAME_SCHEMA``."""
    missing = {
        column: pl.lit(_default(column), dtype)
        for column, dtype in FRAME_SCHEMA.items()
        if column not in events.columns
    }
    return events.select(missing.get(name, pl.col(name)).alias(name) for name in FRAME_SCHEMA)


def in_order(frames: Iterable[pl.DataFrame]) -> Iterator[pl.DataFrame]:
    """Give frames of lines such that no minute is in two of them, from frames that overlap by a minute at most."""
    held = LINES_SCHEMA.to_frame()
    for frame in frames:
        together = pl.concat([held, frame])
        last = together["minute"].max()
        yield together.filter(pl.col("minute") != last).sort("minute")
        held = together.filter(pl.col("minute") == last)
    yield held


def _spec(name: str) -> SeriesSpec:
    return SeriesSpec(() if name == _TOTAL else tuple(name.split("+")), MINUTE_SECONDS)


def _default(column: str) -> object:
    rule = RULES.get(column)
    if rule is None:
        return 0 if column in {"offset", "line"} else None
    return "" if rule.kind == "string" and rule.default is None else rule.default
