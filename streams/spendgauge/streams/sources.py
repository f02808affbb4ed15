"""Was this event of a source counted already? What its sequence number says, given the ones before.

A source counts from 0 without a hole. So what is remembered of it is one number, the next ``seq``, and the holes
below it, of which there are normally none:

    seq      0 1 2 3 4 5 6 7 8 9
    seen     x x x . . x x . x       next_seq 9, holes [3, 4] and [7, 7]

A ``seq`` from ``next_seq`` on, or in a hole, is new. All else is a repeat, whatever its age. A line that was rejected
is not missing, and was not counted: its number is a hole of which nothing is claimed. A state is a value, and each
decision is a function of the state and the event: the same log gives the same states to whoever reads it.
"""

from bisect import bisect_right
from collections.abc import Iterator
from typing import Final, NamedTuple

from spendgauge.schemas.events import MAX_FUTURE, MAX_PAST
from spendgauge.schemas.positions import MAX_GAPS

__all__ = [
    "FORGOTTEN_MS",
    "SILENT_MS",
    "UNVERIFIED",
    "Hole",
    "SeqEvent",
    "SourceState",
    "decide",
    "pass_over",
    "unseen",
]

UNVERIFIED: Final = -1
"""Opens the holes of which nothing is claimed, for they may have been counted, or were rejected: what comes is counted,
nothing is called missing."""

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
    """The offset of the event that jumped, or ``UNVERIFIED``."""
    opened_at_ms: int
    """When the broker received that event; 0 where it is not known."""


class SeqEvent(NamedTuple):
    """What of an event decides whether it is new."""

    seq: int
    offset: int
    at_ms: int
    """When the broker received it."""
    id_known: bool
    """Whether its ``event_id`` came before in the same block."""


class SourceState(NamedTuple):
    """Where a source stands."""

    next_seq: int
    holes: tuple[Hole, ...]
    unsure: bool
    """Events may have come that this state does not know: the next jump opens an unverified hole."""
    repeats: int
    shared: bool
    """Its sequence cannot be trusted: its events are told apart by ``event_id``, within their block."""
    first_offset: int
    last_at_ms: int

    def expects(self, seq: int) -> bool:
        """Say whether this sequence number would be new."""
        return seq >= self.next_seq or self.hole_of(seq) is not None

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
    return SourceState(0, (), unsure, 0, shared=False, first_offset=offset, last_at_ms=at_ms)


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
    return state._replace(next_seq=max(state.next_seq, event.seq + 1), holes=(), last_at_ms=last_at_ms), True


def pass_over(state: SourceState, event: SeqEvent) -> SourceState:
    """Say where a source stands after a line that was rejected: its number is not missing, and counts if it comes.

    Where the source stood before is as unsure as it was: a bad line is no proof.
    """
    after = None if state.shared else _counted(state, event)
    if after is None or after.shared:
        return after or state
    place = bisect_right(after.holes, event.seq, key=_first)
    before, behind = after.holes[:place], after.holes[place:]
    passed = Hole(event.seq, event.seq, UNVERIFIED, 0)
    if before and before[-1].opened_offset == UNVERIFIED and before[-1].last == event.seq - 1:
        before, passed = before[:-1], passed._replace(first=before[-1].first)
    if behind and behind[0].opened_offset == UNVERIFIED and behind[0].first == event.seq + 1:
        behind, passed = behind[1:], passed._replace(last=behind[0].last)
    return after._replace(holes=_bounded((*before, passed, *behind)), unsure=state.unsure)


def _counted(state: SourceState, event: SeqEvent) -> SourceState | None:
    """Give the state after a new event; None where the event is not new."""
    next_seq, holes, unsure = state.next_seq, state.holes, state.unsure
    if event.seq >= next_seq:
        if event.seq > next_seq:
            opened = (UNVERIFIED, 0) if unsure else (event.offset, event.at_ms)
            holes = (*holes, Hole(next_seq, event.seq - 1, *opened))
        next_seq, unsure = event.seq + 1, False
    elif (place := state.hole_of(event.seq)) is not None:
        holes = (*holes[:place], *_without(event.seq, holes[place]), *holes[place + 1 :])
    else:
        return None
    holes = _bounded(holes)
    shared = len(holes) > MAX_GAPS
    last_at_ms = max(state.last_at_ms, event.at_ms)
    return SourceState(next_seq, () if shared else holes, unsure, state.repeats, shared, state.first_offset, last_at_ms)


def _bounded(holes: tuple[Hole, ...]) -> tuple[Hole, ...]:
    """Where there are too many, leave out the smallest of those of which nothing is claimed, the first among equals."""
    if len(holes) <= MAX_GAPS:
        return holes
    unclaimed = sorted((hole for hole in holes if hole.opened_offset == UNVERIFIED), key=_size)
    left_out = set(unclaimed[: len(holes) - MAX_GAPS])
    return tuple(hole for hole in holes if hole not in left_out)


def _without(seq: int, hole: Hole) -> Iterator[Hole]:
    """Give what is left of a hole when one of its events has come: at most two."""
    if hole.first < seq:
        yield hole._replace(last=seq - 1)
    if seq < hole.last:
        yield hole._replace(first=seq + 1)


def _first(hole: Hole) -> int:
    return hole.first


def _size(hole: Hole) -> int:
    return hole.last - hole.first
