"""How does the notifier read Kafka? ``cost.alerts`` in a group, offsets committed by hand; ``cost.silences`` whole."""

import logging
from collections.abc import Callable, Hashable
from typing import Any, Final

import structlog
from confluent_kafka import (
    OFFSET_BEGINNING,
    TIMESTAMP_NOT_AVAILABLE,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    TopicPartition,
)
from pydantic import ValidationError

from spendgauge.schemas.alerts import Alert
from spendgauge.schemas.clock import Clock
from spendgauge.schemas.errors import ConfigurationError, UnavailableError
from spendgauge.schemas.kafka import client_options, connect_admin, reader_options
from spendgauge.schemas.progress import Progress, Standing
from spendgauge.schemas.settings import KafkaSettings
from spendgauge.schemas.statistics import Statistics, read_statistics
from spendgauge.streams.delivery.incidents import Heard
from spendgauge.streams.delivery.settings import NotifierSettings

__all__ = ["Alerts", "Words", "check_topics"]

_TIMEOUT_SECONDS: Final = 10.0
_MOST: Final = 1_000
_COMPLAIN_SECONDS: Final = 10.0

_log = structlog.get_logger(__name__)


class Alerts:
    """Follows ``cost.alerts`` as a member of the group: one member has its one partition, the others none."""

    def __init__(
        self,
        settings: NotifierSettings,
        *,
        clock: Clock,
        on_revoke: Callable[[bool], None],
    ) -> None:
        """Join the group; ``on_revoke`` hears whether the partition is lost already."""
        self._topic = settings.topics.alerts
        self._clock = clock
        self._on_revoke = on_revoke
        self._complain_at = clock.monotonic()
        self._assignments = 0
        self._assigned = False
        self._read_to: int | None = None
        self._kept_to: int | None = None
        self._committed: int | None = None
        self.at_end = False
        """Whether all was read that was there when the partition came."""
        self.invalid = 0
        """Lines that are no alert."""
        self.statistics = Statistics()
        self._consumer = Consumer(
            client_options(
                settings,
                **{
                    "group.id": settings.notifier_group,
                    "enable.auto.commit": False,
                    "enable.auto.offset.store": False,
                    "enable.partition.eof": True,
                    "auto.offset.reset": "earliest",
                    "session.timeout.ms": settings.session_timeout_seconds * 1000,
                    "heartbeat.interval.ms": min(1000, settings.session_timeout_seconds * 300),
                    "fetch.wait.max.ms": 100,
                    "statistics.interval.ms": 1000,
                    "error_cb": self._complain,
                    "stats_cb": self._hear_statistics,
                },
            ),
            logger=_silent(),
        )
        self._consumer.subscribe([self._topic], on_assign=self._assign, on_revoke=self._revoke, on_lost=self._lose)

    def read(self, *, timeout_seconds: float) -> list[Heard]:
        """Wait for lines; give those that are alerts, in their order, perhaps none."""
        found: list[Heard] = []
        for message in self._consumer.consume(_MOST, timeout_seconds):
            error = message.error()
            if error is None:
                found += self._alerts(message)
                self._read_to = int(message.offset() or 0) + 1
            elif error.code() == KafkaError._PARTITION_EOF:
                self.at_end = True
            elif error.fatal():
                raise UnavailableError(f"the Kafka consumer cannot go on: {error.str()}; start the notifier again")
            else:
                _log.warning("the broker reports an error", reason=error.str())
        return found if self._assigned else []

    @property
    def assigned(self) -> bool:
        """Whether the partition is this notifier's, as far as it knows."""
        return self._assigned

    @property
    def read_to(self) -> int | None:
        """The next offset to be read; None: nothing was read since the partition came."""
        return self._read_to

    @property
    def uncommitted(self) -> bool:
        """Whether more is kept than is committed."""
        return self._kept_to != self._committed

    def kept(self, offset: int | None) -> None:
        """Hear that all before this offset is decided and kept; None: nothing new is."""
        self._kept_to = self._kept_to if offset is None else offset

    def holds(self) -> bool:
        """Commit what is kept, and learn by that whether the partition is still ours: who was replaced is refused."""
        if not self._assigned:
            return False
        try:
            offset = self._start() if self._kept_to is None else self._kept_to
            self._consumer.commit(offsets=[TopicPartition(self._topic, 0, offset)], asynchronous=False)
        except KafkaException as error:
            _log.warning("the group does not take the offset, so nothing is sent now", reason=error.args[0].str())
            return False
        self._kept_to = self._committed = offset
        return True

    def standing(self) -> Standing:
        """Say how far it is, as far as the broker has told."""
        progress: dict[Hashable, Progress] = {}
        if self._assigned:
            committed = self._committed or self.statistics.starts.get((self._topic, 0), 0)
            position = committed if self._read_to is None else self._read_to
            progress[self._assignments] = Progress(
                self._topic,
                0,
                position=position,
                committed=committed,
                end=self.statistics.ends.get((self._topic, 0)),
            )
        return Standing(self.statistics.answered, self.statistics.settled, progress)

    def close(self) -> None:
        """Leave the group."""
        self._consumer.close()

    def _alerts(self, message: Message) -> list[Heard]:
        found = []
        kind, at_ms = message.timestamp()
        if kind == TIMESTAMP_NOT_AVAILABLE:
            at_ms = self._clock.now_ms()
        for line in (message.value() or b"").splitlines():
            try:
                found.append(Heard(Alert.model_validate_json(line), at_ms))
            except ValidationError:
                self.invalid += 1
                _log.warning("a line of the alerts is none", offset=message.offset())
        return found

    def _start(self) -> int:
        """Say where it began to read where nothing was committed: at the oldest record."""
        low, _ = self._consumer.get_watermark_offsets(TopicPartition(self._topic, 0), timeout=_TIMEOUT_SECONDS)
        return int(low)

    def _assign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        if not partitions:
            return
        try:
            points = consumer.committed(partitions, timeout=_TIMEOUT_SECONDS)
        except KafkaException as error:
            _log.warning("the committed offset cannot be read, so all is read again", reason=error.args[0].str())
            points = partitions
        self._kept_to = self._committed = points[0].offset if points[0].offset >= 0 else None
        self._read_to, self.at_end = None, False
        self._assignments += 1
        self._assigned = True
        consumer.assign(points)

    def _revoke(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self._let_go(consumer, partitions, lost=False)

    def _lose(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self._let_go(consumer, partitions, lost=True)

    def _let_go(self, consumer: Consumer, partitions: list[TopicPartition], *, lost: bool) -> None:
        if partitions:
            self._on_revoke(lost)
            self._assigned = False
        consumer.unassign()

    def _complain(self, error: KafkaError) -> None:
        """Say that the broker does not answer, now and then."""
        if self._clock.monotonic() >= self._complain_at:
            self._complain_at = self._clock.monotonic() + _COMPLAIN_SECONDS
            _log.warning("the broker does not answer; the notifier goes on when it does", reason=error.str())

    def _hear_statistics(self, text: str) -> None:
        self.statistics = read_statistics(text, before=self.statistics, now_ms=self._clock.now_ms())


class Words:
    """Follows ``cost.silences`` from its beginning, without a group."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._consumer = Consumer(reader_options(settings, "words", **{"fetch.wait.max.ms": 100}), logger=_silent())
        self._consumer.assign([TopicPartition(settings.topics.silences, 0, OFFSET_BEGINNING)])
        self.at_end = False
        """Whether all was read that was there at the start."""

    def read(self) -> list[tuple[bytes, bytes | None]]:
        """Give the records that have come, in their order."""
        found: list[tuple[bytes, bytes | None]] = []
        for message in self._consumer.consume(_MOST, 0):
            error, key, value = message.error(), message.key(), message.value()
            if error is None and isinstance(key, bytes):
                found.append((key, value if isinstance(value, bytes) else None))
            elif error is not None and error.code() == KafkaError._PARTITION_EOF:
                self.at_end = True
        return found

    def close(self) -> None:
        """Stop."""
        self._consumer.close()


def check_topics(settings: KafkaSettings) -> None:
    """Raise ``UnavailableError`` where Kafka or a topic is missing, ``ConfigurationError`` where a topic is cut up."""
    names = settings.topics
    found = connect_admin(settings).list_topics(timeout=_TIMEOUT_SECONDS).topics
    for topic in (names.alerts, names.silences, names.deliveries):
        if topic not in found:
            raise UnavailableError(
                f"topic {topic} does not exist at {settings.kafka}; create the topics with `spendgauge topics create`"
            )
        partitions = len(found[topic].partitions)
        if partitions != 1:
            raise ConfigurationError(
                f"topic {topic} has {partitions} partitions, and alerts need one order; make it anew with 1 partition"
            )


def _silent() -> Any:
    logger = logging.Logger("spendgauge.streams.delivery.librdkafka")
    logger.addHandler(logging.NullHandler())
    return logger
