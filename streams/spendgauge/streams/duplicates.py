"""Which events of a block were counted already?

Events of one source lie in one partition, so a ``seq`` that this block has seen is a duplicate. A well-behaved source
counts upwards: its events of a chunk are then one rising run above all that was seen, found out with one group-by
and remembered as two numbers. Only sources that do otherwise are looked at event by event. Events without a ``seq``
(foreign writers) are told apart by ``event_id``.

What is remembered starts empty with each block, and each decision depends on the events before it alone, so that a
rebuild from the block's start decides the same way, however the log is cut into chunks.
"""

from bisect import bisect_right
from collections.abc import Iterable
from typing import Protocol

import polars as pl

__all__ = ["Positions", "SeenInBlock"]


class Positions(Protocol):
    """Remembers where each source stands within one block."""

    def fresh(self, events: pl.DataFrame) -> pl.DataFrame:
        """Return the events that were not counted before, in order, and remember them."""


class SeenInBlock:
    """Positions that know nothing from before the block."""

    def __init__(self) -> None:
        self._sources: dict[str, _SeenSeqs] = {}
        self._event_ids: set[str] = set()

    def fresh(self, events: pl.DataFrame) -> pl.DataFrame:
        """Return the events that were not counted before, in order, and remember them."""
        identified = events.select("source", "seq", "event_id").with_row_index("row")
        without = identified["seq"].null_count()
        repeated: list[int] = []
        if without < len(identified):
            repeated += self._repeated_seqs(identified.filter(pl.col("seq").is_not_null()) if without else identified)
        if without:
            repeated += self._repeated_ids(identified.filter(pl.col("seq").is_null()))
        if not repeated:
            return events
        return events.filter(
            ~pl.int_range(pl.len(), dtype=pl.UInt32).is_in(pl.Series(repeated, dtype=pl.UInt32).implode())
        )

    def _repeated_seqs(self, identified: pl.DataFrame) -> list[int]:
        """Remember the sequence numbers; list the rows whose number was seen before."""
        unruly = []
        for source, first, last, count, rising in _runs(identified):
            seen = self._sources.setdefault(source, _SeenSeqs())
            if rising and first > seen.high and last - first + 1 == count:
                seen.add_run(first, last)
            else:
                unruly.append(source)
        if not unruly:
            return []
        looked_at = identified.filter(pl.col("source").is_in(unruly))
        rows = zip(looked_at["row"], looked_at["source"], looked_at["seq"], strict=True)
        return [row for row, source, seq in rows if not self._sources[source].add(seq)]

    def _repeated_ids(self, identified: pl.DataFrame) -> list[int]:
        """Remember the event ids; list the rows whose id was seen before."""
        repeated = []
        for row, event_id in zip(identified["row"], identified["event_id"], strict=True):
            if event_id in self._event_ids:
                repeated.append(row)
            else:
                self._event_ids.add(event_id)
        return repeated


def _runs(identified: pl.DataFrame) -> Iterable[tuple[str, int, int, int, bool]]:
    """Describe each source's sequence numbers: first, last, how many, and whether each is above the one before."""
    seq = pl.col("seq")
    described = identified.group_by("source").agg(
        seq.first().alias("first"),
        seq.last().alias("last"),
        pl.len().alias("count"),
        (seq.diff() > 0).all().alias("rising"),
    )
    return described.iter_rows()


class _SeenSeqs:
    """The sequence numbers seen of one source: runs of neighbours in rising order, and latecomers between them."""

    __slots__ = ("_firsts", "_lasts", "_late")

    def __init__(self) -> None:
        self._firsts: list[int] = []
        self._lasts: list[int] = []
        self._late: set[int] = set()

    @property
    def high(self) -> int:
        return self._lasts[-1] if self._lasts else -1

    def add_run(self, first: int, last: int) -> None:
        """Remember the neighbours from first to last, all above ``high``."""
        if self._lasts and first == self._lasts[-1] + 1:
            self._lasts[-1] = last
        else:
            self._firsts.append(first)
            self._lasts.append(last)

    def add(self, seq: int) -> bool:
        """Remember one; say whether it is new."""
        if seq > self.high:
            self.add_run(seq, seq)
            return True
        run = bisect_right(self._firsts, seq) - 1
        if (run >= 0 and seq <= self._lasts[run]) or seq in self._late:
            return False
        self._late.add(seq)
        return True
