"""Which entries of ``usage.positions`` does a reading begin with, and which ones are no longer needed?

An entry says where a source stands where a block begins. A reading that begins at some block takes, for each source,
the entry of the greatest block at or below it: the source sent nothing in between, or there would be one. Entries that
are superseded so are removed, once an offset beyond is committed: commits only move on, so nobody will ask for them.

Three things can be unknown, and then no gap is claimed where one might be seen. The start of the block may be lost
(``origins``): sources may have sent in that part of it. Entries may be lost while the log does not begin with its
first offset. And the topic may have been deleted and created again, where no worker lived through it to say exactly
where its sources stood: the entries of the old one say only what was counted at least.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from pydantic import ValidationError

from spendgauge.schemas.positions import (
    EditionKey,
    PositionKey,
    PriceEdition,
    SeqGap,
    SourcePosition,
    read_key,
)
from spendgauge.streams.accounting.origins import Origin
from spendgauge.streams.accounting.sources import UNVERIFIED, Hole, SourceState, unseen

__all__ = [
    "NOTHING_KNOWN",
    "Entries",
    "Start",
    "begin",
    "carry_over",
    "gap_of",
    "position_of",
    "read_entries",
    "state_of",
]


_NO_BOOK: Final = PriceEdition(price_version="")


@dataclass(frozen=True)
class Entries:
    """What ``usage.positions`` holds for one partition of ``usage.events``."""

    positions: Mapping[PositionKey, SourcePosition] = field(default_factory=dict)
    editions: Mapping[EditionKey, PriceEdition] = field(default_factory=dict)


@dataclass(frozen=True)
class Start:
    """What a reading knows when it begins."""

    known: Mapping[str, SourceState] = field(default_factory=dict)
    unverified: bool = False
    """Sources that are not known may have sent before, too."""
    edition: int = -1
    """The newest edition of this stream; -1: there is none yet."""
    book: PriceEdition = _NO_BOOK
    """What the newest edition's entry says."""
    kept_under: Mapping[str, PositionKey] = field(default_factory=dict)
    """The entry that each known state was read from; carried states have none yet."""
    superseded: tuple[bytes, ...] = ()
    """Keys of entries that nobody will ask for once this reading has committed."""
    forgotten: Mapping[str, SourceState] = field(default_factory=dict)
    """States with gaps of which nobody knows any more whether they are closed, as their entries say."""


NOTHING_KNOWN: Final = Start()


def read_entries(records: Iterable[tuple[bytes | None, bytes | None]]) -> Entries:
    """Read keys and values in the order of the log: the last value of a key counts, none removes it.

    What cannot be read was written by another version and is left alone.
    """
    last: dict[PositionKey | EditionKey, bytes] = {}
    for raw, value in records:
        key = read_key(raw)
        if key is not None and value is not None:
            last[key] = value
        elif key is not None:
            last.pop(key, None)
    positions: dict[PositionKey, SourcePosition] = {}
    editions: dict[EditionKey, PriceEdition] = {}
    for key, value in last.items():
        try:
            if isinstance(key, PositionKey):
                positions[key] = SourcePosition.model_validate_json(value)
            else:
                editions[key] = PriceEdition.model_validate_json(value)
        except ValidationError:
            continue
    return Entries(positions, editions)


