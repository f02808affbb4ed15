"""Which moment is so many milliseconds since 1970 UTC, and back? In whole numbers: a float would lose some."""

from datetime import UTC, datetime, timedelta
from typing import Final

__all__ = ["EPOCH", "milliseconds_of", "utc_time"]

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

_MILLISECOND: Final = timedelta(milliseconds=1)


def utc_time(ms: int) -> datetime:
    """Give milliseconds since 1970 UTC as a time. Raises ``OverflowError`` outside the years 1 to 9999."""
    return EPOCH + timedelta(milliseconds=ms)


def milliseconds_of(moment: datetime) -> int:
    """Give an aware time as whole milliseconds since 1970 UTC, rounded down."""
    return (moment - EPOCH) // _MILLISECOND
