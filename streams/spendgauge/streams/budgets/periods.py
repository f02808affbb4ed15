"""From when to when does a budget count? Days, weeks and months of a place, or the last so many days.

A period is [start, end) in whole seconds since 1970 UTC. A place's calendar decides, so a day may have 23 or 25 hours,
and a month that begins on the 31st begins on the last day of a shorter one.
"""

from calendar import monthrange
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Final, Literal
from zoneinfo import ZoneInfo

__all__ = ["PeriodKind", "Periods"]

PeriodKind = Literal["day", "week", "month", "rolling"]

_DAY_SECONDS: Final = 86_400
_ONE_DAY: Final = timedelta(days=1)


@dataclass(frozen=True)
class Periods:
    """The calendar of one budget."""

    kind: PeriodKind
    zone: ZoneInfo
    anchor: int = 1
    """The day that a week (1 Monday to 7 Sunday) or a month (1 to 31) begins with."""
    days: int = 30
    """How long a rolling period is; each has 86,400 seconds."""

    def at(self, moment: int) -> tuple[int, int]:
        """Find the period that holds this moment; a rolling one ends with it, and holds the moment before."""
        if self.kind == "rolling":
            return moment - self.days * _DAY_SECONDS, moment
        first = self._first_day(datetime.fromtimestamp(moment, self.zone).date())
        start, end = self._midnight(first), self._midnight(self._following(first))
        # where the clock goes back over midnight, the date does too, and the period does not
        return (start, end) if moment < end else self.at(end)

    def _first_day(self, day: date) -> date:
        if self.kind == "day":
            return day
        if self.kind == "week":
            return day - timedelta(days=(day.isoweekday() - self.anchor) % 7)
        this = self._in_month(day)
        return this if this <= day else self._in_month(day.replace(day=1) - _ONE_DAY)

    def _following(self, first: date) -> date:
        if self.kind == "day":
            return first + _ONE_DAY
        if self.kind == "week":
            return first + timedelta(days=7)
        return self._in_month(first.replace(day=monthrange(first.year, first.month)[1]) + _ONE_DAY)

    def _in_month(self, day: date) -> date:
        return day.replace(day=min(self.anchor, monthrange(day.year, day.month)[1]))

    def _midnight(self, day: date) -> int:
        """Find the first moment of a day: the first of two midnights, or where there is none, what comes instead."""
        return int(datetime.combine(day, time(), self.zone).timestamp())
