"""Which events were counted already? However the log is cut, read again and taken over, what a set of all says."""

from collections import defaultdict
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.sequences import AT_MS, PlainSequences, Sent, Shelf, frame_of, origin_at, read_log

from spendgauge.schemas.alerts import Alert
from spendgauge.schemas.errors import ConfigurationError
from spendgauge.schemas.positions import MAX_GAPS, PositionKey, PriceEdition, SourceGaps, SourcePosition, read_key
from spendgauge.streams.accounting.accounts import Accounts, SourceWords
from spendgauge.streams.accounting.entries import Start, carry_over, position_of, read_entries, state_of
from spendgauge.streams.accounting.origins import Origin
from spendgauge.streams.accounting.passed import MAX_RANGES
from spendgauge.streams.accounting.positions import Positions
from spendgauge.streams.accounting.sources import (
    FORGOTTEN_MS,
    SILENT_MS,
    UNVERIFIED,
    Hole,
    SeqEvent,
    SourceState,
    decide,
    pass_over,
)

_law = settings(deadline=None, max_examples=60)
_BLOCK = 5
_END = 25
_KEPT = "topic-id:5"

_placed = {"offset": st.integers(0, _END - 1), "source": st.sampled_from(["a", "b", 'c"\\'])}
_events = st.builds(
    Sent,
    **_placed,
    seq=st.none() | st.integers(0, 9),
    event_id=st.integers(1, 30),
    rejected=st.sampled_from([False, False, False, True]),
)
_ends = st.builds(Sent, **_placed, seq=st.integers(0, 9), event_id=st.just(0), ended=st.just(True))
_steady = st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 10)), max_size=30)


def _sorted(events: list[Sent]) -> list[Sent]:
    return sorted(events, key=lambda event: event.offset)


