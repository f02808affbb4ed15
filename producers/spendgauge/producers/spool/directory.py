"""Whose is a spool's directory? One process's at a time: the one that holds the lock in it.

Each process has its own directory under the root, named by its boot id. The system lets go of the lock when the
process ends, however it ends; then the directory is left over, and the next process that looks may claim it.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import suppress
from io import FileIO
from pathlib import Path
from typing import Final, NamedTuple, Self

from spendgauge.producers.spool.frames import frame, unframe
from spendgauge.producers.spool.segment import SUFFIX

__all__ = ["Directory", "Mark", "leftovers"]

_LOCK: Final = "lock"
_MARK: Final = "acknowledged"


class Mark(NamedTuple):
    """Up to where a spool was acknowledged: the segment's number and the offset in it. It may lag, and never leads."""

    number: int
    offset: int


class Directory:
    """A directory whose lock this process holds."""

    def __init__(self, path: Path, lock: FileIO) -> None:
        self.path = path
        self._lock = lock

    @classmethod
    def create(cls, path: Path) -> Self:
        """Make a directory of one's own. It gets its name when it is locked, so that nobody takes it for left over."""
        unnamed = path.with_name(f".{path.name}")
        unnamed.mkdir(mode=0o700, exist_ok=True)
        lock = FileIO(unnamed / _LOCK, "w")
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        unnamed.rename(path)
        return cls(path, lock)

    @classmethod
    def claim(cls, path: Path) -> Self | None:
        """Take over what was left; None where its process lives, or another one was faster and has removed it."""
        lock = None
        with suppress(FileNotFoundError, BlockingIOError):
            lock = FileIO(path / _LOCK, "r+")
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if (path / _LOCK).stat().st_ino == os.fstat(lock.fileno()).st_ino:
                return cls(path, lock)
        if lock is not None:
            lock.close()
        return None

    def segments(self) -> list[Path]:
        """List its files, in order."""
        return sorted(self.path.glob(f"[0-9]*{SUFFIX}"))

    def mark(self, mark: Mark) -> None:
        """Note what is acknowledged. A torn note counts as none: then everything is sent again."""
        (self.path / _MARK).write_bytes(frame(b"%d %d" % mark))

    def marked(self) -> Mark:
        """Read the note."""
        with suppress(FileNotFoundError):
            whole = unframe((self.path / _MARK).read_bytes(), final=True).whole
            places = whole[0].split() if whole else []
            if len(places) == len(Mark._fields):
                return Mark(*map(int, places))
        return Mark(0, 0)

    def sync(self) -> None:
        """Have the disk keep which files there are."""
        _sync(self.path)

    def sync_name(self) -> None:
        """Have the disk keep that it is there."""
        _sync(self.path.parent)

    def release(self) -> None:
        """Leave it to the next process. In a child of a fork the parent keeps its lock."""
        self._lock.close()

    def remove(self) -> None:
        """Delete it with everything in it, the lock last: until then nobody else takes it."""
        try:
            for path in (*self.segments(), self.path / _MARK, self.path / _LOCK):
                path.unlink(missing_ok=True)
            self.path.rmdir()
        finally:
            self.release()


def leftovers(root: Path) -> Iterator[Directory]:
    """Claim each directory under ``root`` whose process has ended, oldest first."""
    for path in sorted(root.glob("[!.]*")):
        with suppress(PermissionError, NotADirectoryError):
            directory = Directory.claim(path)
            if directory is not None:
                yield directory


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
