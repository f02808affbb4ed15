"""How is librdkafka set up? As counting exactly once needs it."""

import ctypes
from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

from confluent_kafka import KafkaError, KafkaException, Producer

from spendgauge.producers.settings import DeliverySettings
from spendgauge.schemas import USAGE_SCHEMA, ConfigurationError
from spendgauge.schemas.kafka import client_options
from spendgauge.schemas.topics import CONTENT_TYPE, CONTENT_TYPE_HEADER, SCHEMA_HEADER

__all__ = [
    "CONTRACT",
    "HEADERS",
    "Client",
    "ErrorCallback",
    "RecordQueue",
    "connect_client",
    "keep_for_ever",
    "open_producer",
]

HEADERS: Final[list[tuple[str, str | bytes | None]]] = [
    (CONTENT_TYPE_HEADER, CONTENT_TYPE.encode()),
    (SCHEMA_HEADER, USAGE_SCHEMA.encode()),
]

CONTRACT: Final = {"enable.idempotence": True, "acks": "all", "partitioner": "murmur2_random"}
"""What counting exactly once rests on: the order of a source in one partition, and the same partition as other
clients of the topic choose."""

_FREE: Final = {
    "log_level": 0,  # the error callback says it, once a minute
    "linger.ms": 0,  # events have been collected already
    "message.timeout.ms": 0,  # for ever: an outage must not lose what still fits into memory
    "reconnect.backoff.max.ms": 2_000,
    "queue.buffering.max.messages": 1_000,
    "queue.buffering.max.kbytes": 32 * 1024,
}

ErrorCallback = Callable[[KafkaError], None]


class RecordQueue(Protocol):
    """What all use of ``confluent_kafka.Producer``."""

    def produce(
        self,
        topic: str,
        value: bytes,
        *,
        key: bytes,
        headers: list[tuple[str, str | bytes | None]],
        on_delivery: Callable[[KafkaError | None, Any], None],
    ) -> None:
        """Queue a record; raises ``BufferError`` where the window is full."""

    def poll(self, timeout: float) -> int:
        """Serve callbacks; wait up to ``timeout`` seconds for the first."""


class Client(RecordQueue, Protocol):
    """What is used of one that sends events."""

    def purge(self) -> None:
        """Forget all records."""


def connect_client(settings: DeliverySettings, on_error: ErrorCallback) -> Client:
    """Create an idempotent producer; it connects in the background, whether or not a broker is there.

    Raises ``ConfigurationError`` where an option cannot be used.
    """
    fixed = sorted(set(settings.kafka_options) & set(CONTRACT))
    if fixed:
        raise ConfigurationError(
            f"the Kafka option {fixed[0]} cannot be set for a producer: counting each event once depends on "
            f"{fixed[0]}={CONTRACT[fixed[0]]}"
        )
    options = client_options(settings, **_FREE, **{"compression.type": settings.compression}, **CONTRACT)
    return open_producer({**options, "error_cb": on_error})


def open_producer(options: Mapping[str, Any]) -> Producer:
    """Create a producer. Raises ``ConfigurationError`` where an option cannot be used."""
    try:
        return Producer(dict(options))
    except (KafkaException, ValueError, TypeError) as error:
        raise ConfigurationError(f"the Kafka options cannot be used: {error}") from None


def keep_for_ever(client: object) -> None:
    """Make sure that a client is never destroyed, not even when the interpreter ends."""
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(client))
