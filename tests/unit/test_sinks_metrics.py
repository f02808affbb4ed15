"""Does a sink count what it does where it does it, failures too?"""

import pytest
from prometheus_client import CollectorRegistry
from tests.producers import FakeClock

from spendgauge.sinks.metrics import Held, SinkMetrics
from spendgauge.sinks.tables import TABLES
from spendgauge.sinks.writer import Written


def _figure(registry: CollectorRegistry, name: str, **labels: str) -> float | None:
    return registry.get_sample_value(f"spendgauge_sink_{name}", labels)


def test_every_table_is_told_before_anything_happens() -> None:
    """Each series begins at 0, so that the first refusal or retry is an increase that an alert can see."""
    registry = SinkMetrics(FakeClock()).registry
    for table in TABLES:
        for name in ("rows_total", "insert_retries_total", "insert_duration_seconds_count"):
            assert _figure(registry, name, table=table.name) == 0, (name, table.name)
    assert _figure(registry, "refused_rows_total") == 0


def test_an_insert_that_fails_is_timed_and_counted() -> None:
    """The time that ClickHouse takes over an INSERT counts whether it takes it or not; a retry counts at once."""
    metrics = SinkMetrics(FakeClock())
    with metrics.timed("usage_events"):
        pass
    with pytest.raises(ConnectionError), metrics.timed("usage_events"):
        raise ConnectionError
    metrics.on_retry("usage_events", 1, "timed out")
    assert _figure(metrics.registry, "insert_duration_seconds_count", table="usage_events") == 2
    assert _figure(metrics.registry, "insert_retries_total", table="usage_events") == 1


def test_what_is_committed_and_what_is_held_is_told() -> None:
    """Rows by table, bytes and refusals of committed batches; of the buffer what it holds now."""
    metrics = SinkMetrics(FakeClock())
    metrics.held = lambda: Held(records=3, bytes=400, rebalances=2)
    for _ in range(2):
        metrics.tally.add(Written({}, rows={"usage_events": 5, "usage_rejected": 1}, bytes=70, refused=1))
    told = {name: _figure(metrics.registry, name) for name in ("inserted_bytes_total", "refused_rows_total")}
    assert told == {"inserted_bytes_total": 140, "refused_rows_total": 2}
    assert _figure(metrics.registry, "rows_total", table="usage_events") == 10
    assert _figure(metrics.registry, "rows_total", table="usage_rejected") == 2
    held = [_figure(metrics.registry, name) for name in ("buffered_records", "buffered_bytes", "rebalances_total")]
    assert held == [3, 400, 2]


def test_what_fails_again_and_again_is_a_fault_until_it_is_stored() -> None:
    """A server that is started again is no fault; one that refuses for long is one, until it takes a batch."""
    metrics = SinkMetrics(FakeClock())
    for attempt in range(1, 5):
        metrics.on_retry("usage_events", attempt, "no such table")
    assert metrics.fault is None
    metrics.on_retry("usage_events", 5, "no such table")
    assert metrics.fault is not None
    assert "usage_events (5 attempts: no such table)" in metrics.fault
    metrics.on_stored()
    assert metrics.fault is None
