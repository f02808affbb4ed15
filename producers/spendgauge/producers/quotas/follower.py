"""How does a process know what is spent? It reads ``cost.quotas`` from its beginning, and goes on for ever.

Without a group: each process reads all of it. Whatever happens on the way (no broker, no topic yet, a topic that was
deleted and created again) is waited out, and what was read stays known meanwhile. Used by one thread.
"""

from contextlib import suppress
from typing import Final

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Message, TopicPartition

from spendgauge.producers.client import keep_for_ever
from spendgauge.producers.forks import Connection
from spendgauge.producers.notices import Notices
from spendgauge.producers.quotas.board import Board
from spendgauge.producers.quotas.settings import QuotaSettings
from spendgauge.schemas import Clock, ConfigurationError
from spendgauge.schemas.kafka import reader_options

__all__ = ["Follower"]

_AT_ONCE: Final = 200
_RETRY_SECONDS: Final = 1.0
_ASK_SECONDS: Final = 0.5
_OPTIONS: Final = {
    "auto.offset.reset": "earliest",  # where the log was replaced by a shorter one
    "allow.auto.create.topics": False,
    "log_level": 0,
    "reconnect.backoff.max.ms": 2_000,
    "queued.max.messages.kbytes": 4_096,
}
_NO_TOPIC: Final = (KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC, KafkaError._UNKNOWN_PARTITION)


class Follower:
    """Puts what is read on a board."""

    def __init__(self, settings: QuotaSettings, board: Board, *, clock: Clock, notices: Notices) -> None:
        """Create the client; it connects in the background. Raises ``ConfigurationError``."""
        self._topic = settings.topics.quotas
        self._board = board
        self._clock = clock
        self._notices = notices
        self._next_offset = 0
        self._end_offset: int | None = None
        self._ask_at = 0.0
        self._assign_at: float | None = None
        self._settings = settings
        self._connection = Connection(clock.monotonic)
        self._consumer: Consumer | None = self._connect()

    def turn(self, wait_seconds: float) -> None:
        """Read what has come; wait up to ``wait_seconds`` for the first."""
        if self._consumer is None:
            self._consumer = self._connect()
        elif self._assign_at is not None and self._clock.monotonic() >= self._assign_at:
            self._assign(self._consumer)
        for message in self._consumer.consume(_AT_ONCE, wait_seconds):
            error = message.error()
            if error is None:
                self._connection.works()
                self._take(message)
            elif error.code() == KafkaError._PARTITION_EOF:
                self._connection.works()
                self._at_end(message)
            else:
                self._on_message_error(error)
        if not self._board.complete:
            self._look_for_end(self._consumer)

    @property
    def may_stay(self) -> bool:
        """Whether a fork may find the client as it is."""
        return self._connection.may_stay

    def disconnect(self) -> None:
        """Let go of the client, for a fork; the next ``turn`` goes on where the last one was."""
        self._connection.let_go()
        self.close()

    def close(self) -> None:
        """Let go of the client."""
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            consumer.close()

    def abandon(self) -> None:
        """Let go of a client that a fork has left without its threads; to close it would hang."""
        if self._consumer is not None:
            keep_for_ever(self._consumer)

    def _connect(self) -> Consumer:
        try:
            consumer = Consumer(reader_options(self._settings, "quotas", **_OPTIONS, error_cb=self._on_error))
        except (KafkaException, ValueError, TypeError) as error:
            raise ConfigurationError(f"the Kafka options cannot be used: {error}") from None
        self._assign(consumer)
        return consumer

    def _assign(self, consumer: Consumer) -> None:
        self._assign_at = None
        consumer.assign([TopicPartition(self._topic, 0, self._next_offset or OFFSET_BEGINNING)])

    def _take(self, message: Message) -> None:
        offset, key, value = message.offset() or 0, message.key(), message.value()
        if offset < self._next_offset:
            self._start_again()
        self._next_offset = offset + 1
        known = self._board.apply(key if isinstance(key, bytes) else None, value if isinstance(value, bytes) else None)
        if not known:
            self._notices.report("a record of cost.quotas cannot be read, and is left out", offset=offset)

    def _at_end(self, message: Message) -> None:
        offset = message.offset() or 0
        if offset < self._next_offset:
            self._start_again()
            self._next_offset = offset
        self._board.complete = True

    def _look_for_end(self, consumer: Consumer) -> None:
        """See whether all is read that was there when this was first asked.

        The end is told with records only where none come for half a second; on a busy topic that is never.
        """
        now = self._clock.monotonic()
        if self._end_offset is None and now >= self._ask_at:
            self._ask_at = now + _RETRY_SECONDS
            with suppress(KafkaException):
                told = consumer.get_watermark_offsets(TopicPartition(self._topic, 0), _ASK_SECONDS)
                self._end_offset = told[1] if told else None
        if self._end_offset is not None and self._next_offset >= self._end_offset:
            self._board.complete = True

    def _start_again(self) -> None:
        """Forget all: offsets never go back within one log, so this is another one."""
        self._board.forget()
        self._end_offset = None

    def _on_message_error(self, error: KafkaError) -> None:
        if error.code() in _NO_TOPIC:
            reason = f"there is no topic {self._topic}; create it with `spendgauge topics create`"
            self._assign_at = self._clock.monotonic() + _RETRY_SECONDS
        else:
            reason = error.str()
        self._notices.report("quotas cannot be read; what is known stays", reason=reason)

    def _on_error(self, error: KafkaError) -> None:
        self._connection.fails()
        self._notices.report("the broker does not answer; quotas stay as they were read", reason=error.str())
