"""How does the sink read Kafka? One consumer group over all topics that are stored; offsets are committed by hand.

Each commit carries the stream's name as metadata. A topic that was deleted and created again begins at offset 0 with
other records; a position of its predecessor means nothing there, so the sink begins at the beginning.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Hashable, Iterable, Sequence
from typing import Any, Final

import structlog
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Message, TopicPartition

from spendgauge.schemas import Clock, UnavailableError
from spendgauge.schemas.kafka import client_options, stream_ids
from spendgauge.schemas.progress import Progress, Standing
from spendgauge.schemas.statistics import Statistics, read_statistics
from spendgauge.sinks.buffer import Partition, Place, Positions
from spendgauge.sinks.settings import SinkSettings

__all__ = ["Intake", "committable", "consumer_options", "starting_points"]

_TIMEOUT_SECONDS: Final = 10.0
_HEARTBEAT_MS: Final = 1000
"""A sink hears with its next heartbeat that another came or went: until then nobody reads those partitions."""

_AGAIN_SECONDS: Final = 1.0
_UNANSWERED_SECONDS: Final = 30.0
"""After so long a commit is asked for again: librdkafka may lose one when its broker goes."""

_POSITIONS_SECONDS: Final = 30.0
_COMPLAIN_SECONDS: Final = 10.0
_MOVED: Final = frozenset(
    (KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError.OFFSET_OUT_OF_RANGE, KafkaError._AUTO_OFFSET_RESET)
)
"""Errors that say a topic is not what it was."""

_log = structlog.get_logger(__name__)


def consumer_options(settings: SinkSettings) -> dict[str, Any]:
    """Build the options of the consumer."""
    session_ms = settings.session_timeout_seconds * 1000
    return client_options(
        settings,
        **{
            "group.id": settings.sink_group,
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            "auto.offset.reset": "earliest",
            "session.timeout.ms": session_ms,
            "heartbeat.interval.ms": min(session_ms // 5, _HEARTBEAT_MS),
            "queued.max.messages.kbytes": max(settings.batch_bytes // 1024, 1024),
            "topic.metadata.refresh.interval.ms": 30_000,
            "statistics.interval.ms": 1000,
            **({"group.instance.id": settings.instance_id} if settings.instance_id else {}),
            "partition.assignment.strategy": "range",
        },
    )


def starting_points(committed: Iterable[TopicPartition], stream_of: Callable[[str], str]) -> list[TopicPartition]:
    """Decide where to start: where the group stopped, or at the beginning of a topic that is another by now."""
    return [
        TopicPartition(point.topic, point.partition, OFFSET_BEGINNING)
        if point.metadata and _topic_id(point.metadata) != _topic_id(stream_of(point.topic))
        else point
        for point in committed
    ]


def committable(
    positions: Positions, *, assigned: Collection[Partition], stream_of: Callable[[str], str]
) -> dict[Partition, Place]:
    """Keep the positions that are still ours to commit, in topics that are still what they were."""
    return {
        partition: place
        for partition, place in positions.items()
        if partition in assigned and place.stream == stream_of(partition[0])
    }


class Intake:
    """Reads records, holds the assignment, commits positions."""

    def __init__(
        self, settings: SinkSettings, *, on_revoke: Callable[[frozenset[Partition], bool], None], clock: Clock
    ) -> None:
        """Join the group.

        ``on_revoke`` hears which partitions go to another before they go, or (True) that another may have them already.

        Raises ``UnavailableError`` where the broker does not answer or a topic is missing.
        """
        topics = settings.topics
        self._settings = settings
        self._topics = list(topics.stored)
        self._streams = dict(stream_ids(settings, self._topics, block_offsets=settings.block_offsets))
        self._on_revoke = on_revoke
        self._clock = clock
        self._assigned: set[Partition] = set()
        self._next: dict[Partition, int] = {}
        self._committed: dict[Partition, int] = {}
        self._assignments = 0
        self.statistics = Statistics()
        self._paused = False
        self._pending: dict[Partition, Place] = {}
        self._commit_at = self._complain_at = clock.monotonic()
        options = consumer_options(settings) | {
            "error_cb": self._complain,
            "on_commit": self._hear_commit,
            "stats_cb": self._hear_statistics,
        }
        self._consumer = Consumer(options, logger=_silent_logger())
        self._consumer.subscribe(self._topics, on_assign=self._assign, on_revoke=self._revoke, on_lost=self._lose)

    def stream_of(self, topic: str) -> str:
        """Name the stream that a topic is now."""
        return self._streams[topic]

    def read(self, *, records: int, timeout_seconds: float) -> dict[Partition, list[Message]]:
        """Wait for records; give those of assigned partitions in their order, perhaps none."""
        found: dict[Partition, list[Message]] = defaultdict(list)
        moved = False
        for message in self._consumer.consume(records, timeout_seconds):
            error = message.error()
            if error is None:
                found[message.topic() or "", message.partition() or 0].append(message)
            else:
                moved |= self._heard(error)
        for partition in [partition for partition in found if partition not in self._assigned]:
            del found[partition]
        for partition, messages in found.items():
            moved |= (messages[0].offset() or 0) < self._next.get(partition, 0)
            self._next[partition] = (messages[-1].offset() or 0) + 1
        if moved:
            self._refresh_streams()
        return dict(found)

    def hold(self, *, paused: bool) -> None:
        """Stop or resume fetching, while staying in the group."""
        if paused != self._paused and self._assigned:
            (self._consumer.pause if paused else self._consumer.resume)(self._points())
            self._paused = paused

    def commit(self, positions: Positions) -> bool:
        """Ask the group to commit what is still assigned; whether all of it is. What is not, is asked for again.

        It does not wait: librdkafka's commit that does may do so for ever where a broker goes at the wrong moment. The
        answer is heard while records are read.
        """
        self._pending = committable({**self._pending, **positions}, assigned=self._assigned, stream_of=self.stream_of)
        if not self._pending or (not positions and self._clock.monotonic() < self._commit_at):
            return not self._pending
        points = [TopicPartition(*at, place.offset, metadata=place.stream) for at, place in self._pending.items()]
        self._commit_at = self._clock.monotonic() + _UNANSWERED_SECONDS
        try:
            self._consumer.commit(offsets=points, asynchronous=True)
        except KafkaException as error:
            self._ask_again(error.args[0])
        return False

    def await_commit(self, timeout_seconds: float) -> None:
        """Wait for the group's answer, and read nothing."""
        self.hold(paused=True)
        self._consumer.poll(timeout_seconds)

    def standing(self) -> Standing:
        """Say how far each partition is, as far as the broker has told."""
        told = self.statistics
        progress: dict[Hashable, Progress] = {}
        for partition in self._assigned:
            committed = self._committed.get(partition, told.starts.get(partition, 0))
            position = self._next.get(partition, committed)
            progress[partition, self._assignments] = Progress(
                *partition, position=position, committed=committed, end=told.ends.get(partition)
            )
        return Standing(told.answered, told.settled, progress)

    def close(self) -> None:
        """Leave the group."""
        self._consumer.close()

    def _assign(self, consumer: Consumer, partitions: Sequence[TopicPartition]) -> None:
        self._refresh_streams()
        points = starting_points(self._where_the_group_stopped(consumer, partitions), self.stream_of)
        consumer.assign(points)
        self._assigned = {(p.topic, p.partition) for p in partitions}
        self._next = {}
        self._committed = {(p.topic, p.partition): p.offset for p in points if p.offset >= 0}
        self._assignments += 1
        self._paused = False
        _log.info("partitions assigned", partitions=len(partitions))

    def _where_the_group_stopped(
        self, consumer: Consumer, partitions: Sequence[TopicPartition]
    ) -> list[TopicPartition]:
        """Ask for a while, as a broker that comes back does not know its groups at once; then librdkafka is to ask."""
        deadline = self._clock.monotonic() + _POSITIONS_SECONDS
        while True:
            try:
                return list(consumer.committed(list(partitions), timeout=_TIMEOUT_SECONDS))
            except KafkaException as error:
                if self._clock.monotonic() >= deadline:
                    _log.warning("the committed positions cannot be read", reason=error.args[0].str())
                    return list(partitions)
            self._clock.sleep(_AGAIN_SECONDS)

    def _revoke(self, consumer: Consumer, partitions: Sequence[TopicPartition]) -> None:
        self._let_go(consumer, partitions, lost=False)

    def _lose(self, consumer: Consumer, partitions: Sequence[TopicPartition]) -> None:
        self._let_go(consumer, partitions, lost=True)

    def _let_go(self, consumer: Consumer, partitions: Sequence[TopicPartition], *, lost: bool) -> None:
        gone = frozenset((p.topic, p.partition) for p in partitions)
        if lost:
            self._assigned -= gone
        self._on_revoke(gone, lost)
        self._assigned -= gone
        self._pending = {partition: place for partition, place in self._pending.items() if partition not in gone}
        consumer.unassign()

    def _points(self) -> list[TopicPartition]:
        return [TopicPartition(*partition) for partition in self._assigned]

    def _heard(self, error: KafkaError) -> bool:
        """Note an error from the log's side; whether a topic may be another by now. Raises where none can help."""
        if error.fatal():
            raise UnavailableError(f"the Kafka consumer cannot go on: {error.str()}; start the sink again")
        _log.warning("the broker reports an error", reason=error.str())
        return error.code() in _MOVED

    def _hear_commit(self, error: KafkaError | None, points: Sequence[TopicPartition]) -> None:
        failed = error or next((point.error for point in points if point.error), None)
        if failed is not None:
            self._ask_again(failed)
            return
        for point in points:
            partition = point.topic, point.partition
            if partition in self._assigned:
                self._committed[partition] = point.offset
            if partition in self._pending and self._pending[partition].offset <= point.offset:
                del self._pending[partition]

    def _ask_again(self, error: KafkaError) -> None:
        _log.warning("commit failed; it will be tried again", reason=error.str())
        self._commit_at = self._clock.monotonic() + _AGAIN_SECONDS

    def _complain(self, error: KafkaError) -> None:
        """Say that the broker does not answer, now and then."""
        if self._clock.monotonic() >= self._complain_at:
            self._complain_at = self._clock.monotonic() + _COMPLAIN_SECONDS
            _log.warning("the broker does not answer; the sink goes on when it does", reason=error.str())

    def _hear_statistics(self, text: str) -> None:
        self.statistics = read_statistics(text, before=self.statistics, now_ms=self._clock.now_ms())

    def _refresh_streams(self) -> None:
        try:
            found = stream_ids(self._settings, self._topics, block_offsets=self._settings.block_offsets)
        except UnavailableError as error:
            _log.warning("the topics' ids cannot be read; the last known stay", reason=str(error))
            return
        for topic, stream in found.items():
            if self._streams[topic] != stream:
                _log.warning("a topic was created again; it is another stream now", topic=topic, stream=stream)
        self._streams = dict(found)


def _topic_id(stream: str) -> str:
    return stream.rsplit(":", 1)[0]


def _silent_logger() -> Any:
    import logging

    logger = logging.Logger("spendgauge.sinks.librdkafka")
    logger.addHandler(logging.NullHandler())
    return logger
