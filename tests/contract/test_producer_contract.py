"""Does a producer keep its promises on the broker in memory and on a real one alike?"""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import confluent_kafka
import pytest
from tests.producers import CALL, FakeBroker, Sent, broker_on, ends, positions, read_back, unpacked

from spendgauge.deploy.stack.broker import free_port
from spendgauge.producers import BulkWriter, DeliverySettings, ProducerSettings, UsageProducer
from spendgauge.producers.client import connect_client
from spendgauge.producers.lane import Lane
from spendgauge.producers.notices import Notices
from spendgauge.producers.producer import Connect
from spendgauge.producers.sender import Sender
from spendgauge.schemas import KafkaSettings, SystemClock, topic_specs
from spendgauge.schemas.kafka import create_topics


@dataclass(frozen=True)
class End:
    """Where events go: how a client is made, and how what arrived is read."""

    kafka: KafkaSettings
    connect: Connect
    read: Callable[[int], list[Sent]]

    def producer(self, **fields: object) -> UsageProducer:
        """A producer to here."""
        own = {"service": "api", "host": "h", **self.kafka.model_dump(), **fields}
        return UsageProducer(ProducerSettings(**own), connect=self.connect)


@pytest.fixture(params=["memory", pytest.param("embedded", marks=pytest.mark.integration)])
def end(request: pytest.FixtureRequest) -> Iterator[End]:
    """Kafka in memory, then the embedded broker."""
    if request.param == "memory":
        broker = FakeBroker()
        yield End(KafkaSettings(), broker.connect, lambda _: broker.records)
    else:
        kafka = request.getfixturevalue("kafka")
        create_topics(kafka, topic_specs(kafka.topics))
        yield End(kafka, connect_client, lambda events: read_back(kafka, events=events))


