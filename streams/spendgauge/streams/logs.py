"""How does a worker speak? One line an event on stderr: for people on a terminal, as JSON elsewhere.

Faust, aiokafka and librdkafka log through the standard library; their warnings come out the same way, and each of
them once in a while: without a broker aiokafka says some eighty times a second that it has none.
"""

import logging
import logging.config
import sys
from typing import Any, Final

import structlog

__all__ = ["configure_logs", "quiet_libraries"]

_LIBRARIES: Final = ("aiokafka", "faust", "mode", "spendgauge.librdkafka")
_AGAIN_SECONDS: Final = 30.0

_SHARED: tuple[Any, ...] = (
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.format_exc_info,
)


def configure_logs() -> None:
    """Set logging up, unless the process has done so itself."""
    if structlog.is_configured():
        return
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *_SHARED,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    logging.config.dictConfig(_config(as_json=not sys.stderr.isatty()))


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


def _config(*, as_json: bool) -> dict[str, Any]:
    renderer = structlog.processors.JSONRenderer() if as_json else structlog.dev.ConsoleRenderer()
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "lines": {
                "()": structlog.stdlib.ProcessorFormatter,
                "processors": [structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
                "foreign_pre_chain": _SHARED,
            }
        },
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "lines"}},
        "root": {"level": "WARNING", "handlers": ["stderr"]},
        "loggers": {"spendgauge": {"level": "INFO"}, "aiokafka": {"level": "ERROR"}},
    }
