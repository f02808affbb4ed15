"""How is a producer tested? Against Kafka in memory, or the real one, with the same questions."""

import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from confluent_kafka import Consumer, KafkaError, Message, TopicPartition

from spendgauge.deploy.stack.broker import broker_command
from spendgauge.producers.client import ErrorCallback
from spendgauge.producers.settings import DeliverySettings
from spendgauge.schemas import KafkaSettings, UnavailableError, UsageEvent, topic_specs
from spendgauge.schemas.ends import SourceEnd
from spendgauge.schemas.kafka import client_options, create_topics

__all__ = ["CALL", "FakeBroker", "FakeClock", "Sent", "broker_on", "ends", "positions", "read_back", "unpacked"]

CALL: dict[str, Any] = {"provider": "anthropic", "model": "claude-haiku-4-5", "input_tokens": 10, "output_tokens": 2}
"""The least that a test emits."""

_READ_SECONDS = 20


@dataclass(frozen=True)
class Sent:
    """One record as a broker keeps it."""

    key: bytes
    value: bytes
    headers: tuple[tuple[str, bytes], ...]
    partition: int = 0


class FakeClock:
    """A clock that moves when told."""

    def __init__(self, now_ms: int = 1_800_000_000_000) -> None:
        self.wall_ms = now_ms
        self.seconds = 0.0

    def now_ms(self) -> int:
        """Return the time it was set to."""
        return self.wall_ms

    def monotonic(self) -> float:
        """Return how far it was moved."""
        return self.seconds

    def sleep(self, seconds: float) -> None:
        """Move on at once."""
        self.seconds += seconds


class FakeBroker:
    """Kafka as a producer sees it: takes records while it is up, refuses those it is told to refuse."""

    def __init__(self, *, up: bool = True, window: int = 1000) -> None:
        self.records: list[Sent] = []
        self.clients: list[FakeClient] = []
        self.window = window
        self.refusals: list[KafkaError] = []
        self._up = up
        self._changed = threading.Condition()

    @property
    def up(self) -> bool:
        """Whether it answers."""
        return self._up

    @up.setter
    def up(self, up: bool) -> None:
        with self._changed:
            self._up = up
            self._changed.notify_all()

    def connect(self, settings: DeliverySettings, on_error: ErrorCallback) -> "FakeClient":  # noqa: ARG002 - as the real one
        """Make another client, as ``connect_client`` does."""
        self.clients.append(FakeClient(self, on_error))
        return self.clients[-1]

    def wait_for(self, events: int) -> bool:
        """Wait until it has taken this many events; say no after ten seconds."""
        with self._changed:
            return self._changed.wait_for(lambda: len(self.events) >= events, 10)

    def take(self, record: Sent) -> None:
        """Keep a record."""
        with self._changed:
            self.records.append(record)
            self._changed.notify_all()

    def wait(self, seconds: float) -> None:
        """Wait until it is up, or for ``seconds``."""
        with self._changed:
            self._changed.wait_for(lambda: self._up, seconds)

    @property
    def events(self) -> list[UsageEvent]:
        """What it has taken, in order."""
        return unpacked(self.records)


class FakeClient:
    """What is used of librdkafka's producer."""

    def __init__(self, broker: FakeBroker, on_error: ErrorCallback) -> None:
        self.on_error = on_error
        self.deaf = False
        self._broker = broker
        self._queue: list[tuple[Sent, Callable[[KafkaError | None, Any], None]]] = []

    def produce(
        self,
        topic: str,  # noqa: ARG002 - as the real one
        value: bytes,
        *,
        key: bytes,
        headers: list[Any],
        on_delivery: Callable[[KafkaError | None, Any], None],
    ) -> None:
        """Queue a record, while there is room."""
        if len(self._queue) >= self._broker.window:
            raise BufferError
        self._queue.append((Sent(key, value, tuple(headers)), on_delivery))

    def poll(self, timeout: float) -> int:
        """Deliver what is queued where the broker is up; otherwise wait for it."""
        if self.deaf or not self._broker.up:
            self._broker.wait(timeout)
            return 0
        queue, self._queue = self._queue, []
        for sent, on_delivery in queue:
            refusal = self._broker.refusals.pop(0) if self._broker.refusals else None
            if refusal is None:
                self._broker.take(sent)
            on_delivery(refusal, None)
        return len(queue)

    def purge(self) -> None:
        """Forget what is queued."""
        self._queue = []


