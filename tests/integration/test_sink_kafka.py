"""Does the sink hold on Apache Kafka itself, where topics have ids and commits keep their metadata?"""

from collections.abc import Iterator
from time import sleep

import pytest
from confluent_kafka import Consumer, Message, TopicPartition
from tests.apache_kafka import ApacheKafka
from tests.brokers import frozen
from tests.loads import Load, send
from tests.sink_runs import (
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
    uncommitted,
)

from spendgauge.schemas import ClickHouseSettings, KafkaSettings, SystemClock, topic_specs
from spendgauge.schemas.kafka import connect_admin, create_topics, stream_ids
from spendgauge.sinks.buffer import Partition, Place
from spendgauge.sinks.consumer import Intake
from spendgauge.sinks.migrate import migrate
from spendgauge.sinks.settings import SinkSettings

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("java_and_maven")]


@pytest.fixture(scope="module")
def apache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApacheKafka]:
    """One broker of Apache Kafka for this module."""
    with ApacheKafka(tmp_path_factory.mktemp("kafka")) as cluster:
        yield cluster


@pytest.fixture
def settings(apache: ApacheKafka, clickhouse: ClickHouseSettings) -> SinkSettings:
    """A sink over fresh topics and a fresh, migrated database; sessions as short as Kafka allows."""
    prefix = clickhouse.clickhouse.rsplit("/", 1)[1] + "."
    kafka = KafkaSettings(kafka=apache.address, topic_prefix=prefix)
    create_topics(kafka, topic_specs(kafka.topics))
    migrate(clickhouse)
    return sink_settings(kafka, clickhouse.clickhouse).model_copy(update={"session_timeout_seconds": 6})


def recreate(settings: SinkSettings) -> None:
    """Delete the topic of events and create it again."""
    topic = settings.topics.usage
    admin = connect_admin(settings)
    admin.delete_topics([topic])[topic].result()
    specs = [spec for spec in topic_specs(settings.topics) if spec.name == topic]
    assert eventually(lambda: create_topics(settings, specs) == (topic,))


def test_killed_and_started_again(settings: SinkSettings) -> None:
    """A sink that is killed while it stores, and its successor, store every event once."""
    load = Load(seed=21, start_ms=now_ms() - 600_000)
    send(settings, load.lines(30_000, spread_ms=60_000), per_record=[1, 8])
    with sink_process(settings.model_copy(update={"batch_rows": 1_000})) as process:
        assert eventually(lambda: books(settings)[0] > 2_000)
        process.kill()
    assert books(settings)[0] < 30_000
    with running_sink(settings):
        assert eventually(lambda: books(settings) == expected(load), seconds=60)
    assert uncommitted(settings) == 0


def test_a_commit_names_its_stream(settings: SinkSettings) -> None:
    """The group's positions say which stream they are of, so that a recreated topic is recognised."""
    topic = settings.topics.usage
    produce(settings, topic, now_event(1))
    with running_sink(settings):
        assert eventually(lambda: count(settings, "usage") == 1)
    consumer = Consumer({"bootstrap.servers": settings.kafka, "group.id": settings.sink_group})
    point = consumer.committed([TopicPartition(topic, 0)], timeout=10)[0]
    consumer.close()
    assert (point.offset, point.metadata) == (1, stream_ids(settings, [topic], block_offsets=16_384)[topic])


def test_a_recreated_topic_is_read_from_its_beginning(settings: SinkSettings) -> None:
    """Positions in a topic that was deleted mean nothing in its successor, even where that is longer by now."""
    produce(settings, settings.topics.usage, *(now_event(n) for n in range(5)))
    with running_sink(settings):
        assert eventually(lambda: count(settings, "usage") == 5)
    recreate(settings)
    produce(settings, settings.topics.usage, *(now_event(n) for n in range(100, 108)))
    with running_sink(settings):
        assert eventually(lambda: count(settings, "usage") == 13)
    assert count(settings, "(SELECT DISTINCT stream FROM usage)") == 2


def test_a_topic_is_recreated_under_a_running_sink(settings: SinkSettings) -> None:
    """A running sink notices that a topic is another by now, reads it from its beginning and names it right."""
    produce(settings, settings.topics.usage, *(now_event(n) for n in range(5)))
    with running_sink(settings):
        assert eventually(lambda: count(settings, "usage") == 5)
        recreate(settings)
        produce(settings, settings.topics.usage, *(now_event(n) for n in range(100, 103)))
        assert eventually(lambda: count(settings, "usage") == 8)
    assert count(settings, "(SELECT DISTINCT stream FROM usage)") == 2


def test_a_frozen_broker_is_waited_for(settings: SinkSettings, apache: ApacheKafka) -> None:
    """While the broker is frozen, longer than a session, nothing is lost; afterwards all is stored and committed."""
    load = Load(seed=22, start_ms=now_ms() - 600_000)
    with running_sink(settings.model_copy(update={"batch_rows": 2_000})) as sink:
        send(settings, load.lines(20_000, spread_ms=60_000), per_record=[1, 8])
        assert eventually(lambda: books(settings)[0] > 2_000)
        apache.pause(0)
        try:
            sleep(8)
        finally:
            apache.resume(0)
        assert sink.is_alive()
        assert eventually(lambda: books(settings) == expected(load))
        assert eventually(lambda: uncommitted(settings) == 0)


def test_a_commit_does_not_wait_for_a_frozen_broker(apache: ApacheKafka, settings: SinkSettings) -> None:
    """A sink that asks for a commit turns its loop on while the broker is silent, and hears of it afterwards."""
    produce(settings, settings.topics.usage, now_event(1))
    intake = Intake(settings, on_revoke=lambda *_: None, clock=SystemClock())
    try:
        read: dict[Partition, list[Message]] = {}
        assert eventually(lambda: bool(read.update(intake.read(records=10, timeout_seconds=0.1)) or read))
        places = {at: Place(intake.stream_of(at[0]), (messages[-1].offset() or 0) + 1) for at, messages in read.items()}
        with frozen(apache, 0):
            began = SystemClock().monotonic()
            assert not intake.commit(places)
            assert SystemClock().monotonic() - began < 1

        def is_committed() -> bool:
            intake.await_commit(0.1)
            return intake.commit({})

        assert eventually(is_committed)
    finally:
        intake.close()
    assert uncommitted(settings) == 0
