"""What did the sources of a chunk send? One group-by for all, before anybody looks at single lines."""

from collections.abc import Iterator
from typing import NamedTuple

import polars as pl

from spendgauge.streams.accounting.sources import SILENT_MS

__all__ = ["EventIds", "Remark", "Run", "is_told", "rows_of", "runs_of"]


class Remark(NamedTuple):
    """What a line that is no event says of its source's numbers, and where it stood."""

    offset: int
    line: int
    source: str
    seq: int
    """The number that a rejected line has used, or that would have come next where the source ended."""
    at_ms: int
    ended: bool = False


class EventIds:
    """The event ids of a block, as 64-bit hashes: of a million ids, two are alike once in 10^7 blocks."""

    def __init__(self) -> None:
        self._parts: list[pl.Series] = []

    def add(self, ids: pl.Series) -> None:
        """Remember ids."""
        self._parts.append(ids)

    def holds(self, ids: pl.Series) -> pl.Series:
        """Say of each id whether it was added. The few are hashed and the many run past them, not the reverse."""
        wanted = ids.implode()
        found = [part.filter(part.is_in(wanted)) for part in self._parts]
        return ids.is_in(pl.concat(found).implode()) if found else pl.repeat(False, len(ids), eager=True)


class Run(NamedTuple):
    """The sequence numbers of one source in one chunk."""

    source: str
    low: int
    high: int
    events: int
    rising: bool
    """Each is the one before and 1. Others in between would be gaps that were open for a moment: a reading that cut
    its chunks there may have said so, and the gap must be said to be closed."""
    first_offset: int
    last_offset: int
    last_line: int
    first_at_ms: int
    last_at_ms: int


def runs_of(numbered: pl.DataFrame) -> Iterator[Run]:
    """Describe each source, with one group-by for all."""
    seq = pl.col("seq")
    described = numbered.group_by("source").agg(
        seq.min().alias("low"),
        seq.max().alias("high"),
        pl.len().alias("events"),
        (seq.diff() == 1).all().alias("rising"),
        pl.col("offset").first().alias("first_offset"),
        pl.col("offset").last().alias("last_offset"),
        pl.col("line").last().alias("last_line"),
        pl.col("received_at_ms").first().alias("first_at_ms"),
        pl.col("received_at_ms").max().alias("last_at_ms"),
    )
    return map(Run._make, described.rows())


def is_told(end: Remark, run: Run, last_at_ms: int) -> bool:
    """Say whether an end says nothing that a source's next events do not say before it."""
    is_behind = (end.offset, end.line) > (run.last_offset, run.last_line)
    is_silent = end.at_ms - min(last_at_ms, run.last_at_ms) > SILENT_MS
    return end.seq <= (run.high + 1 if is_behind else run.low) and not is_silent


def rows_of(seen: pl.DataFrame, sources: set[str]) -> list[int]:
    """List the rows of the numbered events of these sources."""
    if not sources:
        return []
    wanted = pl.col("source").is_in(sources) & pl.col("seq").is_not_null()
    return seen.select(wanted.arg_true()).to_series().to_list()