def test_every_event_arrives_once_and_in_order(end: End) -> None:
    """Events of four threads over three lanes arrive once each, each source in the order of its seq, in one partition,
    under its own name as key, in records of at most ``coalesce_events`` lines."""
    ids: list[str | None] = []
    with end.producer(lanes=3, coalesce_events=7) as emitter:
        threads = [
            threading.Thread(target=lambda: ids.extend([emitter.emit(**CALL) for _ in range(250)])) for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    records = end.read(1000)
    assert {event.event_id for event in unpacked(records)} == set(ids)
    assert positions(records) == {source: list(range(count)) for source, count in emitter.sources.items()}
    assert len({(record.key, record.partition) for record in records}) == len({record.key for record in records}) == 3
    assert all({event.source.encode() for event in unpacked([record])} <= {record.key} for record in records)
    assert max(record.value.count(b"\n") + 1 for record in records) <= 7
    assert (emitter.stats().delivered, emitter.stats().records) == (1000, sum(bool(unpacked([r])) for r in records))
    assert ends(records).items() <= {source: [count] for source, count in emitter.sources.items()}.items()


def test_a_record_says_what_it_is(end: End) -> None:
    """Every record carries the content type and the schema of its lines."""
    with end.producer() as emitter:
        emitter.emit(**CALL)
    record, *_ = end.read(1)
    assert record.headers == (("content-type", b"application/x-ndjson"), ("spendgauge-schema", b"spendgauge.usage/1"))


def test_flush_means_the_broker_has_it(end: End) -> None:
    """What was emitted before a flush that says yes can be read, while the producer goes on."""
    emitter = end.producer(linger_ms=60_000)
    for number in range(3):
        emitter.emit(**CALL)
        assert emitter.flush(20)
        assert len(unpacked(end.read(number + 1))) == number + 1
    assert emitter.close(20)


@pytest.mark.parametrize("compression", ["zstd", "none"])
def test_other_codecs_arrive_too(end: End, compression: str) -> None:
    """What is sent with another codec reads the same."""
    with end.producer(compression=compression) as emitter:
        emitter.emit(**CALL, entity_id="x" * 200)
    assert unpacked(end.read(1))[0].entity_id == "x" * 200


def test_many_sources_share_a_writer(end: End) -> None:
    """A bulk writer's sources each arrive whole, in order and in one partition."""
    with BulkWriter(DeliverySettings(**end.kafka.model_dump()), connect=end.connect) as bulk:
        sources = [bulk.open_source("api", f"h{number}") for number in range(20)]
        for _ in range(3):
            for source in sources:
                assert source.write([CALL] * 5) == ()
    records = end.read(300)
    assert positions(records) == {source.name: list(range(15)) for source in sources}
    assert len({(record.key, record.partition) for record in records}) == 20


@pytest.mark.integration
def test_the_partition_is_the_one_java_would_choose(kafka: KafkaSettings) -> None:
    """A source's partition is murmur2 of its name, so that clients in other languages agree."""
    create_topics(kafka, topic_specs(kafka.topics))
    with BulkWriter(DeliverySettings(**kafka.model_dump())) as bulk:
        for number in range(12):
            bulk.open_source("api", f"h{number}").write([CALL])
    records = read_back(kafka, events=12)
    assert {record.key: record.partition for record in records} == {
        record.key: confluent_kafka.murmur2(record.key, 4) for record in records
    }


@pytest.mark.integration
def test_a_broker_that_comes_late_gets_everything(capfd: pytest.CaptureFixture[str]) -> None:
    """Events emitted before the broker is there arrive when it comes, in order; nothing is printed meanwhile."""
    port = free_port()
    emitter = UsageProducer(service="api", kafka=f"127.0.0.1:{port}", coalesce_events=10)
    for _ in range(100):
        emitter.emit(**CALL)
    assert not emitter.flush(0.2)
    assert (emitter.stats().queued, emitter.stats().failed) == (100, 0)
    with broker_on(port) as kafka:
        assert emitter.flush(30)
        assert list(positions(read_back(kafka, events=100)).values()) == [list(range(100))]
        assert emitter.close(10)
    assert capfd.readouterr() == ("", "")


@pytest.mark.integration
def test_a_broker_that_forgot_the_session_gets_the_rest() -> None:
    """A broker that restarts without memory refuses the old session for ever; another session delivers what waits."""
    port, clock = free_port(), SystemClock()
    settings = DeliverySettings(kafka=f"127.0.0.1:{port}")
    lane = Lane("s", defaults={}, max_events=1, max_bytes=1)
    sender = Sender(
        settings.topics.usage,
        partial(connect_client, settings),
        clock=clock,
        notices=Notices(clock.monotonic),
        stuck_seconds=0.5,
    )
    with broker_on(port):
        _deliver(sender, lane, 3)
    with broker_on(port) as kafka:
        _deliver(sender, lane, 3)
        assert positions(read_back(kafka, events=3)) == {"s": [3, 4, 5]}
    assert sender.give_up() == []


def _deliver(sender: Sender, lane: Lane, events: int) -> None:
    for _ in range(events):
        lane.add(("0190c5b0-3d6e-7c41-9f0e-2a6f1d0b7e55", SystemClock().now_ms(), CALL))
        record = lane.take()
        assert record is not None
        sender.add(record)
    deadline = SystemClock().monotonic() + 30
    while sender.pending_events and SystemClock().monotonic() < deadline:
        sender.turn(0.05)
    assert sender.pending_events == 0


@pytest.mark.parametrize("bound", [0.0, 0.3])
def test_closing_without_a_broker_ends_in_time(bound: float) -> None:
    """With nothing at the address, close returns within its bound and the second it may take to count what is lost."""
    emitter = UsageProducer(service="api", kafka="127.0.0.1:1")
    for _ in range(1000):
        emitter.emit(**CALL)
    before = SystemClock().monotonic()
    assert not emitter.close(bound)
    assert SystemClock().monotonic() - before < bound + 1.5
    assert (emitter.stats().failed, emitter.stats().queued) == (1000, 0)
