"""Which events of a log are new, and which are missing? The plain way: with sets of all that was ever counted."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from spendgauge.streams.accounting.accounts import Accounts, SourceWords
from spendgauge.streams.accounting.entries import Start, begin, read_entries
from spendgauge.streams.accounting.origins import Origin, resume
from spendgauge.streams.accounting.runs import Remark

__all__ = ["AT_MS", "PlainSequences", "Sent", "Shelf", "frame_of", "origin_at", "read_log", "remarks_of"]

AT_MS = 1_760_000_000_000


@dataclass(frozen=True)
class Sent:
    """What of a line matters to its source's sequence."""

    offset: int
    source: str
    seq: int | None
    event_id: int
    rejected: bool = False
    ended: bool = False
    """It is no event: the source says that it ends, and that ``seq`` would have come next."""

    @property
    def is_event(self) -> bool:
        return not (self.rejected or self.ended)


@dataclass
class PlainSequences:
    """Remembers every number of every source, and the event ids of the block."""

    block_offsets: int
    counted: dict[str, set[int]] = field(default_factory=lambda: defaultdict(set))
    repeats: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    shared: set[str] = field(default_factory=set)
    rejected: dict[str, set[int]] = field(default_factory=lambda: defaultdict(set))
    """Numbers of lines that were rejected: not counted, and not missing."""
    reached: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    """One more than the highest number of an event, or what an end has said."""

    def __post_init__(self) -> None:
        self._block = -1

    def is_new(self, event: Sent) -> bool:
        """Follow the log by one event."""
        if event.offset // self.block_offsets != self._block:
            self._block = event.offset // self.block_offsets
            self._ids: set[int] = set()
            self._before = {source: frozenset(seqs) for source, seqs in self.counted.items()}
        if not event.is_event:
            self._heed(event)
            return False
        known = event.event_id in self._ids
        self._ids.add(event.event_id)
        if event.seq is None:
            return not known
        self.reached[event.source] = max(self.reached[event.source], event.seq + 1)
        seqs = self.counted[event.source]
        new = event.seq not in seqs
        if not new and not known and event.seq not in self._before.get(event.source, ()):
            self.shared.add(event.source)
        new = not known if event.source in self.shared else new
        seqs.add(event.seq)
        self.repeats[event.source] += not new
        return new

    def _heed(self, line: Sent) -> None:
        """Follow the log by a line that is no event."""
        if line.seq is None or line.source in self.shared:
            return
        if line.rejected:
            self.rejected[line.source].add(line.seq)
        else:
            self.reached[line.source] = max(self.reached[line.source], line.seq)

    def missing(self, source: str) -> set[int]:
        """List the numbers that were used and never came."""
        seen = self.counted[source] | self.rejected[source]
        return set() if source in self.shared else set(range(self.reached[source])) - seen


@dataclass
class Shelf:
    """One partition of ``usage.positions``, as a list of what was ever written there."""

    records: list[tuple[bytes | None, bytes | None]] = field(default_factory=list)

    def start(self, origin: Origin, *, carried: Start | None = None) -> Start:
        """Say what a reading begins with."""
        return begin(read_entries(self.records), origin, carried=carried)

    def keys(self) -> list[bytes]:
        """List the keys that are left when all is compacted."""
        held = read_entries(self.records)
        return sorted(key.encode() for keys in (held.positions, held.editions) for key in keys)


def origin_at(committed: int | None, *, block_offsets: int, log_start: int = 0) -> Origin:
    """Begin as the transport does."""
    return resume(
        stream=f"topic-id:{block_offsets}",
        block_offsets=block_offsets,
        committed=committed,
        metadata="",
        log_start=log_start,
    )


def frame_of(events: Iterable[Sent]) -> pl.DataFrame:
    """Make the columns that tell events apart."""
    rows: list[dict[str, Any]] = [
        {
            "source": event.source,
            "seq": event.seq,
            "event_id": str(event.event_id),
            "offset": event.offset,
            "line": line,
            "received_at_ms": AT_MS,
        }
        for line, event in enumerate(events)
        if event.is_event
    ]
    numbers = dict.fromkeys(("seq", "offset", "line", "received_at_ms"), pl.Int64)
    return pl.DataFrame(rows, schema={"source": pl.String, "event_id": pl.String, **numbers})


def remarks_of(events: Iterable[Sent]) -> list[Remark]:
    """List what the lines say that are no events."""
    return [
        Remark(event.offset, line, event.source, event.seq, AT_MS, event.ended)
        for line, event in enumerate(events)
        if not event.is_event and event.seq is not None
    ]


def read_log(
    events: Iterable[Sent], cuts: Iterable[int], shelf: Shelf, *, origin: Origin, end: int
) -> tuple[list[Sent], list[SourceWords], Accounts]:
    """Read a log up to ``end`` as a worker does, flushing at each cut: the new events, what was said, and the state.

    What goes to ``usage.positions`` is put on the shelf.
    """
    log = list(events)
    accounts = Accounts(shelf.start(origin), origin, partition=1, price_version="book")
    fresh: list[Sent] = []
    said: list[SourceWords] = []
    begins = origin.base
    ends = range(origin.base // origin.block_offsets, end // origin.block_offsets + 1)
    inner = {*cuts, *(block * origin.block_offsets for block in ends)}
    for cut in [*sorted(cut for cut in inner if origin.base < cut < end), end]:
        part = [event for event in log if begins <= event.offset < cut]
        kept = accounts.fresh(frame_of(part), remarks_of(part))["line"].to_list()
        fresh += [part[row] for row in kept]
        if cut % origin.block_offsets == 0:
            accounts.end_block(cut // origin.block_offsets)
        if cut in {*cuts, end}:
            said.append(accounts.take(version=cut - 1, committed_block=None))
            shelf.records += said[-1].entries
        begins = cut
    return fresh, said, accounts
