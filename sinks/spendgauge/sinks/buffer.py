"""What has been read and not yet stored? Records by partition, in order, until they make a batch."""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from spendgauge.schemas import RecordChunk

__all__ = ["Buffer", "Message", "Partition", "Place", "Positions", "positions_of"]

Partition = tuple[str, int]
"""A topic's name and the partition's number."""


class Place(NamedTuple):
    """The next offset to read, and the stream that it means something in."""

    stream: str
    offset: int


Positions = Mapping[Partition, Place]


class Message(Protocol):
    """What confluent-kafka's messages can do, as far as it is needed here."""

    def __len__(self) -> int:
        """The size of its value."""

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
        self._held: dict[tuple[str, Partition], list[Message]] = {}
        self.bytes = 0
        self.records = 0
        self.since: float | None = None

    def __bool__(self) -> bool:
        """Whether anything is held."""
        return bool(self._held)

    def add(
        self, messages: Mapping[Partition, Sequence[Message]], *, stream_of: Callable[[str], str], now: float
    ) -> None:
        """Take messages in. ``stream_of`` names a topic's stream; ``now`` is on the monotonic clock."""
        if messages and self.since is None:
            self.since = now
        for partition, new in messages.items():
            self._held.setdefault((stream_of(partition[0]), partition), []).extend(new)
            self._count(new, 1)

    def drop(self, partitions: Collection[Partition]) -> None:
        """Forget what was read from these partitions: another reads it again."""
        for key in [key for key in self._held if key[1] in partitions]:
            self._count(self._held.pop(key), -1)
        if not self._held:
            self.since = None

    def take(self) -> list[RecordChunk]:
        """Hand over all that is held, a chunk for each partition, and be empty."""
        chunks = [_chunk(stream, partition, held) for (stream, partition), held in self._held.items()]
        self._held = {}
        self.bytes = self.records = 0
        self.since = None
        return chunks

    def _count(self, messages: Sequence[Message], sign: int) -> None:
        self.bytes += sign * sum(map(len, messages))
        self.records += sign * len(messages)


def positions_of(chunks: Sequence[RecordChunk]) -> Positions:
    """Say where to read on once these chunks are stored."""
    return {(chunk.topic, chunk.partition): Place(chunk.stream, chunk.offsets[-1] + 1) for chunk in chunks}


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
