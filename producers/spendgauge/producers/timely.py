"""Would consumers reject an event for its time? Whoever writes for others says so at once."""

from datetime import datetime, timedelta
from typing import Any

from spendgauge.schemas.events import MAX_FUTURE, MAX_PAST
from spendgauge.schemas.moments import utc_time

__all__ = ["untimely"]


def untimely(occurred_at: Any, now_ms: int) -> str | None:
    """Say why consumers would reject an event of this time; what cannot be read as a time is left to validation."""
    try:
        at = occurred_at if isinstance(occurred_at, datetime) else datetime.fromisoformat(occurred_at)
        age = utc_time(now_ms) - at
    except (TypeError, ValueError, OverflowError):
        return None
    shown = at.isoformat(timespec="seconds") if at is occurred_at else occurred_at
    if age > MAX_PAST:
        return (
            f"occurred_at {shown} is {age.days} days ago, and events of more than {MAX_PAST.days} days ago are "
            "rejected; `spendgauge replay` brings the times of a log up to now"
        )
    if -age > MAX_FUTURE:
        return f"occurred_at {shown} is more than {MAX_FUTURE // timedelta(seconds=1)} seconds ahead of now"
    return None
