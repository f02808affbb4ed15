"""Has ``channels.toml`` changed? It is read again now and then, with all that it names; a bad edit changes nothing."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import structlog

from spendgauge.schemas.clock import Clock
from spendgauge.schemas.errors import ConfigurationError
from spendgauge.streams.delivery.senders import Senders
from spendgauge.streams.delivery.targets import Target, read_targets

__all__ = ["ChannelFile"]

_EVERY_SECONDS: Final = 1.0

_log = structlog.get_logger(__name__)


class ChannelFile:
    """The channels in use."""

    def __init__(self, path: Path | None, environment: Mapping[str, str], senders: Senders, clock: Clock) -> None:
        """Read the file, and have the senders use it.

        Raises ``ConfigurationError`` where there is none, or it cannot be used.
        """
        if path is None:
            raise ConfigurationError(
                "no channels are set, so there is nobody to tell; name a file with --channels or SPENDGAUGE_CHANNELS"
            )
        self._path = path
        self._environment = environment
        self._senders = senders
        self._clock = clock
        self._next = clock.monotonic() + _EVERY_SECONDS
        self.targets = self._use(read_targets(path, environment))
        self.error: str | None = None
        """What is wrong with the file as it is now; None: it is in use."""

    def look(self) -> bool:
        """Read it again if it is time; whether other channels are in use since."""
        if self._clock.monotonic() < self._next:
            return False
        self._next = self._clock.monotonic() + _EVERY_SECONDS
        try:
            found = read_targets(self._path, self._environment)
            changed = found != self.targets
            if changed:
                self.targets = self._use(found)
        except ConfigurationError as error:
            if str(error) != self.error:
                _log.error("the channels cannot be used as they are now, so they stay as they were", error=str(error))
            self.error = str(error)
            return False
        self.error = None
        if changed:
            _log.info("the channels were changed", channels=[target.channel.name for target in found])
        return changed

    def _use(self, targets: tuple[Target, ...]) -> tuple[Target, ...]:
        self._senders.set(targets)
        return targets
