"""What does a producer say when something goes wrong? One log line per kind and minute, with the count."""

import logging
from collections.abc import Callable, Hashable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

__all__ = ["Notices"]

_LOGGER_NAME: Final = "spendgauge.producers"


@dataclass
class _Held:
    said_at: float
    count: int = 0
    details: dict[str, Any] = field(default_factory=dict)


class Notices:
    """Logs each kind of trouble at once the first time, then at most once an interval, with how often it happened.

    Lines go where the host's structlog sends them; in a host without structlog to the standard
    logger ``spendgauge.producers``.
    """

    def __init__(self, monotonic: Callable[[], float], *, interval_seconds: float = 60.0, **bound: Any) -> None:
        self._monotonic = monotonic
        self.interval_seconds = interval_seconds
        self._bound = bound
        self._held: dict[tuple[str, Hashable], _Held] = {}

    def report(self, what: str, /, count: int = 1, *, about: Hashable = None, **details: Any) -> None:
        """Log ``what`` with the count, or keep it for the line that is due when the interval is over.

        What is ``about`` different things is of different kinds.
        """
        held = self._held.get((what, about))
        if held is None:
            self._held[what, about] = _Held(self._monotonic())
            self._say(what, count, details)
            return
        held.count += count
        held.details = details
        self.say_due()

    def say_due(self) -> None:
        """Log what has been kept for an interval; what did not happen again in it would be said at once, as if new."""
        now = self._monotonic()
        for kind, held in list(self._held.items()):
            if now - held.said_at >= self.interval_seconds:
                if held.count:
                    self._release(kind[0], held, now)
                else:
                    self._held.pop(kind, None)

    def say_all(self) -> None:
        """Log everything that was kept: nothing is left unsaid at the end."""
        for (what, _), held in list(self._held.items()):
            if held.count:
                self._release(what, held, self._monotonic())

    @property
    def seconds_until_due(self) -> float | None:
        """How long until a kept line is due; None where nothing is kept."""
        due = [held.said_at + self.interval_seconds for held in self._held.values() if held.count]
        return max(0.0, min(due) - self._monotonic()) if due else None

    def _release(self, what: str, held: _Held, now: float) -> None:
        self._say(what, held.count, held.details)
        held.said_at, held.count = now, 0

    def _say(self, what: str, count: int, details: dict[str, Any]) -> None:
        with suppress(Exception):  # the host's own log processors must not stop the sending
            _logger().warning(what, count=count, **details, **self._bound)


def _logger() -> Any:
    import structlog  # takes longer to import than all the rest of this room, and may never be needed

    if structlog.is_configured():
        return structlog.get_logger(_LOGGER_NAME)
    return structlog.wrap_logger(
        logging.getLogger(_LOGGER_NAME),
        processors=[structlog.processors.KeyValueRenderer(key_order=["event", "count"])],
        wrapper_class=structlog.stdlib.BoundLogger,
    )
