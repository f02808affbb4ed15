"""How is a foreign object read without trusting it? Fields by name, whole counts, names that cannot be a text.

A usage object may be a mapping (JSON), an SDK's pydantic object or any object with attributes. Nothing here raises, and
nothing is copied that is not asked for by name: what a provider adds tomorrow, and every prompt and answer, stays out.
"""

import re
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from enum import Enum
from json import dumps
from typing import Any, Final
from uuid import UUID, uuid5

from spendgauge.schemas.fields import EARLIEST, LATEST, MAX_TOKENS
from spendgauge.schemas.moments import utc_time

__all__ = [
    "Counts",
    "amount_usd",
    "elapsed_ms",
    "field",
    "identifier",
    "items",
    "label",
    "moment",
    "stable_id",
]

_IDENTIFIER: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:/@+=~\-\[\]]{0,255}")
_DIGITS: Final = re.compile(r"-?[0-9]{1,20}")
_MAX_LABEL: Final = 256
_MAX_USD: Final = 1_000_000
_NAMESPACE: Final = UUID("5d0f6b1e-6c1b-5f0e-9a53-0c2a7b1f4e90")


def field(source: object, *path: str) -> Any:
    """Follow a path of names into mappings and objects; None where one is missing."""
    for name in path:
        source = _member(source, name)
        if source is None:
            return None
    return source.value if isinstance(source, Enum) else source


def _member(source: object, name: str) -> Any:
    if type(source) is dict:  # JSON, of which streams have thousands of pieces
        return source.get(name)
    try:
        return source.get(name) if isinstance(source, Mapping) else getattr(source, name, None)
    except Exception:  # noqa: BLE001 - a foreign object's property may raise whatever it likes
        return None


def items(value: object) -> list[Any]:
    """Return a list's elements; none where it is no list."""
    return list(value) if isinstance(value, list | tuple) else []


def identifier(value: object) -> str:
    """Return a name as machines give it (a model, an id, an error's type); empty where it is anything else.

    It has no white space and at most 256 characters, so a sentence in its place is dropped, not cut short.
    """
    return value if isinstance(value, str) and _IDENTIFIER.fullmatch(value) else ""


def label(value: object) -> str:
    """Return a name as people give it (a team, an agent): one printable line of at most 256 characters, else empty."""
    return value if isinstance(value, str) and len(value) <= _MAX_LABEL and value.isprintable() else ""


def amount_usd(value: object) -> Decimal | None:
    """Read an amount that a provider states in USD, to twelve decimals; None where it is no amount below a million."""
    if isinstance(value, bool) or not isinstance(value, int | float | str | Decimal):
        return None
    try:
        amount = Decimal(str(value)).quantize(Decimal("1e-12"))
        return amount if 0 <= amount < _MAX_USD else None
    except (InvalidOperation, ValueError):  # NaN cannot be compared
        return None


def moment(value: object, *, per_second: int) -> datetime | None:
    """Read a time that counts from 1970, ``per_second`` units a second; None where an event could not hold it."""
    if isinstance(value, str) and _DIGITS.fullmatch(value):
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        at = utc_time(int(value * 1000 // per_second))
    except (OverflowError, ValueError):
        return None
    return at if EARLIEST <= at < LATEST else None


def elapsed_ms(started: datetime | None, ended: datetime | None) -> int | None:
    """Return the milliseconds between two moments; None where one is missing, or an event could not hold it."""
    if started is None or ended is None:
        return None
    milliseconds = (ended - started) // timedelta(milliseconds=1)
    return milliseconds if 0 <= milliseconds < 2**31 else None


def stable_id(*parts: str) -> str:
    """Make the event id of something that may be reported twice, so that the ledger keeps it once (UUIDv5)."""
    return str(uuid5(_NAMESPACE, dumps(parts)))


class Counts:
    """Reads the counts of one report, and remembers in ``faults`` what was wrong with them."""

    def __init__(self, *sources: object) -> None:
        self.faults: set[str] = set()
        self.seen = False
        self._sources = sources

    def of(self, *sources: object) -> "Counts":
        """Read other objects into the same faults."""
        other = Counts(*sources)
        other.faults = self.faults
        return other

    def read(self, *paths: str) -> int | None:
        """Return the count at the first path that is there (names joined by dots), None where none is.

        Whole numbers in any spelling are read (5, 5.0, "5"). What is no number counts as missing, what is below zero as
        zero and what is above 100,000,000 as that, all three with the fault ``unreadable``.
        """
        for value in self._found(paths):
            number = _whole(value)
            if number is not None:
                self.seen = True
            if number is None or not 0 <= number <= MAX_TOKENS:
                self.faults.add("unreadable")
            return None if number is None else min(max(number, 0), MAX_TOKENS)
        return None

    def get(self, *paths: str) -> int:
        """Return the count at the first path that is there, zero where none is."""
        return self.read(*paths) or 0

    def raw(self, path: str) -> Any:
        """Return whatever stands at a path; None where nothing does."""
        return next(self._found((path,)), None)

    def total(self, *paths: str) -> int | None:
        """Return a provider's own total, which may be the sum of several counts; None where it is no such number."""
        for value in self._found(paths):
            number = _whole(value)
            return number if number is not None and 0 <= number <= 8 * MAX_TOKENS else None
        return None

    def _found(self, paths: tuple[str, ...]) -> Iterator[Any]:
        for source in self._sources:
            for path in paths:
                value = field(source, *path.split("."))
                if value is not None:
                    yield value


def _whole(value: object) -> int | None:
    if isinstance(value, str) and _DIGITS.fullmatch(value):
        return int(value)
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None
