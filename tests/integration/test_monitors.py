"""Do worker and sink say how they are? Not ready, ready, idle, and without a broker: with the right figures."""

from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from tests.loads import Load, send
from tests.monitors import Monitor
from tests.producers import broker_on
from tests.sink_runs import sink_process
from tests.workers import running_worker

from spendgauge.deploy.stack.broker import free_port
from spendgauge.schemas import ClickHouseSettings, KafkaSettings, SystemClock, topic_specs
from spendgauge.schemas.kafka import create_topics
from spendgauge.sinks.migrate import migrate
from spendgauge.sinks.settings import SinkSettings

pytestmark = pytest.mark.integration

_BAD = (("a", b"{"), ("a", b"["), ("a", b'{"event_id":1}'))


def _filled(kafka: KafkaSettings, events: int, *, partitions: int = 4) -> tuple[Load, int]:
    """Create the topics, and send events and three bad lines, a record each."""
    create_topics(kafka, topic_specs(kafka.topics, partitions=partitions))
    load = Load(seed=11, start_ms=SystemClock().now_ms() - 600_000)
    return load, send(kafka, [*load.lines(events, spread_ms=100_000), *_BAD], per_record=(1,))


def test_a_worker_says_how_it_is() -> None:
    """It lives before it is ready, is ready when it has caught up, tells what it did, and without a broker it still
    answers: alive, not ready, with the reason."""
    monitor = Monitor(free_port())
    with ExitStack() as broker:
        kafka = broker.enter_context(broker_on(free_port()))
        load, records = _filled(kafka, 2_000)
        with running_worker(kafka, monitor_port=monitor.port):
            assert monitor.until(), monitor.reasons
            assert monitor.figure("spendgauge_rates_events_total") == load.sent
            assert monitor.figure("spendgauge_rates_records_total") == records
            assert monitor.figure("spendgauge_rates_rejects_total", reason="invalid_json") == 2
            assert monitor.figure("spendgauge_rates_rejects_total") == len(_BAD)
            assert monitor.figure("spendgauge_rates_assigned_partitions") == 4
            assert monitor.figure("spendgauge_rates_lag_records") == 0
            assert monitor.figure("spendgauge_rates_committed_lag_records") == 0
            assert monitor.figure("spendgauge_rates_lag_seconds", partition="3") < 10
            assert monitor.figure("spendgauge_rates_flush_duration_seconds_count") > 0
            assert monitor.figure("spendgauge_rates_live_keys") > 0
            assert monitor.figure("spendgauge_rates_missing_events") == 0
            broker.close()
            assert monitor.until(ready=False)
            assert monitor.reasons[0] == "the group's coordinator does not answer"
            assert monitor.alive
            assert monitor.figure("spendgauge_rates_events_total") == load.sent


def test_a_worker_without_work_is_ready(kafka: KafkaSettings) -> None:
    """Of two workers on one partition one stands by: ready, with nothing; it takes over when the other goes."""
    _filled(kafka, 100, partitions=1)
    first, second = Monitor(free_port()), Monitor(free_port())
    with (
        running_worker(kafka, monitor_port=first.port) as one,
        running_worker(kafka, monitor_port=second.port) as other,
    ):
        processes = {first: one, second: other}
        assert all(monitor.until() for monitor in processes)
        # Ready, and then not for the second's joining: ask until both are.
        while sum(monitor.ready for monitor in processes) < 2 or sum(map(_partitions, processes)) != 1:
            assert all(process.poll() is None for process in processes.values())
        (busy,) = [monitor for monitor in processes if _partitions(monitor)]
        (idle,) = processes.keys() - {busy}
        processes[busy].terminate()
        assert processes[busy].wait(20) == 0
        while not _partitions(idle):
            assert processes[idle].poll() is None
        assert idle.until(), idle.reasons


def _partitions(monitor: Monitor) -> float:
    return monitor.figure("spendgauge_rates_assigned_partitions")


def test_a_sink_says_how_it_is(clickhouse: ClickHouseSettings) -> None:
    """As a worker, and with the rows of each table."""
    migrate(clickhouse)
    monitor = Monitor(free_port())
    with ExitStack() as broker:
        kafka = broker.enter_context(broker_on(free_port()))
        load, _ = _filled(kafka, 2_000)
        own: dict[str, Any] = {
            "clickhouse": clickhouse.clickhouse,
            "monitor_port": monitor.port,
            "session_timeout_seconds": 3,
        }
        settings = SinkSettings(**kafka.model_dump(), **own)
        with sink_process(settings):
            assert monitor.until(), monitor.reasons
            assert monitor.figure("spendgauge_sink_rows_total", table="usage_events") == load.sent
            assert monitor.figure("spendgauge_sink_rows_total") == load.sent
            assert monitor.figure("spendgauge_sink_rejected_events_total") == len(_BAD)
            stored = [spec.partitions for spec in topic_specs(kafka.topics) if spec.name in kafka.topics.stored]
            assert monitor.figure("spendgauge_sink_assigned_partitions") == sum(stored)
            assert monitor.figure("spendgauge_sink_committed_lag_records") == 0
            assert monitor.figure("spendgauge_sink_insert_duration_seconds_count", table="usage_events") > 0
            assert monitor.figure("spendgauge_sink_inserted_bytes_total") > 0
            broker.close()
            assert monitor.until(ready=False)
            assert monitor.reasons[0] == "the group's coordinator does not answer"
            assert monitor.alive
            assert monitor.figure("spendgauge_sink_rows_total") == load.sent


def test_a_port_that_is_taken_ends_a_worker_at_once(kafka: KafkaSettings, tmp_path: Path) -> None:
    """A worker that cannot be watched does not start: one sentence, status 1."""
    port = int(kafka.kafka.rpartition(":")[2])
    errors = tmp_path / "errors"
    with errors.open("wb") as log, running_worker(kafka, monitor_port=port, errors=log.fileno()) as process:
        assert process.wait(30) == 1
    assert f"cannot listen on 127.0.0.1 port {port} (Address already in use)" in errors.read_text()
