"""Does a producer in memory lose nothing while a real Apache Kafka is killed, frozen and started again?"""

import threading
from collections.abc import Iterator

import pytest
from tests.apache_kafka import ApacheKafka, missing_tool
from tests.producers import CALL, read_back, unpacked

from spendgauge.producers import ProducerSettings, UsageProducer
from spendgauge.schemas import KafkaSettings, SystemClock, topic_specs
from spendgauge.schemas.kafka import create_topics

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(missing_tool() is not None, reason=f"Apache Kafka needs {missing_tool()}"),
]


@pytest.fixture(scope="module")
def apache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApacheKafka]:
    """Run one Apache Kafka broker that can be killed and paused."""
    with ApacheKafka(tmp_path_factory.mktemp("kafka")) as cluster:
        yield cluster


def test_an_outage_loses_nothing(apache: ApacheKafka) -> None:
    """Four threads emit while the broker is killed twice and frozen once: every event arrives, each seq is one event,
    and nothing was dropped or given up."""
    kafka = KafkaSettings(kafka=apache.address)
    create_topics(kafka, topic_specs(kafka.topics), replication_factor=1)
    emitter = UsageProducer(ProducerSettings(kafka=apache.address, service="api", lanes=3))
    ids: list[str | None] = []
    over = threading.Event()

    def run() -> None:
        while not over.is_set():
            ids.append(emitter.emit(**CALL))
            SystemClock().sleep(0.002)

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(2):
            apache.kill(0)
            apache.start(0)
            apache.wait(0)
        apache.pause(0)
        SystemClock().sleep(2)
        apache.resume(0)
    finally:
        over.set()
        for thread in threads:
            thread.join()
        settled = emitter.flush(60)
        emitter.close()
    assert settled, emitter.stats()
    assert (emitter.stats().delivered, emitter.stats().failed, emitter.stats().dropped) == (len(ids), 0, 0)
    found = {(event.source, event.seq): event.event_id for event in unpacked(read_back(kafka, events=len(ids)))}
    assert set(found) == {(source, seq) for source, count in emitter.sources.items() for seq in range(count)}
    assert set(found.values()) == set(ids)


def test_what_the_broker_will_not_take_is_named(apache: ApacheKafka, caplog: pytest.LogCaptureFixture) -> None:
    """A record larger than the topic allows is given up at once, counted as refused, and named by source and seqs."""
    kafka = KafkaSettings(kafka=apache.address, topic_prefix="small.")
    specs = [spec for spec in topic_specs(kafka.topics, partitions=1) if spec.name == kafka.topics.usage]
    specs[0].config["max.message.bytes"] = "500"
    create_topics(kafka, specs, replication_factor=1)
    emitter = UsageProducer(
        ProducerSettings(kafka=apache.address, topic_prefix="small.", service="api", compression="none")
    )
    emitter.emit(**CALL)
    assert emitter.flush(30)
    emitter.emit(**CALL, tags={"a": "x" * 256, "b": "y" * 256})
    assert not emitter.flush(30)
    assert emitter.close()
    assert (emitter.stats().delivered, emitter.stats().refused) == (1, 1)
    (source,) = emitter.sources
    (message,) = [message for message in caplog.messages if "events lost" in message]
    assert f"lost_source='{source}' first_seq=1 last_seq=1" in message
