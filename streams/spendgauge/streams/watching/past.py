"""What has one partition of ``cost.rates`` said before? Its log, from the beginning up to a line, without a group.

The line is where the others are, but not before the log's end as it was found: whoever had the partition before may
have read up to there, and has said of blocks that nothing of them is to come.

What was fetched and lies behind the line is held, for the line moves on: so the last step, up to exactly where the
others are, asks nothing of the broker. Where retention is faster than the reading, what is left is read; where the
broker is away, nothing comes for a while.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import structlog
from confluent_kafka import Consumer, KafkaError, Message, TopicPartition

from spendgauge.schemas.kafka import reader_options
from spendgauge.schemas.settings import KafkaSettings
from spendgauge.streams.judging import History, read_lines

__all__ = ["Past"]

_AT_ONCE: Final = 1_000
_HELD_BYTES: Final = 8 * 1024 * 1024
"""So much may wait to be told, or for the others to come as far; and what is fetched at once comes to it."""
_TOLD_BYTES: Final = 2 * 1024 * 1024
"""So much is told at once: a moment's work."""
_POLL_SECONDS: Final = 0.05

_OPTIONS: Final = {
    "auto.offset.reset": "earliest",
    "fetch.wait.max.ms": 50,
    "queued.max.messages.kbytes": 8 * 1024,
    "log_level": 0,
}

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Record:
    offset: int
    logged_at: float
    value: bytes


class Past:
    """Reads one partition for one judge; for one thread at a time."""

    def __init__(self, settings: KafkaSettings, partition: int, history: History) -> None:
        """Begin at the log's beginning."""
        self._partition = partition
        self._history = history
        self.first: int | None = None
        """The first offset that the log still held."""
        self.lines = 0
        self._next = 0
        self._end: int | None = None
        """Where the log ended when that was first seen."""
        self._held: deque[_Record] = deque()
        self._held_bytes = 0
        self._consumer = Consumer(reader_options(settings, "past", **_OPTIONS))
        # Offset 0, for to ask where a log begins takes librdkafka half a second; where that is later, it begins there.
        self._place = TopicPartition(settings.topics.rates, partition, 0)
        self._consumer.assign([self._place])

    def read(self, up_to: int) -> bool:
        """Read on for a moment, and tell what lies before an offset; say whether that is all of it."""
        if self._held_bytes < _HELD_BYTES:
            messages = self._consumer.consume(_AT_ONCE, _POLL_SECONDS)
            for message in messages:
                self._hear(message)
            if messages and self._end is None:
                self._see_end()
        return self.take(up_to)

    def take(self, up_to: int) -> bool:
        """Tell what is held and lies before an offset, as far as a moment goes; say whether that is all of it."""
        ready, size = [], 0
        while self._held and self._held[0].offset < up_to and size < _TOLD_BYTES:
            ready.append(self._held.popleft())
            size += len(ready[-1].value)
        self._held_bytes -= size
        if ready:
            self._tell(ready)
        told = self._next >= up_to and not (self._held and self._held[0].offset < up_to)
        return told and self._end is not None and up_to >= self._end

    def close(self) -> None:
        """Leave the topic."""
        self._consumer.close()

    def _hear(self, message: Message) -> None:
        error, offset = message.error(), int(message.offset() or 0)
        if error is None:
            self._put(offset, message)
        elif error.code() == KafkaError._PARTITION_EOF and offset >= self._next:  # others mend themselves
            self._next = offset

    def _see_end(self) -> None:
        """Take the end from the answer itself: in a log that never rests the consumer never says that it is there."""
        _, end = self._consumer.get_watermark_offsets(self._place, cached=True)
        self._end = end if end >= 0 else None

    def _put(self, offset: int, message: Message) -> None:
        if offset < self._next:
            self._begin(offset)
        elif self.first is not None and offset > self._next:
            _log.warning(
                "the log was shortened while it was read", partition=self._partition, missing=offset - self._next
            )
        self.first = offset if self.first is None else self.first
        self._next = offset + 1
        self._held.append(_Record(offset, message.timestamp()[1] / 1000, message.value() or b""))
        self._held_bytes += len(self._held[-1].value)

    def _begin(self, offset: int) -> None:
        """Begin anew: offsets that come again are those of another log of that name."""
        _log.warning("the topic was created again while it was read: beginning anew", partition=self._partition)
        self._history.begin()
        self._held.clear()
        self._held_bytes = 0
        self.first, self._end, self._next, self.lines = None, None, offset, 0

    def _tell(self, records: Sequence[_Record]) -> None:
        lines = read_lines([record.value for record in records], series=self._history.series)
        self._history.absorb(lines, max(record.logged_at for record in records))
        self.lines += len(lines)
