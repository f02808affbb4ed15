"""Do the benchmarks measure what they say? The workload is whole, and the pace is counted right."""

import io
import os
from collections import Counter

import polars as pl
import pytest
from benchmarks import watch
from benchmarks.report import Row, compare, compared, show
from benchmarks.watch import Pace
from benchmarks.workload import Workload, frames, records
from rich.console import Console

from spendgauge.schemas import SystemClock, UsageEvent

EVENTS = 3000


@pytest.fixture(scope="module")
def workload() -> pl.DataFrame:
    """A small workload, all its frames together."""
    return pl.concat(frames(Workload(EVENTS, events_per_second=100)))


def test_the_workload_is_made_of_valid_events(workload: pl.DataFrame) -> None:
    """Every line is a valid event that says the source and seq of its row."""
    events = [UsageEvent.model_validate_json(line) for line in workload["line"]]
    assert [(event.source, event.seq) for event in events] == workload.select("source", "seq").rows()


def test_the_workload_loses_and_doubles_nothing(workload: pl.DataFrame) -> None:
    """Each source counts from 0 without a gap, in the order of the rows, and all sources together have all events."""
    assert workload.height == EVENTS
    for _, own in workload.group_by("source", maintain_order=True):
        assert own["seq"].to_list() == list(range(own.height))


def test_the_workload_is_as_dense_as_asked(workload: pl.DataFrame) -> None:
    """3,000 events at 100 a second of their own time lie within the last 30 seconds."""
    now_ms = SystemClock().now_ms()
    times = [UsageEvent.model_validate_json(line).occurred_at.timestamp() * 1000 for line in workload["line"]]
    assert max(times) <= now_ms
    assert max(times) - min(times) <= 30_000


def test_coalesced_records_hold_the_same_lines(workload: pl.DataFrame) -> None:
    """Coalescing changes how lines share records, not which lines there are: at most 100, of one source, in order."""
    alone = list(records(workload, 1))
    together = list(records(workload, 100))
    assert Counter(line for _, value in together for line in value.split(b"\n")) == Counter(v for _, v in alone)
    assert max(value.count(b"\n") for _, value in together) == 99
    for source, value in together:
        assert {UsageEvent.model_validate_json(line).source for line in value.split(b"\n")} == {source}


def test_the_pace_begins_with_the_first_output(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was done before the first look does not count: 100 of 500 were, so 400 were done in the time measured."""
    monkeypatch.setattr(watch, "_EVERY_SECONDS", 0)
    counts = iter([0, 0, 100, 300, 500])
    pace = watch.watch(lambda: next(counts), os.getpid(), events=500)
    assert pace.events == 400
    assert pace.seconds > 0


def test_a_pace_of_one_look_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where all is there at the first look there is no pace, rather than an absurd one."""
    monkeypatch.setattr(watch, "_EVERY_SECONDS", 0)
    with pytest.raises(RuntimeError, match="measure more events"):
        watch.watch(lambda: 500, os.getpid(), events=500)


def test_medians_are_compared() -> None:
    """Ours at 10, 20 and 90 a second against 5 is a ratio of 4, with the processor's time apart."""
    ours = [Pace(90, 9, 9), Pace(100, 5, 10), Pace(90, 1, 1)]
    row = compare("a", ours, "b", [Pace(10, 2, 1)])
    assert (row.ours, row.theirs, row.cpu_ratio) == (20, 5, 1)
    printed = io.StringIO()
    show([compared("a title", [row, Row("alone", 65.5, "", 0, "bytes")])], console=Console(file=printed))
    assert "4.00" in printed.getvalue()
    assert "65.5" in printed.getvalue()
