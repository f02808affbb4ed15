"""What has been read and not yet stored? Records by partition, in order, until they make a batch."""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Protocol

from spendgauge.schemas import RecordChunk

__all__ = ["Buffer", "Message", "Partition", "Positions"]

Partition = tuple[str, int]
"""A topic's name and the partition's number."""

Positions = Mapping[Partition, int]
"""The next offset to read of each partition."""


class Message(Protocol):
    """What confluent-kafka's messages can do, as far as it is needed here."""

    def topic(self) -> Any:
        """The topic's name."""

    def partition(self) -> Any:
        """The partition's number."""

    def offset(self) -> Any:
        """Its place in the partition."""

    def timestamp(self) -> Any:
        """Its kind, and milliseconds since 1970 UTC."""

    def key(self) -> Any:
        """Its key."""

    def value(self) -> Any:
        """Its value."""

    def headers(self) -> Any:
        """Its headers; None where there are none."""


class Buffer:
    """Holds records in the order they came."""

    def __init__(self) -> None:
        self._messages: dict[tuple[str, Partition], list[Message]] = {}
        self.bytes = 0
        self.lines = 0
        self.since: float | None = None

    def __bool__(self) -> bool:
        """Whether anything is held."""
        return bool(self._messages)

    def add(self, messages: Sequence[Message], *, stream_of: Callable[[str], str], now: float) -> None:
        """Take messages in. ``stream_of`` names a topic's stream; ``now`` is on the monotonic clock."""
        if messages and self.since is None:
            self.since = now
        for message in messages:
            topic = message.topic()
            held = self._messages.setdefault((stream_of(topic), (topic, message.partition())), [])
            held.append(message)
            self._count(message, 1)

    def drop(self, partitions: Collection[Partition]) -> None:
        """Forget what was read from these partitions: another reads it again."""
        for key in [key for key in self._messages if key[1] in partitions]:
            for message in self._messages.pop(key):
                self._count(message, -1)
        if not self._messages:
            self.since = None

    def take(self) -> list[RecordChunk]:
        """Hand over all that is held, a chunk for each partition, and be empty."""
        chunks = [_chunk(stream, partition, held) for (stream, partition), held in self._messages.items()]
        self._messages = {}
        self.bytes = self.lines = 0
        self.since = None
        return chunks

    def _count(self, message: Message, sign: int) -> None:
        value = message.value() or b""
        self.bytes += sign * len(value)
        self.lines += sign * (value.count(b"\n") + 1)


def _chunk(stream: str, partition: Partition, held: Sequence[Message]) -> RecordChunk:
    return RecordChunk(
        stream=stream,
        topic=partition[0],
        partition=partition[1],
        offsets=[message.offset() for message in held],
        timestamps_ms=[message.timestamp()[1] for message in held],
        keys=[message.key() for message in held],
        values=[message.value() for message in held],
        headers=[message.headers() or () for message in held],
    )
