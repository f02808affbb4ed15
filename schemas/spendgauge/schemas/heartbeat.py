"""Is a process still turning its main loop? It touches a file; whoever watches looks at the file's age.

A health check needs no port and no client for that: ``test -n "$(find FILE -newermt '-30 seconds')"``.
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
        self._next = clock.monotonic()

    def beat(self) -> None:
        """Say that the loop has come round once more.

        A file that cannot be touched stops nothing: it grows old, and the watcher sees that.
        """
        if self._path is None or self._clock.monotonic() < self._next:
            return
        self._next = self._clock.monotonic() + _EVERY_SECONDS
        try:
            self._path.touch()
        except OSError:
            return
