"""Was this event of a source counted already? What its sequence number says, given the ones before.

A source counts from 0 without a hole. So what is remembered of it is one number, the next ``seq``, and the holes
below it, of which there are normally none:

    seq      0 1 2 3 4 5 6 7 8 9
    seen     x x x . . x x . x       next_seq 9, holes [3, 4] and [7, 7]

A ``seq`` from ``next_seq`` on, or in a hole, is new. All else is a repeat, whatever its age. A source's end says what
is next as an event with that number would, and is none. The number of a line that was rejected is passed over: it is
neither missing nor counted, and opens no hole, for a bad line proves nothing. A state is a value, and each decision is
a function of the state and the line: the same log gives the same states to whoever reads it.
"""

from bisect import bisect_right
from typing import Final, NamedTuple

from spendgauge.schemas.events import MAX_FUTURE, MAX_PAST
from spendgauge.schemas.positions import MAX_GAPS
from spendgauge.streams.accounting.passed import (
    Ranges,
    first_not_in,
    holds,
    pieces_between,
    with_number,
    without_number,
)

__all__ = [
    "FORGOTTEN_MS",
    "SILENT_MS",
    "UNVERIFIED",
    "Hole",
    "SeqEvent",
    "SourceState",
    "close",
    "decide",
    "pass_over",
    "unseen",
]

UNVERIFIED: Final = -1
"""Opens the holes of which nothing is claimed, for they may have been counted: what comes is counted, nothing is called
missing."""

_ACCEPTED_MS: Final = int((MAX_PAST + MAX_FUTURE).total_seconds() * 1000)

SILENT_MS: Final = 3 * _ACCEPTED_MS // 2
"""A source that was silent for longer begins anew: whatever it sent before is too old to be accepted again, also where
a clock went wrong by two weeks."""

FORGOTTEN_MS: Final = 2 * _ACCEPTED_MS
"""A source that was silent for longer is no longer kept. Known or not, it would begin anew."""


class Hole(NamedTuple):
    """Sequence numbers [first, last] that were jumped over and have not come."""

    first: int
    last: int
    opened_offset: int
    """The offset of the event that jumped, or of the end, or ``UNVERIFIED``."""
    opened_at_ms: int
    """When the broker received that; 0 where it is not known."""


class SeqEvent(NamedTuple):
    """What of a line decides about its source."""

    seq: int
    """Its number; of an end the one that would have followed."""
    offset: int
    at_ms: int
    """When the broker received it."""
    id_known: bool = False
    """Whether its ``event_id`` came before in the same block."""


class SourceState(NamedTuple):
    """Where a source stands."""

    next_seq: int
    holes: tuple[Hole, ...]
    passed: Ranges
    """The numbers of rejected lines, of which some may lie beyond ``next_seq``."""
    unsure: bool
    """Events may have come that this state does not know: the next jump opens an unverified hole."""
    repeats: int
    shared: bool
    """Its sequence cannot be trusted: its events are told apart by ``event_id``, within their block."""
    first_offset: int
    last_at_ms: int

    def expects(self, seq: int) -> bool:
        """Say whether this sequence number would be new."""
        return seq >= self.next_seq or self.hole_of(seq) is not None or holds(self.passed, seq)

    def hole_of(self, seq: int) -> int | None:
        """Find the hole that a sequence number lies in."""
        place = bisect_right(self.holes, seq, key=_first) - 1
        return place if place >= 0 and seq <= self.holes[place].last else None

    @property
    def claimed(self) -> tuple[Hole, ...]:
        """The holes whose events are missing for certain."""
        return tuple(hole for hole in self.holes if hole.opened_offset != UNVERIFIED)


def unseen(offset: int, at_ms: int, *, unsure: bool) -> SourceState:
    """Make the state of a source before its first event, which this is."""
    return SourceState(0, (), (), unsure, 0, shared=False, first_offset=offset, last_at_ms=at_ms)


