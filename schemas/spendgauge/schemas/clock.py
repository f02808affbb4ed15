"""What time is it? The only place that asks.

Pure code takes timestamps as arguments; objects that must wait take a ``Clock``. A lint test forbids
``time.time()`` and ``datetime.now()`` elsewhere.
"""

import time
from typing import Protocol

__all__ = ["Clock", "SystemClock"]


class Clock(Protocol):
    """Reads and waits; tests pass a fake."""

    def now_ms(self) -> int:
        """Return the wall clock as milliseconds since 1970-01-01 UTC."""

    def monotonic(self) -> float:
        """Return seconds on a clock that never runs backwards."""

    def sleep(self, seconds: float) -> None:
        """Wait."""


class SystemClock:
    """The machine's clock."""

    def now_ms(self) -> int:
        """Return the wall clock as milliseconds since 1970-01-01 UTC."""
        return time.time_ns() // 1_000_000

    def monotonic(self) -> float:
        """Return seconds on a clock that never runs backwards."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)
