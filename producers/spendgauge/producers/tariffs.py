"""Which prices does this process use? They are read at the first question, and kept.

Reading them takes a moment and memory that a service which never asks should not pay, so nothing else of this room
imports the price files' code.
"""

import os
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from spendgauge.schemas import UnavailableError

if TYPE_CHECKING:
    from spendgauge.schemas.prices import Tariff

__all__ = ["load_tariff"]


class _Loaded:
    """What was read so far. After a fork the child reads anew: a lock may be held there by a thread that is gone."""

    def __init__(self) -> None:
        self.tariffs: dict[Path | None, Tariff] = {}
        self.reading = Lock()
        self.hooked = self.torn = False

    def on_fork(self) -> None:
        self.torn = self.reading.locked()
        self.tariffs, self.reading = {}, Lock()


_loaded = _Loaded()


def load_tariff(path: Path | None = None) -> "Tariff":
    """Give the catalogue's prices, with the user's price file over them where there is one.

    Raises ``PriceFileError`` where the file cannot be used, ``UnavailableError`` where there is no catalogue.
    """
    path = path and path.absolute()
    with suppress(KeyError):
        return _loaded.tariffs[path]
    if _loaded.torn:  # the parent was importing the catalogue: here that import would never end
        raise UnavailableError("the prices cannot be read: this process was forked while its parent read them")
    with _loaded.reading:
        if not _loaded.hooked:
            os.register_at_fork(after_in_child=_loaded.on_fork)
            _loaded.hooked = True
        if path not in _loaded.tariffs:
            _loaded.tariffs[path] = _read(path)
        return _loaded.tariffs[path]


def _read(path: Path | None) -> "Tariff":
    from spendgauge.schemas.prices import Tariff

    try:
        return Tariff.load(path)
    except ModuleNotFoundError as error:
        raise UnavailableError(f"there is no price catalogue ({error.msg}); pip install genai-prices") from None