@contextmanager
def broker_on(port: int) -> Iterator[KafkaSettings]:
    """Run an embedded broker on this port, with the project's topics; kill it at the end, and all it keeps with it."""
    kafka = KafkaSettings(kafka=f"127.0.0.1:{port}")
    with subprocess.Popen(broker_command(port=port), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            _create_topics(kafka)
            yield kafka
        finally:
            process.kill()


def _create_topics(kafka: KafkaSettings) -> None:
    for attempt in range(20):
        try:
            create_topics(kafka, topic_specs(kafka.topics))
            return
        except UnavailableError:
            if attempt == 19:
                raise


def unpacked(records: list[Sent]) -> list[UsageEvent]:
    """Read the events in records, in order; what a source says of its end is none."""
    return [UsageEvent.model_validate_json(line) for record in records for line in _events(record.value)]


def ends(records: list[Sent]) -> dict[str, list[int]]:
    """List what each source says to be its next ``seq``; it says it in a record of its own, behind all its events."""
    found: dict[str, list[int]] = {}
    for record in records:
        name = record.key.decode()
        if _events(record.value):
            assert name not in found, f"events of {name} behind its end"
        else:
            end = SourceEnd.model_validate_json(record.value)
            assert end.source == name
            found.setdefault(name, []).append(end.next_seq)
    return found


def _events(value: bytes) -> list[bytes]:
    return [line for line in value.split(b"\n") if not line.startswith(b'{"schema":')]


def positions(records: list[Sent]) -> dict[str, list[int | None]]:
    """List the ``seq`` of each source in the order of the log."""
    found: dict[str, list[int | None]] = {}
    for event in unpacked(records):
        found.setdefault(event.source, []).append(event.seq)
    return found


def read_back(kafka: KafkaSettings, *, events: int) -> list[Sent]:
    """Read the usage topic from its beginning to its present end, which holds ``events`` different events at least.

    The embedded broker says too low an end for a batch of several records, so both are asked for.
    """
    consumer = Consumer(client_options(kafka, **{"group.id": "test", "enable.auto.commit": False}))
    try:
        topic = kafka.topics.usage
        ids = consumer.list_topics(topic, timeout=_READ_SECONDS).topics[topic].partitions
        ends = {id_: consumer.get_watermark_offsets(TopicPartition(topic, id_), _READ_SECONDS)[1] for id_ in ids}
        consumer.assign([TopicPartition(topic, id_, 0) for id_ in ids])
        return [_sent(message) for message in _messages(consumer, sum(ends.values()), events)]
    finally:
        consumer.close()


def _messages(consumer: Consumer, records: int, events: int) -> Iterator[Message]:
    found: set[bytes] = set()
    while records > 0 or len(found) < events:
        message = consumer.poll(_READ_SECONDS)
        wanted = f"{max(records, 0)} records, {events - len(found)} events"
        assert message is not None, f"{wanted} did not come within {_READ_SECONDS} s"
        assert message.error() is None, message.error()
        records -= 1
        found.update(_events(_bytes(message.value())))
        yield message


def _sent(message: Message) -> Sent:
    headers: Any = message.headers()  # a list of pairs; the library's types allow other shapes
    return Sent(_bytes(message.key()), _bytes(message.value()), tuple(headers or ()), message.partition() or 0)


def _bytes(value: Any) -> bytes:
    assert isinstance(value, bytes), value
    return value