def begin(entries: Entries, origin: Origin, *, carried: Start | None = None) -> Start:
    """Choose what a reading from this origin knows.

    ``carried``: where the sources stood in the topic of the same name before this one, as a worker says who lived
    through its end.
    """
    topic = origin.topic_id
    begun_late = origin.base % origin.block_offsets > 0
    editions = sorted(key for key in entries.editions if _topic(key.stream) == topic)
    if carried is None and not editions:
        carried = _told_by_others(entries)
    known = dict(carried.known if carried else {})
    kept_under: dict[str, PositionKey] = {}
    superseded = [key.encode() for key in entries.positions if _topic(key.stream) != topic]
    superseded += [key.encode() for key in entries.editions if _topic(key.stream) != topic]
    for key in sorted((key for key in entries.positions if _topic(key.stream) == topic), key=_offset):
        entry = entries.positions[key]
        if _offset(key) <= origin.base:
            if key.source in kept_under:
                superseded.append(kept_under[key.source].encode())
            kept_under[key.source] = key
            known[key.source] = state_of(entry, unsure=begun_late)
        elif key.source not in known and entry.first_offset < origin.base:
            known[key.source] = unseen(entry.first_offset, entry.last_at_ms, unsure=True)
    kept = {source: entries.positions[key] for source, key in kept_under.items()}
    own = [key for key in editions if key.stream == origin.stream]
    superseded += [key.encode() for key in editions if key not in own[-1:]]
    recorded = any(entries.editions[key].unverified for key in editions)
    lost = carried.unverified if carried else not editions and origin.base > 0
    return Start(
        known,
        unverified=begun_late or recorded or lost,
        edition=own[-1].edition if own else -1,
        book=entries.editions[own[-1]] if own else _NO_BOOK,
        kept_under=kept_under,
        superseded=tuple(superseded),
        forgotten={source: state_of(lost) for source, lost in kept.items() if begun_late and lost.gaps},
    )


def _told_by_others(entries: Entries) -> Start | None:
    """Carry over what the entries say of the topics that had the name before: where their sources stood at least."""
    if not entries.editions:
        return None
    states = [(key.source, state_of(entry, unsure=True)) for key, entry in entries.positions.items()]
    newest_last = sorted(states, key=lambda told: told[1].next_seq)
    return carry_over(dict(newest_last), unverified=True)


def carry_over(states: Mapping[str, SourceState], *, unverified: bool) -> Start:
    """Carry states over to the stream that follows: what is missing stays missing in the old one, and is still counted
    if it comes."""
    known = {
        source: state._replace(
            holes=tuple(Hole(hole.first, hole.last, UNVERIFIED, 0) for hole in state.holes), first_offset=-1
        )
        for source, state in states.items()
    }
    return Start(known, unverified)


def state_of(entry: SourcePosition, *, unsure: bool = False) -> SourceState:
    """Read a state from its entry; ``unsure``: events that came since may be lost, so nothing is claimed."""
    gaps = [Hole(gap.first_seq, gap.last_seq, gap.opened_offset, gap.opened_at_ms) for gap in entry.gaps]
    gaps = [gap._replace(opened_offset=UNVERIFIED, opened_at_ms=0) for gap in gaps] if unsure else gaps
    holes = sorted([*gaps, *(Hole(first, last, UNVERIFIED, 0) for first, last in entry.unverified)])
    return SourceState(
        entry.next_seq,
        tuple(holes),
        entry.passed,
        entry.unsure or unsure,
        entry.repeats,
        entry.shared,
        entry.first_offset,
        entry.last_at_ms,
    )


def position_of(state: SourceState) -> SourcePosition:
    """Write a state as an entry."""
    return SourcePosition(
        next_seq=state.next_seq,
        gaps=tuple(gap_of(hole) for hole in state.claimed),
        unverified=tuple((hole.first, hole.last) for hole in state.holes if hole.opened_offset == UNVERIFIED),
        passed=state.passed,
        unsure=state.unsure,
        repeats=state.repeats,
        shared=state.shared,
        first_offset=state.first_offset,
        last_at_ms=state.last_at_ms,
    )


def gap_of(hole: Hole) -> SeqGap:
    """Write a hole as a gap."""
    return SeqGap(
        first_seq=hole.first, last_seq=hole.last, opened_offset=hole.opened_offset, opened_at_ms=hole.opened_at_ms
    )


def _topic(stream: str) -> str:
    return stream.partition(":")[0]


def _offset(key: PositionKey) -> int:
    """Where the state holds: the block sizes of two streams of one topic may differ."""
    return key.block * int(key.stream.rpartition(":")[2])
