"""Are frames written as the events they stand for, and played in their own rhythm?"""

from uuid import UUID

import polars as pl
import pytest

from spendgauge.deploy.feeding.feed import numbered_sources, paced, with_lines
from spendgauge.deploy.feeding.lines import event_ids, event_lines
from spendgauge.deploy.simulation.day import simulate_day
from spendgauge.schemas import UsageEvent
from spendgauge.schemas.lines import event_line

START_MS = 1_767_225_600_000


class SteppingClock:
    """A clock that moves only when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0

    def now_ms(self) -> int:
        return START_MS + int(self.now * 1000)

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.now += seconds


def test_ids_are_of_their_time_and_unlike_each_other() -> None:
    """Each id is a UUIDv7 whose first 48 bits are the given milliseconds; no two are the same, in any call."""
    times = pl.Series([START_MS, START_MS, START_MS + 1])
    ids = [UUID(text) for text in event_ids(times)]
    assert [(i.version, i.variant, i.int >> 80) for i in ids] == [
        (7, "specified in RFC 4122", START_MS + later) for later in (0, 0, 1)
    ]
    assert len({*ids, *(UUID(text) for text in event_ids(times))}) == 6
    assert event_ids(pl.Series([START_MS] * 10_000)).n_unique() == 10_000


def test_ids_of_a_source_lie_together() -> None:
    """Events of one source share the half of the id that ClickHouse sorts by first, and no other source has it."""
    ids = event_ids(pl.Series([START_MS] * 4), sources=pl.Series(["b", "a", "b", "a"])).to_list()
    assert ids[0][19:] == ids[2][19:] != ids[1][19:] == ids[3][19:]
    assert len(set(ids)) == 4


def test_lines_are_those_of_the_event() -> None:
    """Each simulated line is a valid event, and as short as the line that the event itself would write."""
    frames = simulate_day(3_000, start_ms=START_MS)
    for line in pl.concat(with_lines(frame, without=["host"]) for frame in frames)["line"]:
        assert len(event_line(UsageEvent.model_validate_json(line))) == len(line.encode())


def test_any_text_survives() -> None:
    """Quotes, backslashes, control characters and every script come back as they were; null means not given."""
    texts = ['say "hi"', "back\\slash", "tab\tline\nnul\0", "ümläut 漢字 🙂", "", None]
    frame = pl.DataFrame(
        {
            "event_id": event_ids(pl.Series([START_MS] * len(texts))),
            "occurred_at_ms": START_MS,
            "provider": "p",
            "model": "m",
            "feature": texts,
            "latency_ms": pl.Series([None, 0, 1, 2, 3, 4], dtype=pl.Int64),
            "tags": ['{"a":"b"}', *[None] * 5],
        }
    )
    events = [UsageEvent.model_validate_json(line) for line in event_lines(frame)]
    assert [event.feature for event in events] == [text or "" for text in texts]
    assert [event.latency_ms for event in events] == [None, 0, 1, 2, 3, 4]
    assert [event.tags for event in events] == [{"a": "b"}, {}, {}, {}, {}, {}]


def test_a_day_can_be_played_faster() -> None:
    """At speed 60 an event that comes two minutes later is yielded two seconds later; the order stays."""
    clock = SteppingClock()
    minutes = [0, 0, 1, 2, 2, 10]
    frame = pl.DataFrame({"occurred_at_ms": [START_MS + minute * 60_000 for minute in minutes]})
    played = [
        (row, clock.now) for rows in paced([frame[:3], frame[3:]], 60, clock=clock) for row in rows["occurred_at_ms"]
    ]
    assert [row for row, _ in played] == frame["occurred_at_ms"].to_list()
    assert [at for _, at in played] == pytest.approx(minutes, abs=0.05)


def test_a_log_is_dealt_out_to_several_sources() -> None:
    """The rows go to as many hosts as asked in runs of equal length, in order; few rows or none are no problem."""
    hosts = numbered_sources(pl.DataFrame({"x": range(10)}), "replay", sources=4)["host"].to_list()
    assert hosts == sorted(hosts)
    assert {hosts.count(host) for host in set(hosts)} == {2, 3}
    assert numbered_sources(pl.DataFrame({"x": []}), "replay", sources=4).height == 0
