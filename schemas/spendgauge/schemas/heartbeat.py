"""Is a process still turning its main loop? It touches a file, and knows how long ago it last came round.

A health check by the file's age needs no port and no client: ``test -n "$(find FILE -newermt '-30 seconds')"``.
"""

from pathlib import Path
from typing import Final

from spendgauge.schemas.clock import Clock

__all__ = ["Heartbeat"]

_EVERY_SECONDS: Final = 1.0


class Heartbeat:
    """Touches a file, at most once a second however often it is called."""

    def __init__(self, path: Path | None, clock: Clock) -> None:
        """Beat on ``path``; with None every beat does nothing."""
        self._path = path
        self._clock = clock
        self._next = self._beat_at = clock.monotonic()

    def beat(self) -> None:
        """Say that the loop has come round once more.

        A file that cannot be touched stops nothing: it grows old, and the watcher sees that.
        """
        self._beat_at = self._clock.monotonic()
        if self._path is None or self._beat_at < self._next:
            return
        self._next = self._beat_at + _EVERY_SECONDS
        try:
            self._path.touch()
        except OSError:
            return

    def silent_seconds(self) -> float:
        """Return how long ago the last beat was, or the start."""
        return self._clock.monotonic() - self._beat_at
