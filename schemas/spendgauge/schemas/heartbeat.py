"""Is a process still turning its main loop? It touches a file, and knows how long ago it last came round.

A health check by the file's age needs no port and no client: ``test -n "$(find FILE -newermt '-30 seconds')"``.
The file is empty while all is well; what else the process has to complain of stands in it, a sentence.
"""

from pathlib import Path
from typing import Final

from spendgauge.schemas.clock import Clock

__all__ = ["Heartbeat", "read_fault"]

_EVERY_SECONDS: Final = 1.0


class Heartbeat:
    """Touches a file, at most once a second however often it is called."""

    def __init__(self, path: Path | None, clock: Clock) -> None:
        """Beat on ``path``; with None every beat does nothing."""
        self._path = path
        self._clock = clock
        self._next = self._beat_at = clock.monotonic()
        self._fault: str | None = None

    def beat(self, fault: str | None = None) -> None:
        """Say that the loop has come round once more, and what is wrong all the same; None: nothing.

        A file that cannot be touched stops nothing: it grows old, and the watcher sees that.
        """
        self._beat_at = self._clock.monotonic()
        if self._path is None or self._beat_at < self._next:
            return
        self._next = self._beat_at + _EVERY_SECONDS
        try:
            if fault == self._fault:
                self._path.touch()
            else:
                new = self._path.with_name(f"{self._path.name}.new")
                new.write_text(fault or "", encoding="utf-8")
                new.replace(self._path)
                self._fault = fault
        except OSError:
            return

    def silent_seconds(self) -> float:
        """Return how long ago the last beat was, or the start."""
        return self._clock.monotonic() - self._beat_at


def read_fault(path: Path) -> str | None:
    """Read what the process that beats on ``path`` says is wrong; None: nothing, or it does not beat."""
    try:
        return path.read_text(encoding="utf-8") or None
    except OSError:
        return None
