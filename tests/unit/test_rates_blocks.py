"""Blocks: however the log is cut into chunks, replayed or read twice, the highest versions sum up to the log."""

import json
from collections import defaultdict
from dataclasses import dataclass, replace
from typing import Any

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.loads import Totals, add_up
from tests.sequences import PlainSequences, Sent, Shelf, origin_at

from spendgauge.schemas import DEFAULT_SERIES, MEASURES, RateContribution
from spendgauge.schemas.chunks import FRAME_SCHEMA
from spendgauge.streams.accounting.accounts import Accounts
from spendgauge.streams.accounting.origins import Origin, resume
from spendgauge.streams.rating.blocks import BlockAggregator, Contributions
from spendgauge.streams.rating.rates import rate_records, rates_partition
from spendgauge.streams.rating.series import SeriesPlan

_law = settings(deadline=None, max_examples=50)
_PLAN = SeriesPlan()
_BLOCK = 5
_STREAM = f"topic-id:{_BLOCK}"
_EPOCH_MS = 1_760_000_000_000


@dataclass(frozen=True)
class _Event:
    """What of an event matters to its totals, and where it stands in the log."""

    offset: int
    source: str
    seq: int | None
    event_id: int
    at_seconds: int
    user: str
    model: str
    tokens: int
    cost: int | None


_events = st.builds(
    _Event,
    offset=st.integers(0, 24),
    source=st.sampled_from(["a", "b"]),
    seq=st.none() | st.integers(0, 12),
    event_id=st.integers(1, 30),
    at_seconds=st.integers(0, 130),
    user=st.sampled_from(["", "ann", 'b"ob\\', "ü\n"]),
    model=st.sampled_from(["m1", "m2"]),
    tokens=st.integers(-5, 100_000_000),
    cost=st.none() | st.integers(-(10**18), 10**18),
)
_logs = st.lists(_events, max_size=40).map(lambda events: sorted(events, key=lambda event: event.offset))


def _frame(events: list[_Event]) -> pl.DataFrame:
    """Write events as the codec and the price book would."""
    blank: dict[str, Any] = {name: "" if kind == pl.String else None for name, kind in FRAME_SCHEMA.items()}
    blank |= dict.fromkeys((name for name in FRAME_SCHEMA if name.endswith("_tokens")), 0) | {"web_search_requests": 0}
    rows = [
        blank
        | {
            "kind": "usage",
            "status": "ok",
            "provider": "p",
            "event_id": str(event.event_id),
            "source": event.source,
            "seq": event.seq,
            "occurred_at_ms": _EPOCH_MS + event.at_seconds * 1000,
            "user_id": event.user,
            "model": event.model,
            "input_tokens": event.tokens,
            "offset": event.offset,
            "line": 0,
            "received_at_ms": _EPOCH_MS,
        }
        for event in events
    ]
    cost = pl.Series("cost_picodollars", [event.cost for event in events], pl.Int64)
    return pl.DataFrame(rows, schema=FRAME_SCHEMA).with_columns(cost)


