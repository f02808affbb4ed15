"""What does a reading keep of its sources in ``usage.positions``, and what does it say of them?

When a block ends, each source that it changed gets an entry: where it stands where the next block begins. The entry is
a function of the log, so a zombie writes what its successor writes. What a new entry supersedes is removed once this
reading has committed an offset of the block where the new one holds: before, a rebuild may ask for the old one, and
after, nobody does.

The first thing a reading writes is which price book it works with, as the ``edition`` of its contributions. Where that
is another one than its predecessor's, the edition is one more, and all of the block is written again under it.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

import polars as pl

from spendgauge.schemas.alerts import Alert
from spendgauge.schemas.errors import ConfigurationError
from spendgauge.schemas.positions import MAX_EDITION, EditionKey, PositionKey, PriceEdition, SourceGaps, SourcePosition
from spendgauge.streams.accounting.entries import Start, position_of
from spendgauge.streams.accounting.gaps import gap_alerts, gap_line
from spendgauge.streams.accounting.origins import Origin
from spendgauge.streams.accounting.positions import Positions
from spendgauge.streams.accounting.runs import Remark
from spendgauge.streams.accounting.sources import SourceState

__all__ = ["Accounts", "SourceWords"]

Entry = tuple[bytes, bytes | None]
"""A key of ``usage.positions`` and its value; None removes it."""


@dataclass
class SourceWords:
    """What a flush must write about sources."""

    entries: list[Entry] = field(default_factory=list)
    gaps: list[SourceGaps] = field(default_factory=list)
    alerts: list[Alert] = field(default_factory=list)
    moved: dict[str, SourceState] = field(default_factory=dict)
    """Where the sources stand that have sent since the last flush."""


class Accounts:
    """The sources of one reading of one partition."""

    def __init__(self, start: Start, origin: Origin, *, partition: int, price_version: str) -> None:
        """Begin with what is known.

        Raises ``ConfigurationError`` where the partition has seen more price books than can be told apart.
        """
        same_book = start.edition >= 0 and start.book.price_version == price_version
        self.edition = start.edition if same_book else start.edition + 1
        if self.edition > MAX_EDITION:
            raise ConfigurationError(
                f"prices have changed {self.edition} times for partition {partition} of the usage events, and at most "
                f"{MAX_EDITION} can be told apart; use the prices that came last, or create the topic again"
            )
        begun_at = start.book.begun_at if same_book else origin.acknowledged
        begins_again = self.edition > 0 and origin.acknowledged <= begun_at
        self.written_below = origin.base if begins_again else origin.acknowledged
        """Below this offset all contributions are written in this edition."""
        self._stream = origin.stream
        self._partition = partition
        self._positions = Positions(
            start.known, unverified=start.unverified, acknowledged=origin.acknowledged, forgotten=start.forgotten
        )
        self._kept_under = dict(start.kept_under)
        block = origin.base // origin.block_offsets
        self._superseded = deque((block, key) for key in start.superseded)
        carried = start.known.keys() - self._kept_under.keys()
        self._block_states: dict[str, tuple[int, SourceState]] = {s: (block, start.known[s]) for s in carried}
        self._first_entries: list[Entry] = []
        book = PriceEdition(price_version=price_version, begun_at=begun_at, unverified=start.unverified)
        if not same_book or book != start.book:
            self._first_entries.append((EditionKey(origin.stream, self.edition).encode(), _json(book)))
        if not same_book and start.edition >= 0:
            self._superseded.append((block, EditionKey(origin.stream, start.edition).encode()))

    @property
    def missing(self) -> tuple[int, int]:
        """How many gaps are open, and how many events they lack; any thread may ask."""
        return self._positions.missing

    def fresh(self, events: pl.DataFrame, remarks: Sequence[Remark] = ()) -> pl.DataFrame:
        """Return the events that were not counted before, in order; all are of one block, as the remarks are."""
        return self._positions.fresh(events, remarks)

    def end_block(self, following: int) -> None:
        """Note where the sources stand where the following block begins."""
        changed, silent = self._positions.end_block()
        self._block_states.update((source, (following, state)) for source, state in changed.items())
        for source in silent:
            self._block_states.pop(source, None)
            if source in self._kept_under:
                self._superseded.append((following, self._kept_under.pop(source).encode()))

    def take(self, *, version: int, committed_block: int | None) -> SourceWords:
        """Take what is to be written after the log up to ``version``; ``committed_block``: the block in which the
        offset lies that this reading has committed."""
        changes, moved = self._positions.take()
        removed = self._removed(committed_block)
        return SourceWords(
            [*self._written(), *removed],
            [gap_line(change, stream=self._stream, partition=self._partition, version=version) for change in changes],
            [
                alert
                for change in changes
                for alert in gap_alerts(change, stream=self._stream, partition=self._partition)
            ],
            moved,
        )

    def _written(self) -> list[Entry]:
        """Take the entries to write; the entries that they supersede are to be removed later."""
        written, self._first_entries = self._first_entries, []
        for source, (block, state) in self._block_states.items():
            key = PositionKey(self._stream, block, source)
            if source in self._kept_under and self._kept_under[source] != key:
                self._superseded.append((block, self._kept_under[source].encode()))
            self._kept_under[source] = key
            written.append((key.encode(), _json(position_of(state))))
        self._block_states = {}
        return written

    def _removed(self, committed_block: int | None) -> list[Entry]:
        """Take the entries that nobody will ask for any more."""
        removed: list[Entry] = []
        while committed_block is not None and self._superseded and self._superseded[0][0] <= committed_block:
            removed.append((self._superseded.popleft()[1], None))
        return removed


def _json(entry: PriceEdition | SourcePosition) -> bytes:
    """Write an entry; what holds its default is left out."""
    return entry.model_dump_json(exclude_defaults=True).encode()
