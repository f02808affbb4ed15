"""Is a long run judged rightly? Growth is found, odd samples are not taken for it, and the load is what it says."""

import json
from collections import defaultdict
from collections.abc import Iterator

import pytest
from benchmarks import follow, load
from benchmarks.answers import Answer
from benchmarks.follow import FollowedRates
from benchmarks.judgement import Sample, growth, judge
from benchmarks.load import Load
from benchmarks.probes import percentile
from benchmarks.soak import by_minute

from spendgauge.schemas import KafkaSettings, UsageEvent

EVERY = 10.0


def _samples(memory: list[float], p99: list[float] | None = None) -> list[Sample]:
    latencies = p99 or [1.0] * len(memory)
    return [
        Sample(number * EVERY, megabytes, 0.5, late)
        for number, (megabytes, late) in enumerate(zip(memory, latencies, strict=True))
    ]


def test_growth_is_the_line_of_best_fit_over_the_median() -> None:
    """From 100 to 120 in even steps is 20 of a median of 110; one sample of 500 among eleven flat ones is nothing."""
    even = _samples([100.0 + 2 * step for step in range(11)])
    assert growth(even, lambda sample: sample.megabytes) == pytest.approx(20 / 110)
    odd = _samples([100.0] * 5 + [500.0] + [100.0] * 5)
    assert growth(odd, lambda sample: sample.megabytes) == 0


def test_the_first_quarter_does_not_count() -> None:
    """Memory that doubles while caches fill, and stays, is flat."""
    warm = judge(_samples([100, 150, 200, *[200] * 9]), sent=5, counted=5)
    assert warm.flat
    assert str(warm).startswith("flat: ")


def test_a_minute_is_as_bad_as_its_worst_sample() -> None:
    """The table shows a row a minute: six samples, the last of them told, and of each figure the greatest."""
    first, second = by_minute(_samples([100, 300, 200, 100, 100, 100, 500], [1.0] * 5 + [2.0, 3.0]))
    assert first == Sample(5 * EVERY, 300, 0.5, 2.0)
    assert second == Sample(6 * EVERY, 500, 0.5, 3.0)


@pytest.mark.parametrize(
    ("memory", "p99", "counted"),
    [
        ([100.0 + step for step in range(12)], [1.0] * 12, 5),
        ([100.0] * 12, [1.0 + step / 10 for step in range(12)], 5),
        ([100.0] * 12, [4.0] * 12, 5),
        ([100.0] * 12, [1.0] * 12, 4),
        ([100.0] * 12, [1.0] * 12, 6),
    ],
    ids=["memory grows", "latency grows", "a backlog stays", "an event is lost", "an event is counted twice"],
)
def test_what_is_not_flat_fails(memory: list[float], p99: list[float], counted: int) -> None:
    """A leak, a growing backlog and a wrong count each fail the run by themselves."""
    verdict = judge(_samples(memory, p99), sent=5, counted=counted)
    assert not verdict.flat
    assert str(verdict).startswith("NOT FLAT: ")


def test_one_sample_is_no_run() -> None:
    """Of a single sample no growth can be told, and that is said rather than passed."""
    with pytest.raises(ValueError, match="run for longer"):
        judge(_samples([100.0]), sent=1, counted=1)


def test_percentiles_are_values_that_were_seen() -> None:
    """Of 1 to 100 the median is 50 and p99 is 99; of one value both are that one."""
    values = [float(value) for value in range(100, 0, -1)]
    assert (percentile(values, 0.5), percentile(values, 0.99)) == (50, 99)
    assert percentile([3.0], 0.5) == percentile([3.0], 0.99) == 3


def test_a_load_is_made_of_valid_events() -> None:
    """Each source counts from 0 without a gap in records of its own; no id comes twice; users are as many as asked."""
    load, seqs = Load(coalesced=3, users=7), defaultdict[str, list[int | None]](list)
    events = []
    for _, key, value in (load.record() for _ in range(64)):
        own = [UsageEvent.model_validate_json(line) for line in value.split(b"\n")]
        assert {event.source for event in own} == {key.decode()}
        seqs[key.decode()] += [event.seq for event in own]
        events += own
    assert len({event.event_id for event in events}) == len(events) == 192
    assert {event.user_id for event in events} == {f"user-{number}" for number in range(7)}
    assert len(seqs) == 16
    assert all(seq == list(range(len(seq))) for seq in seqs.values())


def test_a_pace_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """At 96 records a second, looked at eight times a second, 12 are due each time, and no more than were asked for."""
    clock = _Clock()
    monkeypatch.setattr(load, "_clock", clock)
    monkeypatch.setattr(load, "_TICK_SECONDS", 0.125)
    assert list(load._due(40, 96)) == [0, 12, 12, 12, 4]


class _Clock:
    """Time that only passes while somebody sleeps."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def monotonic(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds


class _Message:
    def __init__(self, value: bytes, at_ms: int) -> None:
        self._value, self._at_ms = value, at_ms

    def value(self) -> bytes:
        return self._value

    def error(self) -> None:
        return None

    def timestamp(self) -> tuple[int, int]:
        return 1, self._at_ms


class _Consumer:
    """Stands for librdkafka's: gives what it was made with, once."""

    messages: Iterator[list[_Message]] = iter(())

    def __init__(self, _: dict[str, object]) -> None:
        self.topics = {"cost.rates": self}
        self.partitions = (0,)

    def list_topics(self, *_: object, **__: object) -> "_Consumer":
        return self

    def assign(self, _: object) -> None:
        pass

    def consume(self, *_: object, **__: object) -> list[_Message]:
        return next(self.messages, [])


def _contribution(series: str, key: list[str], block: int, precedence: tuple[int, int], requests: int) -> bytes:
    edition, version = precedence
    said = {"series": series, "key": key, "pane_start": 1_767_225_610, "stream": "s", "partition": 0, "block": block}
    total = {"edition": edition, "version": version, "requests": requests, "cost_usd": f"0.{requests:012}"}
    return json.dumps(said | total, separators=(",", ":")).encode()


def test_the_highest_contributions_are_the_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """A later version replaces an earlier one, a later edition any version; blocks add up; what is old is not read."""
    lines = [
        _contribution("tenant", ["a"], 0, (0, 9), 2),
        _contribution("tenant", ["a"], 0, (0, 5), 1),
        _contribution("tenant", ["a"], 1, (1, 2), 30),
        _contribution("tenant", ["a"], 1, (0, 7), 20),
        _contribution("total", [], 0, (0, 9), 32),
    ]
    now_ms = 10**15
    sent = [_Message(b"\n".join(lines), now_ms), _Message(_contribution("tenant", ["old"], 0, (0, 1), 5), 1)]
    monkeypatch.setattr(follow, "Consumer", _Consumer)
    monkeypatch.setattr(_Consumer, "messages", iter([sent]))
    rates = FollowedRates(KafkaSettings(), series="tenant", others=True)
    assert rates() == 32
    assert rates.answer() == Answer({"a": 32}, {("a", 1_767_225_600): 32})
    assert rates.sums() == {"tenant": (32, 32), "total": (32, 32)}
