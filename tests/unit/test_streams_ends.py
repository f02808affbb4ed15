"""What does a source's end tell? What is missing behind its last event, and nothing else."""

import pytest
from tests.sequences import Sent, Shelf, frame_of, origin_at, read_log, remarks_of

from spendgauge.streams.accounting.accounts import SourceWords
from spendgauge.streams.accounting.positions import Positions

_BLOCK = 5


def _end(offset: int, next_seq: int, source: str = "a") -> Sent:
    return Sent(offset, source, next_seq, 0, ended=True)


def _counted(*seqs: int, source: str = "a") -> list[Sent]:
    """Send these numbers, a record each, from offset 0 on."""
    return [Sent(offset, source, seq, 100 + seq) for offset, seq in enumerate(seqs)]


def _gaps(said: list[SourceWords]) -> list[list[tuple[int, int]]]:
    return [[(gap.first_seq, gap.last_seq) for gap in line.gaps] for words in said for line in words.gaps]


def _alerts(said: list[SourceWords]) -> list[tuple[str, str]]:
    return [(alert.state, alert.message.partition(" of source")[0]) for words in said for alert in words.alerts]


def test_what_is_lost_at_the_end_is_a_gap() -> None:
    """The numbers between the last event and the end are missing, by a line and by an alert; said again the end changes
    nothing, and what comes late out of a spool closes the gap."""
    #  offset   0 1 2 |    3    4 | 5 6
    #  seq      0 1 2 |  end 5  5 | 4 3
    log = [*_counted(0, 1, 2), _end(3, 5), _end(4, 5), Sent(5, "a", 4, 4), Sent(6, "a", 3, 3)]
    fresh, said, accounts = read_log(log, [3, 5], Shelf(), origin=origin_at(None, block_offsets=_BLOCK), end=7)
    assert [event.seq for event in fresh] == [0, 1, 2, 4, 3]
    assert _gaps(said) == [[(3, 4)], []]
    assert _alerts(said) == [
        ("raised", "2 events (seq 3 to 4) are missing"),
        ("resolved", "What was missing"),
    ]
    assert said[1].alerts[0].alert_id == f"gap:topic-id:{_BLOCK}:1:3:a"
    assert accounts.missing == (0, 0)


@pytest.mark.parametrize(
    "log",
    [
        [*_counted(0, 1), _end(2, 2)],
        [_end(0, 0)],
        [*_counted(0, 1, 2), _end(3, 1), _end(3, 0)],
        [Sent(0, "a", 0, 1, rejected=True), _end(1, 1)],
    ],
    ids=["where it is", "never sent", "late", "behind a rejected line"],
)
@pytest.mark.parametrize("cut", [1, 2, 3])
def test_an_end_where_the_source_is_says_nothing(log: list[Sent], cut: int) -> None:
    """A source that ends where it is, or was, is worth no word, however the log is cut."""
    _, said, accounts = read_log(log, [cut], Shelf(), origin=origin_at(None, block_offsets=_BLOCK), end=4)
    assert (_gaps(said), _alerts(said), accounts.missing) == ([], [], (0, 0))


def test_a_source_that_lost_all_is_told() -> None:
    """Of a source of which nothing came but its end, all is missing, also for whoever takes over, and comes late."""
    shelf = Shelf()
    _, said, _ = read_log([_end(0, 3)], [], shelf, origin=origin_at(None, block_offsets=_BLOCK), end=_BLOCK)
    assert _gaps(said) == [[(0, 2)]]
    late = [Sent(_BLOCK, "a", seq, seq) for seq in (2, 0, 1, 1)]
    fresh, said, accounts = read_log(late, [], shelf, origin=origin_at(_BLOCK, block_offsets=_BLOCK), end=_BLOCK + 1)
    assert [event.seq for event in fresh] == [2, 0, 1]
    assert (_gaps(said), accounts.missing) == ([[]], (0, 0))


def test_who_ends_and_goes_on_counts_on() -> None:
    """Events behind an end are counted as ever."""
    log = [*_counted(0, 1), _end(2, 2), Sent(3, "a", 2, 2), _end(4, 3)]
    fresh, said, _ = read_log(log, [3], Shelf(), origin=origin_at(None, block_offsets=_BLOCK), end=5)
    assert ([event.seq for event in fresh], _gaps(said)) == ([0, 1, 2], [])


def test_where_the_past_is_unknown_an_end_claims_nothing() -> None:
    """The end of a source that nobody knows says where it stands: what comes from below counts, once, and is not called
    missing."""
    log = [_end(7, 3), Sent(8, "a", 1, 1), Sent(8, "a", 1, 1), Sent(8, "a", 4, 4)]
    fresh, said, _ = read_log(log, [], Shelf(), origin=origin_at(7, block_offsets=_BLOCK), end=9)
    assert [event.seq for event in fresh] == [1, 4]
    assert _gaps(said) == [[(3, 3)]]


def test_the_end_of_a_shared_name_says_nothing() -> None:
    """Where two producers use one name, neither of them says what the other has sent."""
    log = [Sent(0, "a", 0, 1), Sent(0, "a", 0, 2), _end(1, 9)]
    _, said, accounts = read_log(log, [], Shelf(), origin=origin_at(None, block_offsets=_BLOCK), end=2)
    assert ([line.shared for line in said[0].gaps], accounts.missing) == ([True], (0, 0))


def test_ends_of_sources_that_count_cost_no_second_look(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sources that count on, or repeat themselves, and end where they are, are told at a glance, however often they
    end."""
    monkeypatch.setattr(Positions, "_repeated", None)
    positions = Positions({})
    first = [*_counted(0, 1, 2), _end(3, 3), *_counted(0, source="b"), _end(5, 1, "b"), _end(6, 0, "c")]
    assert len(positions.fresh(frame_of(first), remarks_of(first))) == 4
    positions.end_block()
    again = [*_counted(0, 1, 2), _end(3, 3), _end(4, 1, "b"), _end(4, 0, "b")]
    assert len(positions.fresh(frame_of(again), remarks_of(again))) == 0
    assert [line.state.repeats for line in positions.take()[0]] == [3]


def test_a_gap_that_an_end_opened_for_a_moment_is_resolved() -> None:
    """An end that overtakes its events, within one chunk of a worker and between two of one that died: the gap that the
    dead one raised is closed."""
    log = [*_counted(0), _end(1, 3), Sent(2, "a", 1, 1), Sent(3, "a", 2, 2)]
    origin = origin_at(None, block_offsets=_BLOCK)
    dead = read_log(log, [1, 2], Shelf(), origin=origin, end=2)[1]
    assert [state for state, _ in _alerts(dead)] == ["raised"]
    after = read_log(log, [], Shelf(), origin=origin_at(1, block_offsets=_BLOCK), end=4)[1]
    assert [state for state, _ in _alerts(after)] == ["resolved"]


def test_who_repeats_itself_and_ends_further_on_has_lost_something() -> None:
    """A source that sends again what was counted in another block, and then ends beyond it, lacks the rest; each repeat
    is one."""
    log = [*_counted(0, 1), Sent(5, "a", 0, 100), Sent(6, "a", 1, 101), _end(7, 4)]
    _, said, _ = read_log(log, [], Shelf(), origin=origin_at(None, block_offsets=_BLOCK), end=8)
    assert (_gaps(said), said[0].gaps[0].repeats) == ([[(2, 3)]], 2)
