"""From which offset is a partition read, and under which name are its contributions written?

A contribution says which offsets are in it: those of its block up to its version. A rebuild must therefore begin
where the counting of the block began, and that is nearly always the block's start. Where it is not, the name says
so, because what is counted from another offset on is another thing:

* the log's head is gone (retention removed the block's start before the block was full), or
* the block size was changed in the middle of a block, or
* nothing was counted yet and the log begins in the middle of a block.

Then counting begins at the committed offset (or the log's start) and the stream is named ``<topic id>:<size>@<offset>``
for the rest of that block. The name travels with each committed offset, as its metadata, so that the next rebuild
begins at the same place.
"""

from dataclasses import dataclass, field

__all__ = ["Origin", "resume"]


@dataclass(frozen=True)
class Origin:
    """Where the counting of one partition begins."""

    stream: str
    """Topic id and block size: what offsets mean."""
    block_offsets: int
    base: int
    """The first offset to read and count."""
    acknowledged: int
    """Below this offset all is on ``cost.rates``: it is read again to rebuild the state, not to be written again."""
    whole: bool = field(default=False, compare=False)
    """Whether the log had nothing before the base when this was decided."""

    @property
    def topic_id(self) -> str:
        """Which topic it is, of all that ever had the name."""
        return self.stream.partition(":")[0]

    def stream_at(self, block: int) -> str:
        """Name the stream of a block's contributions."""
        begun_late = block == self.base // self.block_offsets and self.base % self.block_offsets
        return f"{self.stream}@{self.base}" if begun_late else self.stream

    def metadata(self, committed: int) -> str:
        """Write what must be known besides the committed offset (which is the next to read)."""
        return self.stream_at((committed - 1) // self.block_offsets)


def resume(*, stream: str, block_offsets: int, committed: int | None, metadata: str, log_start: int) -> Origin:
    """Decide where to begin after the committed offset and its metadata; ``log_start``: the first offset still there.

    Some brokers forget metadata (the embedded one does): an offset without is taken as one of this stream.
    """
    named, _, begun = metadata.partition("@")
    if committed is None or named.partition(":")[0] not in {"", stream.partition(":")[0]}:
        return Origin(stream, block_offsets, log_start, log_start, whole=True)
    block_start = committed // block_offsets * block_offsets
    base = max(block_start, int(begun)) if begun else block_start
    if named in {"", stream} and log_start <= base <= committed:
        return Origin(stream, block_offsets, base, committed, whole=base <= log_start)
    base = max(committed, log_start)
    return Origin(stream, block_offsets, base, base, whole=base <= log_start)
