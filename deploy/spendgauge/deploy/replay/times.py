"""What do a log's times mean? Seconds, milliseconds and so on since 1970 UTC, or ISO 8601.

A number's unit is a guess, so the rule is simple and told: the column's name says it (``..._ms``, ``_us``, ``_ns``,
``_s``), else the size of the largest value: seconds until the year 5138.
"""

from datetime import UTC, datetime
from typing import Final

import polars as pl

from spendgauge.schemas.moments import milliseconds_of

__all__ = ["duration_ms_per_unit", "is_number", "ms_from_iso", "ms_per_unit"]

_MS_PER_UNIT: Final = {
    "_ns": 1e-6,
    "_us": 1e-3,
    "_ms": 1.0,
    "_s": 1e3,
    "_sec": 1e3,
    "_secs": 1e3,
    "_seconds": 1e3,
    "_milliseconds": 1.0,
}
_LARGEST_SECONDS: Final = 1e11


def is_number(text: str) -> bool:
    """Tell whether a time is written as a number."""
    try:
        float(text)
    except ValueError:
        return False
    return True


def ms_per_unit(column: str, largest: float) -> float:
    """Tell how many milliseconds a unit of this column of times has, ``largest`` being the largest value in it."""
    named = _named_unit(column)
    if named is not None:
        return named
    scale = 1e3
    while largest >= _LARGEST_SECONDS and scale > 1e-6:
        largest, scale = largest / 1e3, scale / 1e3
    return scale


def duration_ms_per_unit(column: str) -> float:
    """Tell how many milliseconds a unit of this column of durations has: one, unless its name says otherwise."""
    return _named_unit(column) or 1.0


def ms_from_iso(texts: pl.Series) -> pl.Series:
    """Read ISO 8601 times as milliseconds since 1970 UTC, cut; null where the text is none. No zone means UTC."""
    return pl.Series(texts.name, [_one(text) for text in texts], dtype=pl.Int64)


def _named_unit(column: str) -> float | None:
    return _MS_PER_UNIT.get("_" + column.lower().rpartition("_")[2]) if "_" in column else None


def _one(text: str | None) -> int | None:
    try:
        time = datetime.fromisoformat(text or "")
        aware = time if time.tzinfo else time.replace(tzinfo=UTC)
        return milliseconds_of(aware)
    except (ValueError, OverflowError):
        return None