def _model(events: list[_Event]) -> Totals:
    """Add the log up the plain way: a dictionary, one event after the other."""
    totals: dict[tuple[str, tuple[str, ...], int], list[int]] = defaultdict(lambda: [0] * len(MEASURES))
    sequences = PlainSequences(_BLOCK)
    for event in events:
        if not sequences.is_new(Sent(event.offset, event.source, event.seq, event.event_id)):
            continue
        values = defaultdict(str, provider="p", model=event.model, user_id=event.user)
        for spec in DEFAULT_SERIES:
            start = (_EPOCH_MS // 1000 + event.at_seconds) // spec.pane_seconds * spec.pane_seconds
            total = totals[spec.name, tuple(values[name] for name in spec.dimensions), start]
            total[0] += 1
            total[MEASURES.index("unpriced")] += event.cost is None
            total[MEASURES.index("input_tokens")] += event.tokens
            total[-1] += event.cost or 0
    return {name: tuple(total) for name, total in totals.items()}


def _lines(contributions: list[Contributions]) -> list[dict[str, Any]]:
    records = [record for part in rate_records(contributions, specs=_PLAN.specs, partitions=3) for record in part]
    return [json.loads(line) for record in records for line in (record.value or b"").split(b"\n")]


def _read(
    events: list[_Event], cuts: list[int], *, committed: int, end: int, shelf: Shelf | None = None, book: str = "x"
) -> list[Contributions]:
    """Run a worker from a committed offset to ``end``, flushing where the log is cut.

    The shelf is ``usage.positions``.
    """
    shelf = shelf or Shelf()
    origin = origin_at(committed, block_offsets=_BLOCK)
    accounts = Accounts(shelf.start(origin), origin, partition=1, price_version=book)
    blocks = BlockAggregator(origin, partition=1, plan=_PLAN, accounts=accounts)
    taken: list[Contributions] = []
    begin = origin.base
    for cut in [*sorted(cut for cut in set(cuts) if origin.base < cut < end), end]:
        blocks.add(_frame([event for event in events if begin <= event.offset < cut]), next_offset=cut)
        taken += blocks.take()
        shelf.records += accounts.take(version=cut - 1, committed_block=None).entries
        begin = cut
    return taken


@_law
@given(_logs, st.lists(st.integers(1, 24), max_size=6))
def test_totals_are_the_logs(events: list[_Event], cuts: list[int]) -> None:
    """However the log is cut into chunks, the highest versions sum up to what a plain dictionary says."""
    assert add_up(_lines(_read(events, cuts, committed=0, end=25))) == _model(events)


@_law
@given(
    _logs,
    st.lists(st.tuples(st.integers(0, 24), st.integers(1, 25), st.lists(st.integers(1, 24), max_size=4)), max_size=4),
    st.randoms(use_true_random=False),
)
def test_crashes_and_zombies_change_nothing(
    events: list[_Event], lives: list[tuple[int, int, list[int]]], draw: Any
) -> None:
    """Workers that begin anywhere, die anywhere and write in any order leave the totals of one that read all once.

    A worker begins at a committed offset only after everything before it was written, so one that read all is among
    them; the others are its zombies and successors.
    """
    shelf = Shelf()
    whole = _lines(_read(events, [*range(1, 25)], committed=0, end=25, shelf=shelf))
    others = [
        line
        for begin, end, cuts in lives
        if begin < end
        for line in _lines(_read(events, cuts, committed=begin, end=end, shelf=shelf))
    ]
    everything = whole + others
    draw.shuffle(everything)
    assert add_up(everything) == _model(events)


@_law
@given(_logs, st.integers(1, 24))
def test_a_successor_completes_what_was_begun(events: list[_Event], crash: int) -> None:
    """What one worker wrote up to its commit, and another from there on, sum up to the whole log."""
    shelf = Shelf()
    before = _lines(_read(events, [crash // 2], committed=0, end=crash, shelf=shelf))
    after = _lines(_read(events, [], committed=crash, end=25, shelf=shelf))
    assert add_up(before + after) == _model(events)


def _repriced(events: list[_Event], offset: int) -> list[_Event]:
    """Double the prices of the events from an offset on."""
    return [replace(e, cost=e.cost * 2) if e.offset >= offset and e.cost is not None else e for e in events]


@_law
@given(_logs, st.integers(1, 24), st.integers(1, 24), st.integers(1, 25), st.integers(0, 10))
def test_a_block_is_priced_by_one_book(events: list[_Event], commit: int, kill: int, again: int, tenths: int) -> None:
    """A worker that is killed, and a successor with another price book, leave totals in which the block of the last
    commit, and all after it, are priced by the new book, and all before it by the old one; also where the successor
    is killed as well, amid what it has to write."""
    shelf, committed = Shelf(), min(commit, kill)
    before = _lines(_read(events, [committed], committed=0, end=kill, shelf=shelf))
    doubled = _repriced(events, 0)
    amid = []
    if again > committed // _BLOCK * _BLOCK:
        amid = _lines(_read(doubled, [], committed=committed, end=again, shelf=shelf, book="y"))
    written = amid[: len(amid) * tenths // 10]
    after = _lines(_read(doubled, [], committed=committed, end=25, shelf=shelf, book="y"))
    assert add_up(after + written + before) == _model(_repriced(events, committed // _BLOCK * _BLOCK))


@_law
@given(_logs)
def test_lines_are_contributions(events: list[_Event]) -> None:
    """Each line is a valid contribution, and lies in the partition that its series and key name."""
    taken = _read(events, [], committed=0, end=25)
    for part in rate_records(taken, specs=_PLAN.specs, partitions=3):
        for record in part:
            for line in (record.value or b"").split(b"\n"):
                one = RateContribution.model_validate_json(line)
                assert record.partition == rates_partition(one.series, one.key, 3)
                assert (one.stream, one.partition) == (_STREAM, 1)
                assert one.block * _BLOCK <= one.version < (one.block + 1) * _BLOCK
                assert one.pane_start % one.pane_seconds == 0


@_law
@given(_logs)
def test_every_series_sums_up_to_the_same(events: list[_Event]) -> None:
    """No event is left out of any series: the sum over its keys and panes is the same for all."""
    sums: dict[str, list[int]] = {spec.name: [0] * len(MEASURES) for spec in DEFAULT_SERIES}
    for (series, _, _), total in add_up(_lines(_read(events, [], committed=0, end=25))).items():
        sums[series] = [a + b for a, b in zip(sums[series], total, strict=True)]
    assert len({tuple(total) for total in sums.values()}) == 1


def test_sums_beyond_64_bits_are_exact() -> None:
    """Money is summed in 128 bits: forty events of nearly a million dollars each do not wrap around."""
    events = [_Event(0, "a", n, n, 0, "", "m1", 1, 10**18 - 1) for n in range(40)]
    (total,) = (line["cost_usd"] for line in _lines(_read(events, [], committed=0, end=1)) if line["series"] == "total")
    assert total == "39999999.999999999960"


def test_a_block_ends_with_its_last_word() -> None:
    """Block 0 of five offsets is written once more when the log goes on, with its last offset as version."""
    #  offset   0 1 2 3 4 | 5
    #  event    x x   x     x
    events = [_Event(offset, "a", offset, offset + 1, 0, "", "m1", 1, 1) for offset in (0, 1, 3, 5)]
    taken = _read(events, [2], committed=0, end=6)
    assert [(one.block, one.version) for one in taken] == [(0, 1), (0, 4), (1, 5)]


class TestResume:
    """Where does a worker begin?"""

    def test_at_the_start_of_the_committed_block(self) -> None:
        """The block that holds the committed offset is read from its start; what is committed is not written again."""
        assert resume(stream="t:5", block_offsets=5, committed=12, metadata="t:5", log_start=0) == Origin(
            "t:5", 5, 10, 12
        )

    def test_a_recreated_topic_begins_anew(self) -> None:
        """A committed offset of another topic id means nothing."""
        assert resume(stream="t:5", block_offsets=5, committed=12, metadata="old:5", log_start=0) == Origin(
            "t:5", 5, 0, 0
        )

    def test_a_block_whose_head_is_gone_is_another_stream(self) -> None:
        """What retention has removed cannot be counted again, so counting goes on under another name."""
        origin = resume(stream="t:5", block_offsets=5, committed=12, metadata="t:5", log_start=11)
        assert (origin.base, origin.stream_at(2), origin.stream_at(3)) == (12, "t:5@12", "t:5")
        assert resume(
            stream="t:5", block_offsets=5, committed=14, metadata=origin.metadata(14), log_start=11
        ) == Origin("t:5", 5, 12, 14)

    def test_another_block_size_begins_where_the_old_one_stopped(self) -> None:
        """A changed block size neither counts twice nor leaves out."""
        origin = resume(stream="t:8", block_offsets=8, committed=12, metadata="t:5", log_start=0)
        assert (origin.base, origin.acknowledged, origin.stream_at(1)) == (12, 12, "t:8@12")
