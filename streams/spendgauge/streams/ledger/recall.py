"""What does the log say of keys that are new, while its end is counted for all others? Read once, beside them.

A recall has a ledger of its own, of the new keys alone, which knows of no block that it might leave out. It takes in
the log from its beginning, and joins the others when it has taken in exactly what they have: no line twice, none
missing. It folds by the log's own time, as the others do by the clock's, and packs as they do, so what it holds is
bounded as theirs is. What it has folded the others leave out as well, once it has joined.
"""

from collections.abc import Callable, Collection, Iterable
from typing import Final

import polars as pl

from spendgauge.streams.judging.lines import key_text
from spendgauge.streams.ledger.account import Account, AccountKey
from spendgauge.streams.ledger.covers import Covers
from spendgauge.streams.ledger.ledger import SETTLED_HOURS, Ledger
from spendgauge.streams.ledger.patterns import ANY

__all__ = ["Recall"]

_STEP_SECONDS: Final = 120
"""A block is folded two such steps after it was complete, in the log's time; as savings do it in the clock's."""
_LONG_SECONDS: Final = 3600
_HELD: Final = 20_000
"""So many contributions more are held before it is looked at what can be folded; or those of an hour."""
_SPARE_HOURS: Final = 2
"""The log's time may be ahead of the minute that was judged last, from which hours are to be known by the minute."""


class Recall:
    """New keys of one partition. Lines may be taken in by another thread than the one that made it."""

    def __init__(self, covers: Covers, on_join: Callable[["Recall"], None]) -> None:
        """``on_join``: takes the accounts over."""
        self.wanted = True
        """Whether anybody waits for it; where the configuration has changed again nobody does."""
        self._covers = covers
        self._on_join = on_join
        self._named = _named(covers.patterns)
        self.begin()

    def begin(self) -> None:
        """Begin anew, with nothing: where the log is another."""
        self.ledger = Ledger(self._covers)
        self._folded_at: float = 0.0
        self._fold_at_places = _HELD

    @property
    def series(self) -> Collection[str]:
        """The series that it wants to hear of."""
        return self._covers.series

    def absorb(self, lines: pl.DataFrame, logged_at: float) -> None:
        """Take in lines (``LINES_SCHEMA``) in the order of the log, written up to this second of the log's time."""
        self.ledger.absorb(lines.filter(self._named), _tell_nobody)
        since = logged_at - self._folded_at
        if since >= _LONG_SECONDS or (since >= _STEP_SECONDS and self.ledger.places > self._fold_at_places):
            self.ledger.fold(int(logged_at // 3600) - SETTLED_HOURS - _SPARE_HOURS)
            self._folded_at, self._fold_at_places = logged_at, self.ledger.places + _HELD

    def join(self) -> None:
        """Count these keys with the others from now on: both have taken in the log up to the same line.

        Not before all that was kept was read again: the others leave out the blocks that are folded, at once.
        """
        self._on_join(self)


def _named(patterns: Iterable[AccountKey]) -> pl.Expr:
    """Say of lines whether their keys may be named: cheaply, so that few are looked at one by one."""
    asked = list(patterns)
    anybody = {series for series, values in asked if ANY in values}
    named = [(series, list(values)) for series, values in asked if series not in anybody]
    texts = pl.DataFrame(named, schema={"series": pl.String(), "key": pl.List(pl.String())}, orient="row")
    series = pl.col("series").cast(pl.String)
    told = [
        (series == name) & pl.col("key").is_in(part["key"].to_list())
        for (name,), part in texts.with_columns(key_text()).partition_by("series", as_dict=True).items()
    ]
    return pl.any_horizontal(series.is_in(list(anybody)), *told)


def _tell_nobody(_account: Account, _minute: int, _cost: int, _tokens: int) -> None:
    """Say nothing: what was read long ago is judged all together, when it has joined."""