def _counting(draws: list[tuple[str, int]]) -> list[Sent]:
    """Make sources that mostly count on, and sometimes jump, repeat, fill, are rejected, or end and go on: 6 of 11 just
    count on; of those that end every other has lost what it sent last."""
    log, following = [], defaultdict[str, int](int)
    for number, (source, whim) in enumerate(draws):
        after = following[source]
        seq = {0: max(after - 2, 0), 1: after + 2, 10: after + 2}.get(whim, after)
        identity = hash((source, seq)) % 10**9
        log.append(Sent(number * _END // len(draws), source, seq, identity, whim == 2, whim > 8))
        following[source] = max(after, seq if whim > 8 else seq + 1)
    return log


_logs = st.lists(_events | _ends, max_size=40).map(_sorted) | _steady.map(_counting)
_cuts = st.lists(st.integers(1, _END - 1), max_size=6)


def _plainly(events: list[Sent]) -> tuple[list[Sent], PlainSequences]:
    plain = PlainSequences(_BLOCK)
    return [event for event in events if plain.is_new(event)], plain


def _numbers(state: SourceState) -> set[int]:
    return {seq for hole in state.claimed for seq in range(hole.first, hole.last + 1)}


def _last_lines(said: list[SourceWords]) -> dict[str, SourceGaps]:
    lines = sorted((line for words in said for line in words.gaps), key=lambda line: line.version)
    return {line.source: line for line in lines}


def _open_alerts(said: list[SourceWords]) -> set[str]:
    """Name the alerts that stand."""
    states: dict[str, Alert] = {alert.alert_id: alert for words in said for alert in words.alerts}
    return {name for name, alert in states.items() if alert.state == "raised"}


@_law
@given(_logs, _cuts)
def test_new_events_are_those_of_the_plain_way(events: list[Sent], cuts: list[int]) -> None:
    """Duplicates at any distance, late events, filled gaps, rejected lines, ends and shared names: the new events, the
    missing numbers and the repeats are those that sets of all numbers give, however the log is cut."""
    fresh, said, _ = read_log(events, cuts, Shelf(), origin=origin_at(None, block_offsets=_BLOCK), end=_END)
    new, plain = _plainly(events)
    assert fresh == new
    lines = _last_lines(said)
    for source in plain.counted.keys() | plain.rejected.keys() | plain.reached.keys():
        missing = (
            {n for gap in lines[source].gaps for n in range(gap.first_seq, gap.last_seq + 1)}
            if source in lines
            else set()
        )
        assert missing == plain.missing(source)
        assert (lines[source].repeats if source in lines else 0) == plain.repeats[source]
        assert (source in lines and lines[source].shared) == (source in plain.shared)


@_law
@given(_logs, _cuts, st.lists(st.tuples(st.integers(0, 9), st.integers(1, _END), _cuts), max_size=4))
def test_whoever_takes_over_decides_the_same(
    events: list[Sent], cuts: list[int], lives: list[tuple[int, int, list[int]]]
) -> None:
    """A worker that begins at any offset that was committed, with what others wrote before it or beyond it, finds new
    what the first one found new in its part of the log, and writes no entry that differs.

    What can be committed is what somebody has flushed.
    """
    shelf, flushed = Shelf(), [0, *cuts]
    fresh, _, _ = read_log(events, cuts, shelf, origin=origin_at(None, block_offsets=_BLOCK), end=_END)
    for life, end, others in lives:
        origin = origin_at(flushed[life % len(flushed)], block_offsets=_BLOCK)
        if origin.base < end:
            flushed += [cut for cut in [*others, end] if origin.base < cut <= end]
            again, _, _ = read_log(events, others, shelf, origin=origin, end=end)
            assert again == [event for event in fresh if origin.base <= event.offset < end]
    values: dict[bytes | None, set[bytes | None]] = defaultdict(set)
    for key, value in shelf.records:
        values[key].add(value)
    assert [key for key, different in values.items() if len(different) > 1] == []


@_law
@given(_logs, _cuts, st.integers(1, _END - 1), _cuts)
def test_alerts_stand_for_open_gaps(events: list[Sent], cuts: list[int], crash: int, others: list[int]) -> None:
    """However often it was flushed and taken over, an alert stands for each gap that is open, and no other; and the
    figures count them."""
    shelf = Shelf()
    _, said, _ = read_log(events, cuts, shelf, origin=origin_at(None, block_offsets=_BLOCK), end=crash)
    committed = max([0, *(cut for cut in cuts if cut < crash)])
    origin = origin_at(committed, block_offsets=_BLOCK)
    _, more, accounts = read_log(events, others, shelf, origin=origin, end=_END)
    lines = _last_lines([*said, *more])
    missing = [gap.last_seq - gap.first_seq + 1 for line in lines.values() for gap in line.gaps]
    assert accounts.missing == (len(missing), sum(missing))
    gaps = {f"gap:{_KEPT}:1:{gap.opened_offset}:{name}" for name, line in lines.items() for gap in line.gaps}
    assert _open_alerts([*said, *more]) == gaps


@given(
    st.builds(
        SourceState,
        next_seq=st.just(50),
        holes=st.lists(st.integers(0, 9), unique=True, max_size=4).map(
            lambda tens: tuple(
                Hole(ten * 5, ten * 5 + 2, *((ten, 7) if ten % 2 else (UNVERIFIED, 0))) for ten in sorted(tens)
            )
        ),
        passed=st.lists(st.integers(0, 9), unique=True, max_size=4).map(
            lambda tens: tuple((100 + ten * 5, 102 + ten * 5) for ten in sorted(tens))
        ),
        unsure=st.booleans(),
        repeats=st.integers(0, 9),
        shared=st.booleans(),
        first_offset=st.integers(-1, 9),
        last_at_ms=st.integers(0, 9),
    )
)
def test_a_state_survives_its_entry(state: SourceState) -> None:
    """A state is read from its entry as it was written."""
    text = position_of(state).model_dump_json(exclude_defaults=True)
    assert state_of(SourcePosition.model_validate_json(text)) == state


class TestWhatIsSaid:
    """Which lines and alerts does a gap make?"""

    def test_a_gap_is_said_once_and_closed_once(self) -> None:
        """A jump makes a line and a raised alert; what fills a part makes a line; the rest makes the alert resolved."""
        #  offset   0 1 |  2  | 3 4
        #  seq      0 4 |  2  | 1 3
        events = [Sent(n, "a", seq, n + 1) for n, seq in enumerate([0, 4, 2, 1, 3])]
        _, said, _ = read_log(events, [2, 3], Shelf(), origin=origin_at(None, block_offsets=100), end=5)
        shown = [[(gap.first_seq, gap.last_seq) for gap in line.gaps] for words in said for line in words.gaps]
        assert shown == [[(1, 3)], [(1, 1), (3, 3)], []]
        alerts = [(alert.alert_id, alert.state) for words in said for alert in words.alerts]
        assert alerts == [("gap:topic-id:100:1:1:a", "raised"), ("gap:topic-id:100:1:1:a", "resolved")]
        (message,) = {alert.message for words in said for alert in words.alerts if alert.state == "raised"}
        assert message == "3 events (seq 1 to 3) are missing of source a; this was seen at 2025-10-09 08:53:20 UTC."

    def test_a_rejected_line_is_not_missing(self) -> None:
        """Numbers of rejected lines are neither missing nor counted, in a gap they close their part of it; what comes
        under them later counts, once, under the same event id or another, in any block."""
        #  offset   0 1 2 |  3  4 | 5 6 7 8 9
        #  seq      0 1 4 |  2  3 | 1 1 2 3 5     1 and 2 are rejected at first; 3 jumps in time
        log = [(0, 1, False), (1, 2, True), (4, 3, False), (2, 4, True), (3, 5, False)]
        log += [(1, 2, False), (1, 2, False), (2, 9, False), (3, 5, False), (5, 6, False)]
        events = [Sent(n, "a", seq, ident, rejected) for n, (seq, ident, rejected) in enumerate(log)]
        fresh, said, accounts = read_log(events, [3, 5], Shelf(), origin=origin_at(None, block_offsets=_BLOCK), end=10)
        assert [event.offset for event in fresh] == [0, 2, 4, 5, 7, 9]
        shown = [[(gap.first_seq, gap.last_seq) for gap in line.gaps] for words in said for line in words.gaps]
        assert shown == [[(2, 3)], [], []]
        assert (said[-1].gaps[0].repeats, accounts.missing, _open_alerts(said)) == (2, (0, 0), set())

    def test_rejected_numbers_do_not_end_the_trust(self) -> None:
        """Of very many rejected numbers those that are farthest from the next one are forgotten and count as used; gaps
        are told as before."""
        events = [Sent(n, "a", n, n, rejected=n % 2 == 1) for n in range(3 * MAX_GAPS)]
        events += [Sent(len(events), "a", len(events) + 1, len(events))]
        events += [Sent(10**5, "a", 1, 1), Sent(10**5, "a", 3 * MAX_GAPS - 1, 3 * MAX_GAPS - 1)]
        origin = origin_at(None, block_offsets=10**5)
        fresh, said, accounts = read_log(events, [], Shelf(), origin=origin, end=10**5 + 1)
        assert [event.seq for event in fresh[-2:]] == [3 * MAX_GAPS + 1, 3 * MAX_GAPS - 1]
        assert (said[-1].gaps[0].shared, accounts.missing) == (False, (1, 1))

    def test_an_absurd_number_claims_nothing(self) -> None:
        """A rejected line opens no gap, whatever number it names: an event or an end that goes on does."""
        #  offset   0      1     2 3 4    5 6 7 8
        #  seq      0  2**62     1 2 4*   5 6 8* 10 (end)      * rejected
        log = [(0, False), (2**62, True), (1, False), (2, False), (4, True), (5, False), (6, False), (8, True)]
        events = [Sent(n, "a", seq, n, rejected) for n, (seq, rejected) in enumerate(log)]
        events.append(Sent(len(log), "a", 10, 0, ended=True))
        fresh, said, accounts = read_log(events, [2], Shelf(), origin=origin_at(None, block_offsets=100), end=9)
        assert [event.seq for event in fresh] == [0, 1, 2, 5, 6]
        shown = [(gap.first_seq, gap.last_seq, gap.opened_offset) for line in said[-1].gaps for gap in line.gaps]
        assert shown == [(3, 3, 5), (7, 7, 8), (9, 9, 8)]
        assert (accounts.missing, len(_open_alerts(said))) == ((3, 3), 2)

    @pytest.mark.parametrize("cut", [1, 2, 3, 4])
    def test_numbers_are_passed_over_ahead_of_time(self, cut: int) -> None:
        """A line that is rejected before its turn, out of a spool that is read backwards: a source that counts on over
        its number lacks nothing, and what comes under the number counts, once, however the log is cut."""
        #  offset   0   1  2 3 | 4    5 6
        #  seq      2*  4* 0 1 | 3    4 4      * rejected
        log = [(2, True), (4, True), (0, False), (1, False), (3, False), (4, False), (4, False)]
        events = [Sent(n, "a", seq, 10 + seq, rejected) for n, (seq, rejected) in enumerate(log)]
        shelf = Shelf()
        fresh, _, accounts = read_log(events, [cut], shelf, origin=origin_at(None, block_offsets=4), end=7)
        assert [event.seq for event in fresh] == [0, 1, 3, 4]
        assert accounts.missing == (0, 0)
        entry = read_entries(shelf.records).positions[PositionKey("topic-id:4", 1, "a")]
        assert (entry.next_seq, entry.passed) == (3, ((2, 2), (4, 4)))

    def test_a_gap_is_named_by_its_first_number(self) -> None:
        """What a jump leaves out on both sides of a rejected line is one gap, and its resolution names its first
        number."""
        log = [(0, False), (2, True), (4, False), (1, False), (3, False)]
        events = [Sent(n, "a", seq, n, rejected) for n, (seq, rejected) in enumerate(log)]
        (said,) = read_log(events, [], Shelf(), origin=origin_at(None, block_offsets=100), end=5)[1]
        assert [alert.message for alert in said.alerts] == ["What was missing of source a from seq 1 on has come."]

    def test_nothing_is_said_of_sources_that_count(self) -> None:
        """A source that counts on from 0 is worth no word."""
        events = [Sent(n, "a", n, n + 1) for n in range(9)]
        _, said, _ = read_log(events, [4], Shelf(), origin=origin_at(None, block_offsets=100), end=9)
        assert [words.gaps + words.alerts for words in said] == [[], []]

    def test_what_was_committed_is_not_said_again(self) -> None:
        """A rebuild passes over gaps below the committed offset in silence."""
        events = [Sent(n, "a", seq, n + 1) for n, seq in enumerate([0, 4, 5, 6])]
        _, said, _ = read_log(events, [], Shelf(), origin=origin_at(3, block_offsets=100), end=4)
        assert [words.gaps + words.alerts for words in said] == [[]]


class TestWhatIsNotKnown:
    """What is claimed where the log's past is lost?"""

    def _unverified(self, start: Start, origin: Origin, seqs: list[int]) -> tuple[list[int], set[int]]:
        """Read these numbers of source a; give those that count, and those that are called missing."""
        events = [Sent(origin.base + n, "a", seq, seq) for n, seq in enumerate(seqs)]
        positions = Positions(start.known, unverified=start.unverified)
        kept = positions.fresh(frame_of(events))["seq"].to_list()
        changes, moved = positions.take()
        return kept, {n for change in changes for n in _numbers(change.state)} | _numbers(moved["a"])

    def test_without_entries_a_log_that_goes_on_claims_nothing(self) -> None:
        """Where entries are lost the first event says where its source stands; what comes from below counts, once."""
        origin = origin_at(7, block_offsets=_BLOCK)
        start = Shelf().start(origin)
        assert start.unverified
        assert self._unverified(start, origin, [6, 3, 3, 9]) == ([6, 3, 9], {7, 8})

    def test_a_new_log_claims_from_zero(self) -> None:
        """Where a log has its first offset, and nothing was there before, what is below a first event is missing."""
        origin = origin_at(None, block_offsets=_BLOCK)
        assert self._unverified(Shelf().start(origin), origin, [2]) == ([2], {0, 1})

    def test_a_block_without_its_start_claims_nothing_new(self) -> None:
        """Below what an entry says all is a repeat; beyond it events may have come in the part that is lost."""
        shelf = Shelf()
        read_log([Sent(0, "a", 0, 1)], [], shelf, origin=origin_at(None, block_offsets=_BLOCK), end=_BLOCK)
        origin = origin_at(8, block_offsets=_BLOCK, log_start=7)
        assert origin.base == 8
        assert self._unverified(shelf.start(origin), origin, [0, 4, 2, 6]) == ([4, 2, 6], {5})

    def test_a_rejected_line_proves_nothing(self) -> None:
        """Where the past is unknown, an event says where its source stands; a rejected line does not."""
        origin = origin_at(7, block_offsets=_BLOCK)
        events = [Sent(7, "a", 0, 1, rejected=True), Sent(8, "a", 4, 2), Sent(9, "a", 6, 3)]
        fresh, said, accounts = read_log(events, [], Shelf(), origin=origin, end=10)
        assert (fresh, accounts.missing) == (events[1:], (1, 1))
        assert [(gap.first_seq, gap.last_seq) for line in said[0].gaps for gap in line.gaps] == [(5, 5)]

    def test_gaps_of_a_lost_part_are_let_go(self) -> None:
        """What was missing where the lost part begins may have come in it: it is called missing no more, the alert is
        resolved with these words, and what comes of it counts; a gap that is seen since is claimed as ever."""
        shelf = Shelf()
        told = [Sent(0, "a", 3, 3), Sent(1, "b", 0, 1)]
        read_log(told, [], shelf, origin=origin_at(None, block_offsets=_BLOCK), end=_BLOCK)
        events = [Sent(8, "a", 4, 4), Sent(9, "a", 6, 6), Sent(9, "a", 1, 7), Sent(9, "a", 5, 5), Sent(9, "a", 8, 8)]
        origin = origin_at(8, block_offsets=_BLOCK, log_start=7)
        fresh, said, accounts = read_log(events, [], shelf, origin=origin, end=10)
        assert (fresh, accounts.missing) == (events, (1, 1))
        (line,) = said[0].gaps
        assert [(gap.first_seq, gap.last_seq) for gap in line.gaps] == [(7, 7)]
        alerts = {alert.alert_id: alert for alert in said[0].alerts}
        assert [(name, alert.state) for name, alert in alerts.items()] == [
            (f"gap:{_KEPT}:1:9:a", "raised"),
            (f"gap:{_KEPT}:1:0:a", "resolved"),
        ]
        assert alerts[f"gap:{_KEPT}:1:0:a"].message == (
            "Part of the log is gone, so nobody knows any more whether what was missing of source a from seq 0 on "
            "has come."
        )

    def test_offsets_that_were_set_back_claim_nothing(self) -> None:
        """Where the entry below is removed, and one beyond shows that the source had begun, nothing is claimed."""
        shelf = Shelf()
        events = [Sent(n, "a", n, n + 1) for n in range(11)]
        read_log(events, [], shelf, origin=origin_at(None, block_offsets=_BLOCK), end=11)
        shelf.records.append((PositionKey(_KEPT, 1, "a").encode(), None))
        origin = origin_at(6, block_offsets=_BLOCK)
        assert self._unverified(shelf.start(origin), origin, [5, 6]) == ([5, 6], set())

    def test_a_recreated_topic_is_not_a_new_one(self) -> None:
        """Entries of another topic id say what was counted at least, and that sources may have sent more; they are
        removed once the new stream has a commit."""
        shelf = Shelf()
        read_log([Sent(0, "a", 0, 1)], [], shelf, origin=Origin("old:5", 5, 0, 0), end=_BLOCK)
        origin = origin_at(None, block_offsets=_BLOCK)
        start = shelf.start(origin)
        assert self._unverified(start, origin, [0, 7]) == ([7], set())
        accounts = Accounts(start, origin, partition=1, price_version="book")
        assert all(value is not None for _, value in accounts.take(version=0, committed_block=None).entries)
        removed = accounts.take(version=0, committed_block=0).entries
        assert {key for key, value in removed if value is None} == {
            PositionKey("old:5", 1, "a").encode(),
            b'["old:5","book",0]',
        }

    def test_who_lived_through_it_knows(self) -> None:
        """A worker carries what it knows over to the recreated topic: repeats stay repeats, the next jump is a gap, and
        what was missing in the old topic counts without being called missing in the new one, also for a successor."""
        state = SourceState(5, (Hole(1, 2, 9, 9),), (), False, 0, shared=False, first_offset=3, last_at_ms=AT_MS)
        origin, shelf = origin_at(None, block_offsets=_BLOCK), Shelf()
        start = shelf.start(origin, carried=carry_over({"a": state}, unverified=False))
        assert self._unverified(start, origin, [4, 1, 6]) == ([1, 6], {5})
        accounts = Accounts(start, origin, partition=1, price_version="book")
        shelf.records += accounts.take(version=0, committed_block=None).entries
        assert self._unverified(shelf.start(origin), origin, [4, 1, 6]) == ([1, 6], {5})

    def test_not_knowing_is_remembered(self) -> None:
        """A successor knows that its predecessor began without knowing, though sources have entries now."""
        shelf = Shelf()
        read_log([Sent(7, "b", 3, 1)], [], shelf, origin=origin_at(7, block_offsets=_BLOCK), end=10)
        origin = origin_at(11, block_offsets=_BLOCK)
        assert self._unverified(shelf.start(origin), origin, [8]) == ([8], set())

    def test_another_block_size_knows_the_same(self) -> None:
        """Entries of the same topic under another block size say where sources stand at the same offsets."""
        shelf = Shelf()
        events = [Sent(n, "a", n, n + 1) for n in range(8)]
        read_log(events, [], shelf, origin=origin_at(None, block_offsets=4), end=8)
        origin = origin_at(8, block_offsets=8)
        assert self._unverified(shelf.start(origin), origin, [7, 8, 10]) == ([8, 10], {9})


class TestEntries:
    """Which entries are written, and which are removed?"""

    def test_only_what_a_block_changed_is_written(self) -> None:
        """When a block ends, each source that sent in it gets one entry; of blocks that end in one flush, the last."""
        #  offset   0 1 2 3 4 | 5 6 7 8 9 | 10
        #  source   a b         a           b
        events = [Sent(0, "a", 0, 1), Sent(1, "b", 0, 2), Sent(5, "a", 1, 3), Sent(10, "b", 1, 4)]
        shelf = Shelf()
        read_log(events, [7], shelf, origin=origin_at(None, block_offsets=_BLOCK), end=11)
        keys = {read_key(key) for key, _ in shelf.records[1:]}
        assert keys == {PositionKey(_KEPT, 1, "a"), PositionKey(_KEPT, 1, "b"), PositionKey(_KEPT, 2, "a")}
        assert len(shelf.records) == 4
        assert read_entries(shelf.records).positions[PositionKey(_KEPT, 2, "a")].next_seq == 2

    def test_superseded_entries_wait_for_the_commit(self) -> None:
        """An entry is removed once an offset of the block is committed in which a newer one holds; the next worker
        removes what this one could not."""
        shelf = Shelf()
        events = [Sent(n, "a", n, n + 1) for n in range(12)]
        _, _, accounts = read_log(events, [6], shelf, origin=origin_at(None, block_offsets=_BLOCK), end=12)
        assert accounts.take(version=11, committed_block=1).entries == []
        first = (PositionKey(_KEPT, 1, "a").encode(), None)
        origin = origin_at(11, block_offsets=_BLOCK)
        successor = Accounts(shelf.start(origin), origin, partition=1, price_version="book")
        for one in (accounts, successor):
            assert one.take(version=11, committed_block=2).entries == [first]
        shelf.records.append(first)
        assert shelf.keys() == [b'["topic-id:5","book",0]', PositionKey(_KEPT, 2, "a").encode()]

    def test_silent_sources_are_forgotten(self) -> None:
        """A source that was silent for longer than any of its events may be late begins anew, and its entry goes."""
        positions = Positions({})
        at = pl.col("received_at_ms")
        first, second = frame_of([Sent(0, "a", 0, 1), Sent(1, "b", 0, 2)]), frame_of([Sent(6, "a", 0, 3)])
        positions.fresh(first)
        assert positions.end_block()[1] == []
        assert len(positions.fresh(second.with_columns(at + SILENT_MS + 1))) == 1
        assert positions.end_block()[1] == []
        assert len(positions.fresh(frame_of([Sent(7, "c", 0, 4)]).with_columns(at + FORGOTTEN_MS + 1))) == 1
        changed, silent = positions.end_block()
        assert (sorted(changed), silent, len(positions)) == (["c"], ["b"], 2)

    def test_what_begins_anew_within_a_block_is_new(self) -> None:
        """A source that begins anew in the block in which it was silent: its numbers are new however the log is cut,
        also where they jump, and also where its first event and the silence are in one chunk."""
        early, late = [0, 1, 2, 3], [0, 2, 4]
        events = frame_of([Sent(n, "a", seq, n + 1) for n, seq in enumerate([*early, *late])])
        since = pl.when(pl.col("offset") >= len(early)).then(SILENT_MS + 1).otherwise(0)
        events = events.with_columns(pl.col("received_at_ms") + since)
        going_on = frame_of([Sent(0, "a", 0, 1), Sent(1, "a", 1, 2)])
        going_on = going_on.with_columns(pl.col("received_at_ms") + pl.col("offset") * (SILENT_MS + 1))
        for log, gaps in ((events, 2), (going_on, 1)):
            for size in (1, len(log)):
                positions = Positions({})
                assert sum(len(positions.fresh(part)) for part in log.iter_slices(size)) == len(log)
                assert positions.missing == (gaps, gaps)

    def test_what_another_version_wrote_is_left_alone(self) -> None:
        """Keys and values that cannot be read are passed over, and never removed."""
        strange: list[tuple[bytes | None, bytes | None]] = [
            (b"?", b"{}"),
            (None, b"x"),
            (PositionKey(_KEPT, 0, "a").encode(), b'{"next":1}'),
        ]
        assert read_entries(strange) == read_entries([])


class TestSharedNames:
    """What becomes of sources whose sequence cannot be trusted?"""

    def test_two_producers_of_one_name_all_count(self) -> None:
        """The same number under two event ids within a block: from there on all events count, but true repeats."""
        #  offset   0 1 2 3 4 5 6
        #  seq      0 0 1 1 1 2 2      ids 1 2 3 4 4 5 6
        events = [
            Sent(n, "a", seq, ident)
            for n, (seq, ident) in enumerate(zip([0, 0, 1, 1, 1, 2, 2], [1, 2, 3, 4, 4, 5, 6], strict=True))
        ]
        fresh, said, _ = read_log(events, [], Shelf(), origin=origin_at(None, block_offsets=100), end=7)
        assert [event.event_id for event in fresh] == [1, 2, 3, 4, 5, 6]
        (line,) = said[0].gaps
        assert (line.shared, line.gaps, line.repeats) == (True, (), 1)

    def test_too_many_gaps_end_the_trust(self) -> None:
        """With more than 1,024 gaps a source is no longer held to its sequence, and the alerts are resolved."""
        events = [Sent(n, "a", 2 * n + 1, n) for n in range(MAX_GAPS + 1)]
        origin = origin_at(None, block_offsets=10**6)
        fresh, said, _ = read_log(events, [5], Shelf(), origin=origin, end=MAX_GAPS + 1)
        assert len(fresh) == MAX_GAPS + 1
        assert [line.shared for words in said for line in words.gaps] == [False, True]
        assert _open_alerts(said) == set()


def test_a_gap_that_a_dead_worker_spoke_of_is_resolved() -> None:
    """Events out of order within one chunk of a worker, and cut apart between two chunks of one that died before it
    could commit: the gap that the dead one raised is closed."""
    events = [Sent(0, "a", 0, 1), Sent(1, "a", 2, 2), Sent(2, "a", 1, 3)]
    dead = read_log(events, [1, 2], Shelf(), origin=origin_at(None, block_offsets=100), end=2)[1]
    assert _open_alerts(dead)
    after = read_log(events, [], Shelf(), origin=origin_at(1, block_offsets=100), end=3)[1]
    assert _open_alerts(dead + after) == set()


def test_rejected_numbers_are_bounded() -> None:
    """A source that sends bad lines for ever does not grow, and what nobody knows of its past stays open."""
    state = SourceState(1000, (Hole(0, 999, UNVERIFIED, 0),), (), False, 0, shared=False, first_offset=0, last_at_ms=0)
    for number in range(1000, 3000, 2):
        state, _ = decide(state, SeqEvent(number, number, 0), at_block_start=state)
        state = pass_over(state, SeqEvent(number + 1, number, 0))
    assert len(state.passed) == MAX_RANGES
    assert [state.expects(seq) for seq in (0, 1001, 2999 - 2 * MAX_RANGES, 2999)] == [True, False, False, True]


def test_an_alert_counts_all_that_a_record_jumped_over() -> None:
    """A record of many events that jumps twice opens one gap: the alert says how many events are missing in all."""
    events = [Sent(0, "a", seq, ident) for ident, seq in enumerate([0, 2, 10], start=1)]
    (said,) = read_log(events, [], Shelf(), origin=origin_at(None, block_offsets=100), end=1)[1]
    (alert,) = said.alerts
    assert alert.message.startswith("8 events (seq 1 to 9) are missing of source a;")


class TestEditions:
    """How is a change of the price book told?"""

    def _take(self, shelf: Shelf, committed: int | None, book: str) -> Accounts:
        origin = origin_at(committed, block_offsets=_BLOCK)
        accounts = Accounts(shelf.start(origin), origin, partition=1, price_version=book)
        shelf.records += accounts.take(version=0, committed_block=None).entries
        return accounts

    def test_another_book_is_another_edition(self) -> None:
        """The first worker says its book; one with the same book goes on; another book is one edition more, under which
        the block is written from its start."""
        shelf = Shelf()
        lives: list[tuple[int | None, str]] = [(None, "x"), (7, "x"), (8, "y"), (9, "y"), (9, "x")]
        seen = [(one.edition, one.written_below) for one in (self._take(shelf, *life) for life in lives)]
        assert seen == [(0, 0), (0, 7), (1, 5), (1, 9), (2, 5)]
        assert self._take(shelf, 9, "x").written_below == 5, "nothing is committed since, so it may not be all there"
        assert len(shelf.records) == 3

    def test_there_is_an_end_to_editions(self) -> None:
        """More books than can be told apart are refused with a sentence."""
        start: Any = Start(edition=65_535, book=PriceEdition(price_version="x"))
        with pytest.raises(ConfigurationError, match="prices have changed 65536 times for partition 1"):
            Accounts(start, origin_at(7, block_offsets=_BLOCK), partition=1, price_version="y")