def decide(state: SourceState, event: SeqEvent, *, at_block_start: SourceState) -> tuple[SourceState, bool]:
    """Say whether an event is new, and where its source stands after it.

    The same ``seq`` twice within one block under two event ids means that two producers share the name. In earlier
    blocks nobody remembers the ids.
    """
    if not state.shared:
        after = _counted(state, event)
        if after is not None:
            return after, True
        state = state._replace(shared=at_block_start.expects(event.seq) and not event.id_known)
    last_at_ms = max(state.last_at_ms, event.at_ms)
    if event.id_known or not state.shared:
        return state._replace(repeats=state.repeats + 1, last_at_ms=last_at_ms), False
    next_seq = max(state.next_seq, event.seq + 1)
    return state._replace(next_seq=next_seq, holes=(), passed=(), last_at_ms=last_at_ms), True


def close(state: SourceState, end: SeqEvent) -> SourceState:
    """Say where a source stands after its end; what it says twice, or late, changes nothing."""
    if state.shared or end.seq <= state.next_seq:
        return state
    return _settled(state, end, next_seq=end.seq, holes=_holes_below(state, end), passed=state.passed, unsure=False)


def pass_over(state: SourceState, event: SeqEvent) -> SourceState:
    """Say where a source stands after a line that was rejected: its number is not missing, and counts if it comes.

    A number beyond the next one opens no gap: that is left to the next event, or the end.
    """
    seq, holes = event.seq, state.holes
    place = state.hole_of(seq)
    if place is not None and holes[place].opened_offset != UNVERIFIED:
        holes = _without(holes, place, seq)
    elif state.shared or seq < state.next_seq or holds(state.passed, seq):
        return state
    passed = with_number(state.passed, seq, next_seq=state.next_seq)
    return _settled(state, event, next_seq=state.next_seq, holes=holes, passed=passed, unsure=state.unsure)


def _counted(state: SourceState, event: SeqEvent) -> SourceState | None:
    """Give the state after a new event; None where the event is not new."""
    next_seq, holes, passed, unsure = state[:4]
    if event.seq >= next_seq:
        next_seq, holes, unsure = event.seq + 1, _holes_below(state, event), False
    elif (place := state.hole_of(event.seq)) is not None:
        holes = _without(holes, place, event.seq)
    elif not holds(passed, event.seq):
        return None
    passed = without_number(passed, event.seq, next_seq=next_seq)
    return _settled(state, event, next_seq=next_seq, holes=holes, passed=passed, unsure=unsure)


def _holes_below(state: SourceState, line: SeqEvent) -> tuple[Hole, ...]:
    """Give the holes after a line that proves that all numbers below its own were used."""
    first, last = state.next_seq, line.seq - 1
    if first > last:
        return state.holes
    opened = (UNVERIFIED, 0) if state.unsure else (line.offset, line.at_ms)
    if not state.passed:
        return (*state.holes, Hole(first, last, *opened))
    return (*state.holes, *(Hole(*piece, *opened) for piece in pieces_between(first, last, state.passed)))


def _settled(
    state: SourceState, line: SeqEvent, *, next_seq: int, holes: tuple[Hole, ...], passed: Ranges, unsure: bool
) -> SourceState:
    """Keep a state within its bounds; numbers that were passed over are not waited for."""
    holes = _bounded(holes)
    if shared := len(holes) > MAX_GAPS:
        holes = passed = ()
    next_seq = first_not_in(passed, next_seq)
    last_at_ms = max(state.last_at_ms, line.at_ms)
    return SourceState(next_seq, holes, passed, unsure, state.repeats, shared, state.first_offset, last_at_ms)


def _bounded(holes: tuple[Hole, ...]) -> tuple[Hole, ...]:
    """Where there are too many, leave out the smallest of those of which nothing is claimed, the first among equals."""
    if len(holes) <= MAX_GAPS:
        return holes
    unclaimed = sorted((hole for hole in holes if hole.opened_offset == UNVERIFIED), key=_size)
    left_out = set(unclaimed[: len(holes) - MAX_GAPS])
    return tuple(hole for hole in holes if hole not in left_out)


def _without(holes: tuple[Hole, ...], place: int, seq: int) -> tuple[Hole, ...]:
    """Take a number out of the hole that it lies in: at most two are left of that."""
    first, last, offset, at_ms = holes[place]
    before = (Hole(first, seq - 1, offset, at_ms),) if first < seq else ()
    behind = (Hole(seq + 1, last, offset, at_ms),) if seq < last else ()
    return (*holes[:place], *before, *behind, *holes[place + 1 :])


def _first(hole: Hole) -> int:
    return hole.first


def _size(hole: Hole) -> int:
    return hole.last - hole.first
