"""Does everything hold on a Kafka as people run it: with passwords and TLS, retention and compaction?"""

import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path

import pytest
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # its types do not list what it re-exports
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ResourceType,
)
from tests.apache_kafka import ApacheKafka, require_tools
from tests.fleets import until
from tests.scenes import Scene, playing
from tests.sink_runs import count as count_rows
from tests.sink_runs import eventually, running_sink, sink_settings
from tests.topic_logs import read_lines, read_log
from tests.workers import running_worker

from spendgauge.producers import create_producer
from spendgauge.schemas import ClickHouseSettings, KafkaSettings, topic_specs
from spendgauge.schemas.kafka import connect_admin, create_topics
from spendgauge.sinks.migrate import migrate

pytestmark = pytest.mark.integration

_numbers = count()
_SOON_CLEANED = {
    "segment.ms": "100",
    "min.cleanable.dirty.ratio": "0.001",
    "max.compaction.lag.ms": "100",
    "delete.retention.ms": "0",
}


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApacheKafka]:
    """Run one broker of Apache Kafka that lets nobody in without a password, and speaks TLS only."""
    require_tools()
    with ApacheKafka(tmp_path_factory.mktemp("secured"), secured=True) as cluster:
        yield cluster


@pytest.fixture
def kafka(secured: ApacheKafka) -> KafkaSettings:
    """Settings with which this broker is reached; a prefix that no other test has."""
    return secured.settings(f"s{next(_numbers)}.")


@pytest.fixture
def scene(secured: ApacheKafka, tmp_path: Path) -> Iterator[Scene]:
    """Set a scene with topics and a group that no other test has."""
    with playing(secured, tmp_path, prefix=f"s{next(_numbers)}.", seed=1) as scene:
        yield scene


def test_all_processes_log_in(kafka: KafkaSettings, clickhouse: ClickHouseSettings) -> None:
    """Producer, worker (through aiokafka) and sink work with one and the same setting, SCRAM over TLS."""
    create_topics(kafka, topic_specs(kafka.topics))
    migrate(clickhouse)
    settings = sink_settings(kafka, clickhouse.clickhouse).model_copy(
        update={"kafka_options": kafka.kafka_options, "session_timeout_seconds": 6}
    )
    with running_worker(kafka, session_timeout_seconds=6), running_sink(settings):
        with create_producer(service="secured", **dict(kafka)) as producer:
            for _ in range(50):
                producer.emit(provider="openai", model="gpt-4o", input_tokens=10, output_tokens=1)
        assert eventually(lambda: count_rows(settings, "usage") == 50, seconds=120)
        requests = "(SELECT sum(requests) AS n FROM rates WHERE series = 'total' HAVING n = 50)"
        assert eventually(lambda: count_rows(settings, requests) == 1, seconds=120)
    assert read_lines(kafka, kafka.topics.rejected) == []


def test_a_wrong_password_is_one_sentence(kafka: KafkaSettings, clickhouse: ClickHouseSettings) -> None:
    """A process that the broker does not let in says so once, without the password, and ends with status 1."""
    migrate(clickhouse)
    wrong = kafka.model_copy(update={"kafka_options": kafka.kafka_options | {"sasl.password": "opensesame"}})
    environment = {**os.environ, **wrong.environment(), **clickhouse.environment()}
    commands = ("topics create", "worker", "sink", "tail usage")

    def ended(command: str) -> subprocess.CompletedProcess[str]:
        line = [sys.executable, "-m", "spendgauge.deploy", *command.split()]
        return subprocess.run(line, env=environment, capture_output=True, text=True, timeout=120, check=False)

    with ThreadPoolExecutor(len(commands)) as threads:  # each waits for the broker's answer most of its time
        for command, done in zip(commands, threads.map(ended, commands), strict=True):
            said = [line for line in done.stderr.splitlines() if line.strip()]
            assert done.returncode == 1, command
            assert "does not let us in" in said[-1], command
            assert "SPENDGAUGE_KAFKA_OPTIONS" in said[-1], command
            assert "Traceback" not in done.stderr, command
            assert "opensesame" not in done.stderr, command


def test_topics_are_kept_as_specified(kafka: KafkaSettings) -> None:
    """Retention, compaction and the clock of each topic are on the broker what ``topic_specs`` says."""
    specs = topic_specs(kafka.topics, partitions=3, retention_days=2)
    create_topics(kafka, specs)
    admin = connect_admin(kafka)
    found = admin.list_topics(timeout=10).topics
    for spec in specs:
        (described,) = admin.describe_configs([ConfigResource(ResourceType.TOPIC, spec.name)]).values()
        settings = described.result()
        assert {name: settings[name].value for name in spec.config} == spec.config
        assert len(found[spec.name].partitions) == spec.partitions
    kept = {spec.name.removeprefix(kafka.topic_prefix): spec.config for spec in specs}
    assert kept["usage.events"]["retention.ms"] == str(2 * 86_400_000)
    assert kept["usage.positions"]["cleanup.policy"] == "compact"


def test_a_cut_log_is_resumed(scene: Scene) -> None:
    """Where retention has removed the start of the blocks that are being filled, and workers start again, nothing is
    lost or doubled, and no gap is claimed that is none."""
    scene.fleet.join()
    scene.feed(1_500)
    scene.until_rated()
    scene.fleet.leave_all()
    scene.cut_log([max(0, end - 30) for end in scene.committed() or []])
    scene.load.forget()
    scene.fleet.join()
    scene.feed(3_000)
    scene.finish()
    assert scene.verdict().keys() <= {"sources", "open alerts"}
    assert scene.false_claims() == []


def test_compaction_keeps_what_recovery_needs(scene: Scene) -> None:
    """When ``usage.positions`` was compacted, workers that start anew still know every event that was counted."""
    topic = scene.kafka.topics.positions
    entries = [
        ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET) for name, value in _SOON_CLEANED.items()
    ]
    resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=entries)
    admin = connect_admin(scene.kafka)  # held until it has answered: its destruction cancels the question
    admin.incremental_alter_configs([resource])[resource].result()
    scene.fleet.join()
    for _ in range(4):
        scene.feed(2_500)
        scene.until_rated()
    until(lambda: _was_compacted(scene.kafka, topic), what="compaction")
    scene.fleet.kill(scene.fleet.workers[0])
    scene.fleet.join()
    scene.feed(1_500)
    scene.finish()
    assert scene.verdict() == {}


def _was_compacted(kafka: KafkaSettings, topic: str) -> bool:
    """Say whether records are missing between the first and the last of a partition."""
    offsets: dict[int, list[int]] = {}
    for record in read_log(kafka, topic):
        offsets.setdefault(record.partition, []).append(record.offset)
    return any(found[-1] >= len(found) for found in offsets.values())
