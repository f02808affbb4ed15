"""Does everything that is in Kafka get into ClickHouse exactly once, whatever dies, fails or moves meanwhile?"""

import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from random import Random
from threading import Event
from time import sleep

import pytest
from tests.loads import Load, send
from tests.sink_runs import (
    JOIN_SECONDS,
    books,
    count,
    eventually,
    expected,
    now_event,
    now_ms,
    produce,
    running_sink,
    sink_process,
    sink_settings,
    store_on,
    uncommitted,
)
from tests.sinks import NOW_MS, alert, contribution, quota_refusal, reject

from spendgauge.deploy.stack.broker import free_port
from spendgauge.schemas import ClickHouseSettings, ConfigurationError, KafkaSettings, UnavailableError, topic_specs
from spendgauge.schemas.kafka import create_topics
from spendgauge.sinks.clickhouse import connect
from spendgauge.sinks.migrate import migrate
from spendgauge.sinks.settings import SinkSettings
from spendgauge.sinks.sink import run_sink

pytestmark = pytest.mark.integration


@pytest.fixture
def settings(kafka: KafkaSettings, clickhouse: ClickHouseSettings) -> SinkSettings:
    """A sink over fresh topics and a fresh, migrated database."""
    create_topics(kafka, topic_specs(kafka.topics))
    migrate(clickhouse)
    return sink_settings(kafka, clickhouse.clickhouse)


def test_three_topics_become_three_tables(settings: SinkSettings) -> None:
    """Events, contributions and rejects arrive; poison becomes a dead letter; a gentle stop commits it all."""
    topics = settings.topics
    produce(settings, topics.usage, now_event(1), now_event(2) + b"\nnot an event\n" + now_event(3))
    produce(settings, topics.rates, contribution(requests=2), b"poison", contribution(requests=1, partition=1))
    produce(settings, topics.rejected, reject(), b"\xff", None)
    produce(settings, topics.usage, now_event(4), partition=3)
    with running_sink(settings):
        assert eventually(lambda: count(settings, "usage") == 4 and count(settings, "rejected") == 4)
        assert eventually(lambda: count(settings, "cost_rates") == 2)
        produce(settings, topics.rates, contribution(requests=5, partition=2))
        assert eventually(lambda: count(settings, "cost_rates") == 3)
    client = connect(settings)
    letters = client.query("SELECT rejected_by, reason FROM rejected ORDER BY rejected_by, reason").result_rows
    assert [tuple(row) for row in letters] == [
        ("rates", "invalid_json"),
        ("sink", "invalid_contribution"),
        ("sink", "invalid_reject"),
        ("sink", "invalid_reject"),
    ]
    assert client.query("SELECT sum(requests) FROM rates").result_rows == [(8,)]
    client.close()
    assert uncommitted(settings) == 0


