"""How is an event on disk before ``emit`` returns? Its caller validates, numbers and writes it, one at a time.

What does not get through here (an invalid event, a full or broken disk, a signal handler that interrupts a write) goes
the way of ``durability="memory"``: into the queue, to be looked at by the producer's thread.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import cycle
from typing import Literal

from spendgauge.producers.lane import Draft, Lane
from spendgauge.producers.spool.frames import frame
from spendgauge.producers.spool.writer import Writer
from spendgauge.producers.tally import Tally

__all__ = ["Journal", "Written"]

Written = Literal["safe", "unsafe", "not"]
"""What became of an event: as safe as promised; written, but not synced; not written."""


class Journal:
    """Numbers events in the order in which they are written; ``turn`` lets the producer's thread number some too.

    ``blocked``: it has numbered some that are not written yet, and later ones must follow them.
    """

    def __init__(self, lanes: tuple[Lane, ...], writer: Writer, *, synced: bool, run: int) -> None:
        self.accepted = 0
        self.blocked = False
        self.passed = Tally()
        self._writer = writer
        self._synced = synced
        self._run = run
        self._turns = cycle(lanes)
        self._lane = next(self._turns)
        self._lock = threading.RLock()
        self._inside = False

    def write(self, draft: Draft) -> Written:
        """Write one event."""
        with self._lock:
            if self._inside:  # a signal handler or finalizer, in the middle of a write of its own thread
                return "not"
            self._inside = True
            try:
                if not self._append(draft):
                    return "not"
            finally:
                self._inside = False
        return "safe" if not self._synced or self._writer.sync() else "unsafe"

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Keep others from numbering events meanwhile."""
        with self._lock:
            self._inside = True
            try:
                yield
            finally:
                self._inside = False

    def _append(self, draft: Draft) -> bool:
        lane = self._lane
        try:
            line = lane.line(draft)
        except Exception:  # noqa: BLE001 - the producer's thread looks at it again, and says what is wrong
            return False
        if self.blocked or not self._writer.append(frame(line), 1):
            self.passed.hit()
            return False
        lane.skip(1)
        lane.on_line(line)
        self.accepted += 1
        if self.accepted % self._run == 0:
            self._lane = next(self._turns)
        return True
