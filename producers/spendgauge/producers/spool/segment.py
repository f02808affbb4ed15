"""What is one file of a spool? Whole frames, appended and never changed.

The writer alone appends; ``size`` moves on when a frame is whole, so a reader in another thread never sees half of one.
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

    def __init__(self, path: Path, file: FileIO, size: int) -> None:
        self.path = path
        self.number = int(path.stem)
        self.size = size
        self._file = file

    @classmethod
    def create(cls, directory: Path, number: int) -> Self:
        """Begin the file of this number; it must not be there. Only its owner may read it: users' names are in it."""
        path = directory / f"{number:08d}{SUFFIX}"
        flags = os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_APPEND | os.O_CLOEXEC
        return cls(path, FileIO(os.open(path, flags, 0o600), "r+"), 0)

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open a file that another process left, to read it."""
        file = FileIO(path, "r")
        return cls(path, file, os.fstat(file.fileno()).st_size)

    def append(self, data: bytes) -> None:
        """Write whole frames with one system call; raises ``OSError`` where not all of it was written.

        Then nothing may be appended any more: the next frame would stand in the same line as the torn one.
        """
        written = self._file.write(data)
        if written != len(data):
            raise OSError(f"{self.path} took {written} of {len(data)} bytes; is the disk full?")
        self.size += len(data)

    def read(self, offset: int, length: int) -> bytes:
        """Read up to ``length`` bytes from ``offset`` on, of what is whole."""
        return os.pread(self._file.fileno(), min(length, self.size - offset), offset)

    def sync(self) -> None:
        """Have the disk keep what was appended; does nothing where the file is closed, and so was synced before."""
        try:
            os.fsync(self._file)
        except ValueError:
            return

    def close(self) -> None:
        """Let go of the file and leave it."""
        self._file.close()

    def delete(self) -> None:
        """Let go of the file and remove it; one that cannot be removed is sent again some day, and changes nothing."""
        self.close()
        with suppress(OSError):
            self.path.unlink()
