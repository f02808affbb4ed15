"""What is one file of a spool? Whole frames, appended and never changed.

The writer alone appends; ``size`` moves on when a frame is whole, so a reader in another thread never sees half of one.
Each of the two has the file open only while it is at it: a spool may have more files than a process may open.
"""

import os
from contextlib import suppress
from io import FileIO
from pathlib import Path
from typing import Self

__all__ = ["SUFFIX", "Segment"]

SUFFIX = ".spool"


class Segment:
    """A file of frames; its number is its place in the order."""

    def __init__(self, path: Path, size: int, out: FileIO | None = None) -> None:
        self.path = path
        self.number = int(path.stem)
        self.size = size
        self._out = out
        self._in: FileIO | None = None

    @classmethod
    def create(cls, directory: Path, number: int) -> Self:
        """Begin the file of this number; it must not be there. Only its owner may read it: users' names are in it."""
        path = directory / f"{number:08d}{SUFFIX}"
        flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC
        return cls(path, 0, FileIO(os.open(path, flags, 0o600), "w"))

    @classmethod
    def left(cls, path: Path) -> Self:
        """Take a file that another process left, to read it."""
        return cls(path, path.stat().st_size)

    def append(self, data: bytes) -> None:
        """Write whole frames with one system call; raises ``OSError`` where not all of it was written.

        Then nothing may be appended any more: the next frame would stand in the same line as the torn one.
        """
        written = self._out.write(data) if self._out is not None else 0
        if written != len(data):
            raise OSError(f"{self.path} took {written} of {len(data)} bytes; is the disk full?")
        self.size += len(data)

    def sync(self) -> None:
        """Have the disk keep what was appended; does nothing where the file is sealed, and so was synced before."""
        with suppress(ValueError):  # sealed in another thread meanwhile
            if self._out is not None:
                os.fsync(self._out)

    def seal(self) -> None:
        """Append nothing more."""
        if self._out is not None:
            self._out.close()

    def read(self, offset: int, length: int) -> bytes:
        """Read up to ``length`` bytes from ``offset`` on, of what is whole."""
        if self._in is None:
            self._in = FileIO(self.path, "r")
        return os.pread(self._in.fileno(), min(length, self.size - offset), offset)

    def leave(self) -> None:
        """Read nothing more for now."""
        if self._in is not None:
            self._in.close()
            self._in = None

    def close(self) -> None:
        """Let go of the file and leave it."""
        self.seal()
        self.leave()

    def delete(self) -> None:
        """Let go of the file and remove it; one that cannot be removed is sent again some day, and changes nothing."""
        self.close()
        with suppress(OSError):
            self.path.unlink()
