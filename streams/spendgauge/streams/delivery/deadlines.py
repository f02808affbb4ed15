"""How is a request ended that is answered a byte at a time? Its connection is cut off when its time is over.

The client's timeouts are for one read each, so a server that drips its answer, or says ``100 Continue`` for ever,
would never be given up.
"""

from collections.abc import Mapping
from contextlib import suppress
from socket import SHUT_RDWR
from threading import Timer
from typing import Any, Self

__all__ = ["Deadline"]


class Deadline:
    """One request's; ``watch`` is the ``trace`` of that request, by which the client tells of its connection."""

    def __init__(self, seconds: float) -> None:
        """*Units*: ``seconds`` count from ``with`` on."""
        self.passed = False
        self._connection: Any = None
        self._timer = Timer(seconds, self._pass)
        self._timer.daemon = True

    def __enter__(self) -> Self:
        """Begin."""
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End in time."""
        self._timer.cancel()

    def watch(self, event: str, details: Mapping[str, Any]) -> None:
        """Hear of a connection, and of the one within it that is encrypted."""
        if event.endswith((".connect_tcp.complete", ".start_tls.complete")):
            self._connection = details["return_value"]
            if self.passed:
                self._cut()

    def _pass(self) -> None:
        self.passed = True
        self._cut()

    def _cut(self) -> None:
        if self._connection is not None:
            with suppress(OSError):  # it has ended by itself
                self._connection.get_extra_info("socket").shutdown(SHUT_RDWR)
