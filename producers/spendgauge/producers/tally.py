"""How are events counted by many threads without a lock in their way?"""

import threading
from collections.abc import Callable
from itertools import count

__all__ = ["Tally"]


class Tally:
    """A counter whose ``hit`` is one atomic step: no lock, and safe in a signal handler.

    ``itertools.count`` cannot be read without moving it on, so reads are counted and subtracted.
    """

    __slots__ = ("_lock", "_reads", "hit")

    def __init__(self) -> None:
        self.hit: Callable[[], int] = count().__next__
        self._reads = 0
        self._lock = threading.Lock()

    def read(self) -> int:
        """Return how often ``hit`` was called."""
        with self._lock:
            hits = self.hit() - self._reads
            self._reads += 1
            return hits
