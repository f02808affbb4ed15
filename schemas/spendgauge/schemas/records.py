"""What does a consumer hand to the decoder? A chunk: consecutive records of one partition, as parallel lists."""

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Headers", "RecordChunk"]

Headers = Sequence[tuple[str, bytes | None]]


@dataclass(frozen=True)
class RecordChunk:
    """Records of one partition in offset order, as parallel sequences of one length (offsets may have holes)."""

    stream: str
    topic: str
    partition: int
    offsets: Sequence[int]
    timestamps_ms: Sequence[int]
    keys: Sequence[bytes | None]
    values: Sequence[bytes | None]
    headers: Sequence[Headers]

    def __len__(self) -> int:
        """How many records."""
        return len(self.offsets)