def test_alerts_and_refusals_are_stored_once(settings: SinkSettings) -> None:
    """Each step and each refusal is one row, also when it was said twice and all is read twice; poison is kept."""
    topics = settings.topics
    steps = [alert(), alert(state="resolved", evaluated_at=NOW_MS // 1000 + 60)]
    produce(settings, topics.alerts, steps[0], b"poison", steps[1], steps[0])
    produce(settings, topics.refusals, quota_refusal(1), quota_refusal(2) + b"\n" + quota_refusal(1))
    for group in ("first", "second"):
        sink = settings.model_copy(update={"sink_group": settings.topic_prefix + group})
        with running_sink(sink):
            assert eventually(lambda sink=sink: uncommitted(sink) == 0)  # type: ignore[misc]  # bound at once
    assert count(settings, "rejected") == 1
    assert [count(settings, view) for view in ("alerts", "alerts_now", "incidents", "refusals")] == [2, 0, 1, 2]


def test_killed_in_the_middle(settings: SinkSettings) -> None:
    """A sink that is killed without warning, again and again, loses and doubles none of 100,000 events."""
    load = Load(seed=11, start_ms=now_ms() - 3_600_000)
    records = send(settings, load.lines(100_000, spread_ms=3_000_000), per_record=[1, 5, 40])
    assert records > 5000
    slow = settings.model_copy(update={"batch_rows": 4_000})
    draw = Random(1)
    for _ in range(3):
        before = books(settings)[0]
        with sink_process(slow) as process:
            assert eventually(lambda seen=before: books(settings)[0] > seen)  # type: ignore[misc]  # bound at once
            sleep(draw.random() / 5)
            process.kill()
    assert books(settings)[0] < 100_000
    with sink_process(settings):
        assert eventually(lambda: books(settings) == expected(load), seconds=60)
        assert eventually(lambda: uncommitted(settings) == 0)
    assert books(settings) == expected(load)


def test_clickhouse_goes_away(kafka: KafkaSettings, tmp_path: Path) -> None:
    """While ClickHouse is down, dead or stopped, the sink waits in its group, and then stores everything."""
    create_topics(kafka, topic_specs(kafka.topics))
    port = free_port()
    settings = sink_settings(kafka, f"http://default@127.0.0.1:{port}/spendgauge")
    load = Load(seed=12, start_ms=now_ms() - 600_000)
    with ExitStack() as sinks:
        sink = None
        for stop in (subprocess.Popen.kill, subprocess.Popen.terminate):
            with store_on(port, tmp_path) as store:
                migrate(settings)
                sink = sink or sinks.enter_context(sink_process(settings))
                send(settings, load.lines(3_000, spread_ms=60_000), per_record=[1, 10])
                assert eventually(lambda: books(settings) == expected(load))
                stop(store)
                store.wait(timeout=20)
            send(settings, load.lines(9_000, spread_ms=60_000), per_record=[1, 10])
            sleep(1.5 * JOIN_SECONDS)
            assert sink.poll() is None
        with store_on(port, tmp_path):
            assert eventually(lambda: books(settings) == expected(load))
            assert eventually(lambda: uncommitted(settings) == 0)


def test_partitions_move(settings: SinkSettings) -> None:
    """A second sink that joins and leaves, and one that is killed, change no sum: rows of moved partitions are dropped
    or stored twice, and count once."""
    load = Load(seed=13, start_ms=now_ms() - 600_000)
    hasty = settings.model_copy(update={"batch_rows": 500})
    with sink_process(hasty) as first:
        send(settings, load.lines(20_000, spread_ms=60_000), per_record=[1, 4])
        with sink_process(hasty):
            send(settings, load.lines(20_000, spread_ms=60_000), per_record=[1, 4])
            assert eventually(lambda: books(settings)[0] > 10_000)
        send(settings, load.lines(10_000, spread_ms=60_000), per_record=[1, 4])
        with sink_process(hasty):
            first.kill()
            assert eventually(lambda: books(settings) == expected(load), seconds=60)
            assert eventually(lambda: uncommitted(settings) == 0)


def test_no_broker_is_one_sentence(settings: SinkSettings) -> None:
    """A sink that finds no broker says so and where, and does not wait in silence."""
    with pytest.raises(UnavailableError, match=r"no Kafka broker answers at 127\.0\.0\.1:1 "):
        run_sink(settings.model_copy(update={"kafka": "127.0.0.1:1"}), Event())


def test_a_database_that_is_not_migrated_is_one_sentence(kafka: KafkaSettings, clickhouse: ClickHouseSettings) -> None:
    """A sink does not start on tables it does not know; it says how to make them."""
    with pytest.raises(ConfigurationError, match=r"lacks 0001_tables\.sql, 0002_\S+, .*; run `spendgauge migrate`"):
        run_sink(sink_settings(kafka, clickhouse.clickhouse), Event())


def test_a_process_says_its_error_and_fails(kafka: KafkaSettings) -> None:
    """``python -m spendgauge.sinks`` ends with one sentence on stderr and status 1, without a traceback."""
    settings = sink_settings(kafka, "http://127.0.0.1:1/db")
    command = [sys.executable, "-m", "spendgauge.sinks"]
    done = subprocess.run(command, env=settings.environment(), capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert done.stderr.startswith("spendgauge sink: no ClickHouse answers at http://127.0.0.1:1 (Connection refused)")
