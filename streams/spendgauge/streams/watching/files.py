"""What have people written in their files? Read when a watcher starts, and again when they change."""

from collections.abc import Callable
from pathlib import Path

import structlog

from spendgauge.schemas.errors import ConfigurationError
from spendgauge.streams.judging.judge import Configuration

__all__ = ["ConfigurationFiles", "read_configuration"]

_log = structlog.get_logger(__name__)


class ConfigurationFiles:
    """The files of one watcher; what is wrong with them is said once, and remembered until it is put right."""

    def __init__(self, *, budgets: Path | None, rules: Path | None) -> None:
        self._budgets = budgets
        self._rules = rules
        self._seen: Configuration | None = None
        self.failures = 0
        """How often an edit could not be used."""
        self.error: str | None = None
        """What is wrong with the files as they are; None: they are in use."""

    def read(self) -> Configuration:
        """Read the files.

        Raises ``ConfigurationError`` where one of them cannot be read.
        """
        self._seen = None
        self._seen = read_configuration(budgets=self._budgets, rules=self._rules)
        return self._seen

    def read_again(self, use: Callable[[Configuration], None]) -> None:
        """Where the files have changed hand them on; where ``use`` raises, say so: the old ones stay in use."""
        before = self._seen
        try:
            if self.read() == before:
                return
            use(self._seen or Configuration())
        except ConfigurationError as error:
            self._fail(str(error))
        else:
            self.error = None
            _log.info("the configuration has changed and is in use")

    def _fail(self, error: str) -> None:
        if error != self.error:
            self.failures += 1
            _log.error("an edit cannot be used, so the configuration stays as it was", error=error)
        self.error = error


def read_configuration(*, budgets: Path | None, rules: Path | None) -> Configuration:
    """Read the files as they are; what is in them is not looked at.

    Raises ``ConfigurationError`` where one of them cannot be read.
    """
    names = {"budgets_name": budgets, "rules_name": rules}
    return Configuration(
        _content(budgets), _content(rules), **{name: path.name for name, path in names.items() if path is not None}
    )


def _content(path: Path | None) -> str:
    if path is None:
        return ""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ConfigurationError(f"{path} cannot be read ({reason}); put it right there.") from None
