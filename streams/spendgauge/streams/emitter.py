"""How do records reach the broker, and how is it known that they did?

Through librdkafka rather than Faust's own producer: it compresses and sends outside the interpreter, so that the
event loop and the decoder go on, and takes the same options as every other client of this project. It is not
idempotent: a contribution that arrives twice changes nothing, and an idempotent producer has errors that only a new
producer mends.
"""

import logging
from collections.abc import Callable, Sequence
from functools import partial
from threading import Event
from typing import Any, Final

import structlog
from confluent_kafka import KafkaError, KafkaException, Message, Producer

from spendgauge.schemas.errors import ConfigurationError
from spendgauge.schemas.kafka import client_options
from spendgauge.schemas.settings import KafkaSettings
from spendgauge.schemas.topics import CONTENT_TYPE, CONTENT_TYPE_HEADER, SCHEMA_HEADER
from spendgauge.streams.records import Record

__all__ = ["Emitter", "OnWritten"]

OnWritten = Callable[[int, int], None]
"""Hears of each record that was acknowledged its partition and its offset."""

_log = structlog.get_logger(__name__)

_ATTEMPT_SECONDS: Final = 30
_POLL_SECONDS: Final = 0.2

_HOPELESS: Final = frozenset(
    {
        KafkaError.MSG_SIZE_TOO_LARGE,
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
        KafkaError.INVALID_RECORD,
    }
)
"""What trying again cannot mend."""


class Emitter:
    """Writes records and waits until all are acknowledged; for one thread at a time."""

    def __init__(self, settings: KafkaSettings) -> None:
        options = client_options(
            settings,
            **{
                "acks": "all",
                "compression.type": "lz4",
                "linger.ms": 5,
                "message.timeout.ms": _ATTEMPT_SECONDS * 1000,
            },
        )
        try:
            self._producer = Producer(options, logger=logging.getLogger("spendgauge.librdkafka"))
        except KafkaException as error:
            raise ConfigurationError(f"the Kafka options cannot be used: {error.args[0].str()}") from None
        self._stopping = Event()

    def emit(
        self,
        topic: str,
        schema: str,
        records: Sequence[Record],
        *,
        on_written: OnWritten = lambda *_: None,
    ) -> bool:
        """Write the records, again and again until the broker has acknowledged each.

        Returns False where ``stop`` was called before that. Raises ``ConfigurationError`` where trying again cannot
        help.
        """
        headers = [(CONTENT_TYPE_HEADER, CONTENT_TYPE.encode()), (SCHEMA_HEADER, schema.encode())]
        left = list(records)
        while left:
            left = self._attempt(topic, headers, left, on_written)
            if left and self._stopping.is_set():
                return False
        return True

    @property
    def stopped(self) -> bool:
        """Whether ``stop`` was called."""
        return self._stopping.is_set()

    def stop(self) -> None:
        """Give up what the broker does not take now."""
        self._stopping.set()

    def _attempt(self, topic: str, headers: Any, records: Sequence[Record], on_written: OnWritten) -> list[Record]:
        """Write the records once; return those that were not acknowledged."""
        outcome: dict[int, KafkaError | None] = {}

        def on_delivery(number: int, error: KafkaError | None, message: Message) -> None:
            outcome[number] = error
            if error is None:
                on_written(int(message.partition() or 0), int(message.offset() or 0))

        for number, record in enumerate(records):
            self._produce(topic, headers, record, partial(on_delivery, number))
        while len(outcome) < len(records) and not self._stopping.is_set():
            self._producer.flush(_POLL_SECONDS)
        for error in filter(None, outcome.values()):
            if error.code() in _HOPELESS:
                raise ConfigurationError(f"topic {topic} does not take our records: {error.str()}")
        left = [record for number, record in enumerate(records) if outcome.get(number, True) is not None]
        if left:
            reason = next(filter(None, outcome.values()), None)
            _log.warning("records not acknowledged", topic=topic, records=len(left), error=str(reason or "stopped"))
        return left

    def _produce(self, topic: str, headers: Any, record: Record, on_delivery: Any) -> None:
        while True:
            try:
                self._producer.produce(
                    topic,
                    record.value,
                    record.key,
                    record.partition,
                    on_delivery,
                    headers=[*headers, *record.headers],
                )
                return
            except BufferError:  # the queue is full: wait until some were sent
                self._producer.poll(_POLL_SECONDS)
