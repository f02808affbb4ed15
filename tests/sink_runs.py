"""How is a whole sink tested? It runs, as a thread or as a process to kill; SQL and the group's offsets tell."""

import subprocess
import sys
import time
import urllib.error
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from pathlib import Path
from threading import Event, Thread
from typing import Any

from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from tests.loads import Load
from tests.processes import running
from tests.sinks import event
from tests.stores import ask

from spendgauge.deploy.store.process import store_command
from spendgauge.schemas import ClickHouseSettings, KafkaSettings, SystemClock, topic_specs
from spendgauge.schemas.kafka import read_ends
from spendgauge.schemas.money import usd
from spendgauge.sinks.clickhouse import connect
from spendgauge.sinks.settings import SinkSettings
from spendgauge.sinks.sink import run_sink

__all__ = [
    "JOIN_SECONDS",
    "books",
    "count",
    "eventually",
    "expected",
    "now_event",
    "now_ms",
    "produce",
    "running_sink",
    "sink_process",
    "sink_settings",
    "store_on",
    "uncommitted",
]

JOIN_SECONDS = 2
"""The session timeout; the embedded broker lets a consumer join after half of it."""


def now_ms() -> int:
    """The broker takes producers' clocks for its own, so events must be of now."""
    return SystemClock().now_ms()


def now_event(number: int, **fields: Any) -> bytes:
    """Write an event of now."""
    at = datetime.fromtimestamp(now_ms() / 1000, UTC).isoformat(timespec="milliseconds")
    return event(number, occurred_at=at, **fields)


def sink_settings(kafka: KafkaSettings, clickhouse: str) -> SinkSettings:
    """Set a sink up with a group of its own, and without patience."""
    return SinkSettings(
        kafka=kafka.kafka,
        topic_prefix=kafka.topic_prefix,
        clickhouse=clickhouse,
        sink_group=f"{kafka.topic_prefix}sink",
        session_timeout_seconds=JOIN_SECONDS,
        flush_seconds=0.1,
    )


@contextmanager
def running_sink(settings: SinkSettings) -> Iterator[Thread]:
    """Run a sink in a thread; stop it gently at the end, and fail if it failed."""
    stop = Event()
    failures: list[BaseException] = []

    def work() -> None:
        try:
            run_sink(settings, stop)
        except BaseException as error:  # noqa: BLE001 - the test's thread raises it
            failures.append(error)

    thread = Thread(target=work)
    thread.start()
    try:
        yield thread
    finally:
        stop.set()
        thread.join(timeout=30)
    assert not thread.is_alive()
    if failures:
        raise failures[0]


def produce(settings: KafkaSettings, topic: str, *values: bytes | None, partition: int = 0) -> None:
    """Write records and hear that they arrived."""
    producer = Producer({"bootstrap.servers": settings.kafka, "linger.ms": 0})
    for value in values:
        producer.produce(topic, value, key=b"source", partition=partition)
    assert producer.flush(20) == 0


def books(settings: ClickHouseSettings) -> tuple[int, int, Decimal]:
    """Count the events, those without a price, and add up the cost, as SQL sees them."""
    query = "SELECT count(), countIf(cost_usd IS NULL), ifNull(sum(cost_usd), 0) FROM usage"
    client = connect(settings)
    row = client.query(query).result_rows[0]
    client.close()
    return row[0], row[1], row[2]


def expected(load: Load) -> tuple[int, int, Decimal]:
    """Say what the books must show."""
    totals = [total for (series, _, _), total in load.expected().items() if series == "total"]
    return load.sent, sum(total[2] for total in totals), usd(sum(total[-1] for total in totals))


def count(settings: ClickHouseSettings, what: str) -> int:
    """Count rows of a table or view."""
    client = connect(settings)
    try:
        return int(str(client.command(f"SELECT count() FROM {what}")))
    finally:
        client.close()


def uncommitted(settings: SinkSettings) -> int:
    """Count the records that the group has not committed."""
    stored = settings.topics.stored
    specs = [spec for spec in topic_specs(settings.topics) if spec.name in stored]
    points = [TopicPartition(spec.name, number) for spec in specs for number in range(spec.partitions)]
    consumer = Consumer({"bootstrap.servers": settings.kafka, "group.id": settings.sink_group})
    try:
        told = {(p.topic, p.partition): _answered(partial(consumer.get_watermark_offsets, p))[1] for p in points}
        standings = _answered(partial(consumer.committed, points))
    finally:
        consumer.close()
    committed = {(p.topic, p.partition): max(p.offset, 0) for p in standings}
    ends = read_ends(settings, {partition: end for partition, end in told.items() if end})
    return sum(end - committed[partition] for partition, end in ends.items())


def _answered(ask: Callable[..., Any]) -> Any:
    """Ask a broker that may have come back a moment ago: for some seconds it leads nothing."""
    for _ in range(20):
        try:
            return ask(timeout=10)
        except KafkaException:
            time.sleep(0.5)
    return ask(timeout=10)


@contextmanager
def sink_process(settings: SinkSettings) -> Iterator[subprocess.Popen[bytes]]:
    """Run a sink as a process."""
    with running((sys.executable, "-m", "spendgauge.sinks"), environment=settings.environment()) as process:
        yield process


def eventually(check: Callable[[], bool], *, seconds: float = 60) -> bool:
    """Say whether something comes true within a time."""
    deadline = time.monotonic() + seconds
    while not check():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


@contextmanager
def store_on(port: int, path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run a store on a given port and directory."""
    with running(store_command(path=path, port=port)) as process:
        assert eventually(lambda: _answers(port))
        yield process


def _answers(port: int) -> bool:
    try:
        return ask(f"http://127.0.0.1:{port}", path="/ping").status == 200
    except urllib.error.URLError:
        return False
