"""What is left of a worker that is killed? Nothing that is wrong: the highest versions sum up exactly."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from random import Random
from time import monotonic, sleep

import pytest
from confluent_kafka import Consumer, TopicPartition
from tests.loads import Load, Totals, read_rates, send

from spendgauge.schemas import KafkaSettings, SystemClock, topic_specs
from spendgauge.schemas.kafka import create_topics

pytestmark = pytest.mark.integration

_EVENTS = int(os.environ.get("SPENDGAUGE_TEST_KILL_EVENTS", "200000"))
_KILLS = 4
_PATIENCE_SECONDS = 150
_FAUST = (sys.executable, "-m", "faust", "-A", "spendgauge.streams.worker", "worker", "--without-web")
_OURS = (sys.executable, "-m", "spendgauge.streams")


@contextmanager
def _worker(kafka: KafkaSettings, command: tuple[str, ...] = _OURS) -> Iterator[subprocess.Popen[bytes]]:
    environment = {
        **os.environ,
        **kafka.environment(),
        "SPENDGAUGE_BLOCK_OFFSETS": "1000",
        "SPENDGAUGE_FLUSH_SECONDS": "0.3",
        "SPENDGAUGE_SESSION_TIMEOUT_SECONDS": "6",
    }
    with subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            yield process
        finally:
            process.kill()


def _missing(expected: Totals, found: Totals) -> dict[object, object]:
    """Show a few totals that differ: what was expected and what was found."""
    names = [name for name in {*expected, *found} if expected.get(name) != found.get(name)]
    return {name: (expected.get(name), found.get(name)) for name in sorted(names)[:3]} | (
        {"in all": len(names)} if names else {}
    )


def _requests(totals: Totals) -> int:
    return sum(total[0] for (series, _, _), total in totals.items() if series == "total")


def _wait_until_rated(kafka: KafkaSettings, expected: Totals) -> Totals:
    """Read the rates again and again until they hold as many requests as were sent, or patience is at its end."""
    deadline = monotonic() + _PATIENCE_SECONDS
    while True:
        found = read_rates(kafka)
        if _requests(found) >= _requests(expected) or monotonic() > deadline:
            return found
        sleep(1)


def _wait_for_rates(kafka: KafkaSettings) -> None:
    deadline = monotonic() + 60
    while not read_rates(kafka):
        assert monotonic() < deadline, "no worker has written anything"


def test_killed_workers_leave_exact_totals(kafka: KafkaSettings) -> None:
    """Two workers, killed with SIGKILL at random while they work: every series, key and pane sums up exactly."""
    create_topics(kafka, topic_specs(kafka.topics))
    load = Load(seed=2, start_ms=SystemClock().now_ms() - 3_600_000)
    draw = Random(3)
    commands = [_OURS, _OURS]
    for _ in range(_KILLS):
        with _worker(kafka, commands[0]) as first, _worker(kafka, commands[1]) as second:
            lines = load.lines(_EVENTS // (_KILLS + 1), spread_ms=3_600_000)
            send(kafka, lines, per_record=(1, 1, 5, 40), seed=draw.randrange(100))
            sleep(draw.uniform(3.5, 7))  # a join takes 3 s, so this is amid a rebalance as often as amid the work
            draw.choice((first, second)).kill()
            sleep(draw.uniform(0, 2))
    with _worker(kafka), _worker(kafka):
        send(kafka, load.lines(_EVENTS // (_KILLS + 1), spread_ms=3_600_000), per_record=(1, 1, 5, 40), seed=9)
        found = _wait_until_rated(kafka, load.expected())
    assert _missing(load.expected(), found) == {}
    assert _requests(found) == load.sent


def test_faust_itself_runs_the_worker(kafka: KafkaSettings) -> None:
    """``faust -A spendgauge.streams.worker worker`` rates what was sent, and leaves at once when told to."""
    create_topics(kafka, topic_specs(kafka.topics))
    load = Load(seed=5, start_ms=SystemClock().now_ms() - 600_000)
    send(kafka, load.lines(2_000, spread_ms=500_000), per_record=(1, 7))
    with _worker(kafka, _FAUST) as process:
        found = _wait_until_rated(kafka, load.expected())
        process.terminate()
        assert process.wait(20) == 0
    assert _missing(load.expected(), found) == {}


def test_an_idle_worker_has_committed_all_it_read(kafka: KafkaSettings) -> None:
    """When all is rated, the committed offsets are the ends of the partitions, though nothing more comes."""
    create_topics(kafka, topic_specs(kafka.topics))
    load = Load(seed=7, start_ms=SystemClock().now_ms() - 600_000)
    records = send(kafka, load.lines(3_000, spread_ms=500_000), per_record=(3,))
    with _worker(kafka):
        _wait_until_rated(kafka, load.expected())
        deadline = monotonic() + 20
        while (committed := _committed(kafka)) != records and monotonic() < deadline:
            sleep(0.2)
    assert committed == records


def _committed(kafka: KafkaSettings) -> int:
    consumer = Consumer({"bootstrap.servers": kafka.kafka, "group.id": "spendgauge-rates"})
    try:
        offsets = consumer.committed([TopicPartition(kafka.topics.usage, number) for number in range(4)], timeout=10)
        return sum(max(point.offset, 0) for point in offsets)
    finally:
        consumer.close()
