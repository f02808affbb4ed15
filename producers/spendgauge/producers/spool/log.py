"""Which files does a spool have, and how does one of a dead process begin? In order, from what was acknowledged."""

from collections import deque
from typing import Self

from spendgauge.producers.spool.directory import Directory, Mark
from spendgauge.producers.spool.segment import Segment

__all__ = ["Log"]


class Log:
    """The segments of one process, oldest first. One thread appends to them, another reads and forgets."""

    def __init__(self, segments: deque[Segment], start: Mark) -> None:
        self.segments = segments
        self.start = start
        self.freed_bytes = 0

    @classmethod
    def of(cls, directory: Directory) -> Self:
        """List what a dead process left, from its mark on; what was acknowledged whole is deleted.

        Number 0 is what waited in memory when it closed (``Writer.append_first``), and comes before all others.
        """
        mark, kept = directory.marked(), deque[Segment]()
        for path in directory.segments():
            if 0 < int(path.stem) < mark.number:
                path.unlink()
            else:
                kept.append(Segment.left(path))
        return cls(kept, mark)

    @property
    def size_bytes(self) -> int:
        """How much room the files take."""
        return sum(segment.size for segment in tuple(self.segments))

    def forget_before(self, number: int) -> None:
        """Delete the files before this one: all that is in them is settled."""
        while self.segments[0].number < number:
            segment = self.segments.popleft()
            segment.delete()
            self.freed_bytes += segment.size

    def close(self) -> None:
        """Let go of all files and leave them."""
        for segment in tuple(self.segments):
            segment.close()
