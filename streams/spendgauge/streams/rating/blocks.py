"""What has the current block of one partition added to each series?

The log of a partition is cut into blocks of B offsets. A block's totals are a pure function of the offsets it has
read so far, and the last of them is their version: written again after a crash they are the same, and a higher
version replaces a lower one. So the state is one block, starts empty at its first offset, and is forgotten when the
block ends. What outlives it is where each source stands (``accounts``), which tells the events that were counted
before. Nothing here does I/O, knows the time or imports Faust.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import polars as pl

from spendgauge.streams.accounting.accounts import Accounts
from spendgauge.streams.accounting.origins import Origin
from spendgauge.streams.accounting.runs import Remark
from spendgauge.streams.rating.series import TOTALS_SCHEMA, SeriesPlan, merge

__all__ = ["BlockAggregator", "Contributions"]

_FOLD_ROWS: Final = 4_096
"""Events are folded into the totals when so many wait: group-bys cost less by the event in larger numbers. But a row
that waits keeps all of its chunk in memory, for its texts are the chunk's own; so a full chunk waits for nobody."""

_MERGE_ROWS: Final = 8_192
"""Fewer sums are not merged before a flush asks for them. So many take 2 MB."""


@dataclass(frozen=True)
class Contributions:
    """Cumulative totals of one block, those that changed: what goes to ``cost.rates``."""

    stream: str
    partition: int
    block: int
    edition: int
    version: int
    totals: pl.DataFrame


class BlockAggregator:
    """Adds up one partition, block after block."""

    def __init__(self, origin: Origin, *, partition: int, plan: SeriesPlan, accounts: Accounts) -> None:
        self.origin = origin
        self.next_offset = origin.base
        self._partition = partition
        self._plan = plan
        self._accounts = accounts
        self._ended: list[Contributions] = []
        self._start_block(origin.base // origin.block_offsets)

    def add(self, priced: pl.DataFrame, *, next_offset: int, remarks: Sequence[Remark] = ()) -> int:
        """Include the log up to (not including) ``next_offset``; return how many of the events were duplicates.

        ``priced``: its accepted events in order of offset, as the codec and the price book give them. It may be
        empty (no line is an event), and may reach over the ends of blocks. ``remarks``: what other lines say.
        """
        duplicates = 0
        for block, end, events in self._by_block(priced, next_offset):
            fresh = self._accounts.fresh(events, [one for one in remarks if self.next_offset <= one.offset < end])
            duplicates += len(events) - len(fresh)
            self._hold(fresh)
            self.next_offset = end
            if end % self.origin.block_offsets == 0:
                self._end_block(block + 1)
        return duplicates

    def take(self) -> list[Contributions]:
        """Take the contributions that changed since they were last taken, of ended blocks and the current one."""
        current = self._changed()
        taken, self._ended = [*self._ended, *current], []
        return taken

    @property
    def live_keys(self) -> int:
        """How many totals the current block holds; what was added lately may be left out."""
        return len(self._totals)

    def _by_block(self, priced: pl.DataFrame, next_offset: int) -> Iterator[tuple[int, int, pl.DataFrame]]:
        size = self.origin.block_offsets
        offsets = priced["offset"]
        begin = 0
        for block in range(self.next_offset // size, (next_offset - 1) // size + 1):
            end_offset = min((block + 1) * size, next_offset)
            end = offsets.search_sorted(end_offset, side="left")
            yield block, end_offset, priced[begin:end]
            begin = end

    def _start_block(self, block: int) -> None:
        self._block = block
        self._totals = TOTALS_SCHEMA.to_frame()
        self._added: list[pl.DataFrame] = []
        self._joints: list[pl.DataFrame] = []
        self._rows: list[pl.DataFrame] = []
        self._rows_held = 0

    def _end_block(self, following: int) -> None:
        self._ended += self._changed()
        self._accounts.end_block(following)
        self._start_block(following)

    def _hold(self, events: pl.DataFrame) -> None:
        if events.is_empty():
            return
        self._rows.append(self._plan.rows(events, acknowledged=self._accounts.written_below))
        self._rows_held += len(events)
        if self._rows_held >= _FOLD_ROWS:
            self._fold()

    def _fold(self) -> None:
        """Sum up the events that wait. What they add is merged into the totals once it is as large as they are, and not
        small: each merge goes through all totals, and has a price of its own."""
        if self._rows:
            rows = pl.concat(self._rows)
            self._added.append(self._plan.many_valued_totals(rows))
            self._joints.append(self._plan.joint(rows))
            self._rows, self._rows_held = [], 0
        if sum(map(len, (*self._added, *self._joints))) > max(_MERGE_ROWS, len(self._totals)):
            self._merge()

    def _merge(self) -> None:
        if self._added:
            self._totals = merge([self._totals, *self._added, self._plan.ordinary_totals(self._joints)])
            self._added, self._joints = [], []

    def _changed(self) -> list[Contributions]:
        self._fold()
        self._merge()
        changed = self._totals.filter("dirty")
        if changed.is_empty():
            return []
        self._totals = self._totals.with_columns(dirty=False)
        stream = self.origin.stream_at(self._block)
        return [
            Contributions(stream, self._partition, self._block, self._accounts.edition, self.next_offset - 1, changed)
        ]
