"""How is an event put on disk while its caller waits? One write into the page cache, and in ``disk`` mode an fsync.

A segment that could not be written is sealed, and for a second nothing is tried; the caller keeps the event elsewhere.
Callers of ``append`` take turns (``Journal``); ``sync`` may be called by many at once and shares its fsyncs.
"""

import threading
from collections import deque
from contextlib import suppress
from pathlib import Path
from typing import Final

from spendgauge.producers.spool.directory import Directory, Mark
from spendgauge.producers.spool.log import Log
from spendgauge.producers.spool.segment import Segment
from spendgauge.schemas import Clock

__all__ = ["Writer"]

_RETRY_SECONDS: Final = 1.0
_SEGMENTS: Final = 8
_MAX_SEGMENT_BYTES: Final = 8 * 1024 * 1024


class Writer(Log):
    """This process's own log. Its directory is made with the first event."""

    def __init__(self, root: Path, name: str, *, max_bytes: int, synced: bool, clock: Clock) -> None:
        super().__init__(deque(), Mark(0, 0))
        self.directory: Directory | None = None
        self.appended_events = 0
        self.others_bytes = 0
        self.trouble = ""
        self._root = root
        self._name = name
        self._max_bytes = max_bytes
        self._segment_bytes = min(_MAX_SEGMENT_BYTES, max_bytes // _SEGMENTS)
        self._synced = synced
        self._clock = clock
        self._retry_at = 0.0
        self.written_bytes = self._safe = self._unsafe = 0
        self._tail: Segment | None = None
        self._sealed = self._closed = False
        self._next_number = 1
        self._syncing = threading.RLock()

    def append(self, data: bytes, events: int) -> bool:
        """Write whole frames; say no where the spool is full or the disk refuses."""
        if self._closed or (self._retry_at and self._clock.monotonic() < self._retry_at):
            return False
        if self._full(len(data)):
            return False
        try:
            tail = self._tail
            if tail is None or self._sealed or tail.size >= self._segment_bytes:
                tail = self._roll()
            tail.append(data)
        except OSError as error:
            self._fail(error)
            return False
        self.written_bytes += len(data)
        self.appended_events += events
        if self._retry_at:
            self._retry_at, self.trouble = 0.0, ""
        return True

    def append_first(self, data: bytes) -> bool:
        """Write what is to be sent before everything else: what waited in memory when the process closed."""
        if self._full(len(data)):
            return False
        try:
            if not self.segments or self.segments[0].number:
                self.segments.appendleft(Segment.create(self._own_directory().path, 0))
            self.segments[0].append(data)
        except OSError as error:
            self._fail(error)
            return False
        self.freed_bytes -= len(data)  # it takes room, and is not for this process to read
        return True

    def sync(self) -> bool:
        """Wait until the disk keeps everything appended so far; say whether it does. One fsync serves all who wait.

        After an fsync that failed nobody who waited is told yes: the system reports the loss of a page only once.
        """
        wanted = self.written_bytes
        with self._syncing:
            if self._safe < wanted and self._unsafe < wanted:
                written = self.written_bytes  # asked before the tail: a segment is synced before the next one begins
                try:
                    self._sync_tail()
                except OSError as error:
                    self._fail(error)
                else:
                    self._safe = written
            return self._unsafe < wanted <= self._safe

    def close(self) -> None:
        """Take nothing more, and let go of all files."""
        self._closed = True
        if self._synced:
            with suppress(OSError):
                self._sync_tail()
        super().close()

    def _full(self, more: int) -> bool:
        return self.written_bytes - self.freed_bytes + self.others_bytes + more > self._max_bytes

    def _roll(self) -> Segment:
        if self._synced:
            self._sync_tail()
        directory = self._own_directory()
        segment = Segment.create(directory.path, self._next_number)
        self._next_number += 1
        if self._synced:
            directory.sync()
        self.segments.append(segment)
        previous, self._tail, self._sealed = self._tail, segment, False
        if previous is not None:
            previous.seal()
        return segment

    def _sync_tail(self) -> None:
        written = self.written_bytes
        try:
            if self._tail is not None:
                self._tail.sync()
        except OSError:
            self._unsafe = written
            raise

    def _own_directory(self) -> Directory:
        if self.directory is None:
            self.directory = Directory.create(self._root / self._name)
            if self._synced:
                self.directory.sync_name()
        return self.directory

    def _fail(self, error: OSError) -> None:
        self._sealed = True
        self._retry_at = self._clock.monotonic() + _RETRY_SECONDS
        self.trouble = str(error)
