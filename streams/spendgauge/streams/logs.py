"""How does a worker speak? One line an event on stderr: for people on a terminal, as JSON elsewhere.

Faust, aiokafka and librdkafka log through the standard library; their warnings come out the same way, and each of
them once in a while: without a broker aiokafka says some eighty times a second that it has none.
"""

import logging
from typing import Final

import structlog

from spendgauge.schemas.logs import configure_logs as set_up

__all__ = ["configure_logs", "quiet_libraries"]

_LIBRARIES: Final = ("aiokafka", "faust", "mode", "spendgauge.librdkafka")
_AGAIN_SECONDS: Final = 30.0


def configure_logs() -> None:
    """Set logging up, unless the process has done so itself."""
    if structlog.is_configured():
        return
    set_up()


def quiet_libraries() -> None:
    """Let the libraries say the same only once in half a minute, however logging was set up."""
    once = _Once()
    for handler in logging.getLogger().handlers:
        handler.addFilter(once)


class _Once(logging.Filter):
    """Passes a library's message when it was not passed lately; ours always."""

    def __init__(self) -> None:
        super().__init__()
        self._said: dict[tuple[str, int], float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Say whether a record is to be written."""
        if not record.name.startswith(_LIBRARIES):
            return True
        place = (record.pathname, record.lineno)
        fresh = record.created - self._said.get(place, 0.0) >= _AGAIN_SECONDS
        if fresh:
            self._said[place] = record.created
        return fresh
