"""Which events of a partition were counted already, and where does each of its sources stand?

A well-behaved source goes on where it was, and ends where it is: its events of a chunk are then the next numbers
without a hole, found out with one group-by for all sources and remembered as two numbers. A source that sends again
what it sent before the block is as quickly told. Only sources that do otherwise, or of which a line was rejected, are
looked at line by line (``sources``). Events without a ``seq`` (foreign writers) are told apart by ``event_id`` within
their block.

What is known at a block's start is a function of the log before it, and each decision depends on that and on the
block's events before it alone. So a rebuild from the block's start decides as the first reading did, however the log
is cut into chunks.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from heapq import merge

import polars as pl

from spendgauge.streams.accounting.passed import first_not_in, overlaps
from spendgauge.streams.accounting.runs import EventIds, Remark, Run, is_told, rows_of, runs_of
from spendgauge.streams.accounting.sources import (
    FORGOTTEN_MS,
    SILENT_MS,
    UNVERIFIED,
    Hole,
    SeqEvent,
    SourceState,
    close,
    decide,
    pass_over,
    unseen,
)

__all__ = ["Positions", "SourceChange"]


@dataclass
class SourceChange:
    """What became of the holes and repeats of one source since it was last taken."""

    source: str
    before: SourceState
    state: SourceState
    opened: dict[int, Hole] = field(default_factory=dict)
    """The gaps that were opened, by the offset of what opened them."""
    forgotten: bool = False
    """Nobody knows any more whether the gaps that were open before are closed."""

    @property
    def raised(self) -> list[Hole]:
        """List the gaps that are open now and were not before."""
        return _without(_gaps(self.state), _gaps(self.before))

    @property
    def resolved(self) -> list[Hole]:
        """List the gaps that were opened, before or meanwhile, and are closed; as they were when they were opened.

        One that was opened and closed meanwhile is among them: a worker that died may have said that it is open.
        """
        return _without(_gaps(self.before) | self.opened, _gaps(self.state))


class Positions:
    """Remembers where each source of one partition stands; a worker has one for each reading."""

    def __init__(
        self,
        known: Mapping[str, SourceState],
        *,
        unverified: bool = False,
        acknowledged: int = 0,
        forgotten: Mapping[str, SourceState] | None = None,
    ) -> None:
        """``known``: the states where the reading begins; ``unverified``: other sources may have sent before, too;
        ``forgotten``: what was said of those whose gaps are not known any more.

        Changes below the ``acknowledged`` offset were reported before.
        """
        self._states = dict(known)
        self._lacking = {source: state.claimed for source, state in known.items() if state.claimed}
        self._unverified = unverified
        self._acknowledged = acknowledged
        self._at_block_start = {source: state for source, state in known.items() if state.unsure}
        self._ids = EventIds()
        self._changes = {
            source: SourceChange(source, before, known[source], forgotten=True)
            for source, before in (forgotten or {}).items()
        }
        self._moved: set[str] = set()

    def __len__(self) -> int:
        """How many sources are remembered."""
        return len(self._states)

    @property
    def missing(self) -> tuple[int, int]:
        """How many gaps are open, and how many events they lack; any thread may ask."""
        holes = [hole for held in list(self._lacking.values()) for hole in held]
        return len(holes), sum(hole.last - hole.first + 1 for hole in holes)

    def fresh(self, events: pl.DataFrame, remarks: Sequence[Remark] = ()) -> pl.DataFrame:
        """Return the events that were not counted before, in order, and remember them. All are of one block.

        ``remarks``: what the other lines among them say, in order too.
        """
        if events.is_empty() and not remarks:
            return events
        seen = events.select("source", "seq", "offset", "line", "received_at_ms", id=pl.col("event_id").hash())
        numbered = seen.filter(pl.col("seq").is_not_null()) if seen["seq"].null_count() else seen
        unruly, replayed = self._sort_out(runs_of(numbered), remarks)
        repeated = rows_of(seen, replayed)
        if unruly or len(numbered) < len(seen):
            repeated += self._repeated(seen, unruly, [one for one in remarks if one.source in unruly])
        self._ids.add(seen["id"])
        if not repeated:
            return events
        rows = pl.Series(repeated, dtype=pl.UInt32)
        return events.filter(~pl.int_range(pl.len(), dtype=pl.UInt32).is_in(rows.implode()))

    def end_block(self) -> tuple[dict[str, SourceState], list[str]]:
        """Begin a block: return the states that the ended one changed, and the sources that were silent for so long
        that they are forgotten."""
        changed = {source: self._states[source] for source in self._at_block_start}
        now_ms = min((state.last_at_ms for state in changed.values()), default=0)
        silent = [source for source, state in self._states.items() if now_ms - state.last_at_ms > FORGOTTEN_MS]
        for source in silent:
            del self._states[source]
            self._lacking.pop(source, None)
        self._at_block_start = {}
        self._ids = EventIds()
        return changed, silent

    def take(self) -> tuple[list[SourceChange], dict[str, SourceState]]:
        """Take what is to be reported, and the states that moved, since the last time."""
        moved = {source: self._states[source] for source in self._moved if source in self._states}
        changes = [replace(change, state=moved.get(source, change.state)) for source, change in self._changes.items()]
        self._changes, self._moved = {}, set()
        return changes, moved

    def _sort_out(self, runs: Iterable[Run], remarks: Sequence[Remark]) -> tuple[set[str], set[str]]:
        """Remember what is told at a glance; return the sources that must be looked at line by line, and those of which
        all events are repeated."""
        unruly = {one.source for one in remarks if not one.ended}
        ends: dict[str, list[Remark]] = defaultdict(list)
        for one in remarks:
            if one.source not in unruly:
                ends[one.source].append(one)
        others = [run for run in runs if run.source not in unruly and not self._follow(run, ends.get(run.source, ()))]
        replayed = {run.source for run in others if self._replays(run, ends.get(run.source, ()))}
        unruly.update(run.source for run in others if run.source not in replayed)
        unruly.update(source for source, told in ends.items() if not self._knows(told))
        return unruly, replayed

    def _follow(self, run: Run, ends: Sequence[Remark]) -> bool:
        """Remember a source's events where they are just the next ones, each once, and the end says no more; say
        whether that is so."""
        source, low, high, events, rising, offset, _, _, first_at_ms, at_ms = run
        state = self._states.get(source) or unseen(offset, first_at_ms, unsure=self._unverified)
        next_seq, holes, passed, unsure, repeats, shared, first_offset, last_at_ms = state
        if not (rising and low == next_seq and high - low + 1 == events):
            return False
        if shared or unsure or at_ms - last_at_ms > SILENT_MS:
            return False
        if passed and overlaps(passed, low, high):
            return False
        if ends and not all(is_told(end, run, last_at_ms) for end in ends):
            return False
        self._at_block_start.setdefault(source, state)
        next_seq = first_not_in(passed, high + 1) if passed else high + 1
        last_at_ms = max(last_at_ms, at_ms)
        self._keep(source, SourceState(next_seq, holes, passed, unsure, repeats, shared, first_offset, last_at_ms))
        return True

    def _replays(self, run: Run, ends: Sequence[Remark]) -> bool:
        """Remember a source's events where all were counted before this block; say whether they were."""
        state = self._states.get(run.source)
        if state is None or state.shared or run.last_at_ms - state.last_at_ms > SILENT_MS:
            return False
        before = self._at_block_start.get(run.source, state)
        if before.holes or run.high >= before.next_seq or overlaps(before.passed, run.low, run.high):
            return False
        if not self._knows(ends):
            return False
        self._at_block_start.setdefault(run.source, state)
        repeats, last_at_ms = state.repeats + run.events, max(state.last_at_ms, run.last_at_ms)
        after = state._replace(repeats=repeats, last_at_ms=last_at_ms)
        self._keep(run.source, after)
        if run.last_offset >= self._acknowledged:
            self._note(run.source, state, after, run.last_offset)
        return True

    def _knows(self, ends: Sequence[Remark]) -> bool:
        """Say whether these ends of one source say nothing that is not known without them."""
        state = self._states.get(ends[0].source) if ends else None
        if state is None:
            return not any(end.seq for end in ends)
        since_ms = max(end.at_ms for end in ends) - state.last_at_ms
        return since_ms <= SILENT_MS and (state.shared or max(end.seq for end in ends) <= state.next_seq)

    def _repeated(self, seen: pl.DataFrame, unruly: set[str], remarks: Sequence[Remark]) -> list[int]:
        """Look at the lines of unruly sources, and at events without a number, one by one; list the repeats' rows."""
        marked = seen.with_row_index("row").with_columns(known=~pl.col("id").is_first_distinct())
        marked = marked.filter(pl.col("seq").is_null() | pl.col("source").is_in(unruly))
        known = marked["known"] | self._ids.holds(marked["id"])
        lines = marked.select("offset", "line", "source", "seq", "received_at_ms", known, "row").iter_rows()
        repeated = []
        for offset, _, source, seq, at_ms, marked_so, *row in merge(lines, remarks):
            if not row:
                self._heed(source, SeqEvent(seq, offset, at_ms), close if marked_so else pass_over)
            elif not self._is_new(source, SeqEvent(seq, offset, at_ms, id_known=marked_so)):
                repeated += row
        return repeated

    def _is_new(self, source: str, event: SeqEvent) -> bool:
        if event.seq is None:
            return not event.id_known
        before = self._before(source, event)
        after, new = decide(before, event, at_block_start=self._begin_from(source, before))
        self._move(source, before, after, event)
        return new

    def _heed(self, source: str, line: SeqEvent, says: Callable[[SourceState, SeqEvent], SourceState]) -> None:
        """Take in a line that is no event; most ends change nothing."""
        before = self._before(source, line)
        after = says(before, line)
        if after is not before:
            self._begin_from(source, before)
            self._move(source, before, after, line)

    def _before(self, source: str, event: SeqEvent) -> SourceState:
        """Say where a source stands before a line."""
        before = self._states.get(source)
        if before is None or event.at_ms - before.last_at_ms > SILENT_MS:
            return unseen(event.offset, event.at_ms, unsure=self._unverified)
        return before

    def _begin_from(self, source: str, before: SourceState) -> SourceState:
        """Say where a source stood at the block's start, or where it began anew since."""
        if before is not self._states.get(source):
            self._at_block_start[source] = before
        return self._at_block_start.setdefault(source, before)

    def _move(self, source: str, before: SourceState, after: SourceState, event: SeqEvent) -> None:
        """Remember where a line has brought its source."""
        self._keep(source, after)
        if after.holes is not before.holes:
            self._lacking[source] = after.claimed
        if event.offset >= self._acknowledged:
            self._note(source, before, after, event.offset)

    def _note(self, source: str, before: SourceState, after: SourceState, offset: int) -> None:
        """Remember for the next report what a line has changed, if that is worth a word."""
        if (after.holes, after.repeats, after.shared) == (before.holes, before.repeats, before.shared):
            return
        change = self._changes.setdefault(source, SourceChange(source, before, after))
        claimed = after.claimed
        if after.next_seq > before.next_seq and claimed and claimed[-1].opened_offset == offset:
            change.opened.setdefault(offset, _gaps(after)[offset])

    def _keep(self, source: str, state: SourceState) -> None:
        self._states[source] = state
        self._moved.add(source)


def _gaps(state: SourceState) -> dict[int, Hole]:
    """Name each gap by its opening offset; of its parts the first stands for it."""
    return {hole.opened_offset: hole for hole in reversed(state.holes) if hole.opened_offset != UNVERIFIED}


def _without(gaps: dict[int, Hole], others: dict[int, Hole]) -> list[Hole]:
    return [gaps[offset] for offset in sorted(gaps.keys() - others.keys())]
