"""Where will the period end, and when is the money gone? What is usual at each hour of the week, from now on.

All in integers: sums of picodollars and counts of hours. A count that reaches eight is halved with its sum, so that
recent weeks weigh more and a profile never grows.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

__all__ = ["Forecast", "WeekProfile", "forecast"]

_HOUR: Final = 3600
_HOURS: Final = 168
_MOST: Final = 8


@dataclass(frozen=True)
class Forecast:
    """How a period will end."""

    total: int
    """Picodollars by its end."""
    exhausted_at: int | None
    """The second at which the budget is spent; None: not in this period."""


@dataclass
class WeekProfile:
    """What each hour of the week usually costs at a place."""

    zone: ZoneInfo
    sums: list[int] = field(default_factory=lambda: [0] * _HOURS)
    counts: list[int] = field(default_factory=lambda: [0] * _HOURS)

    def add(self, hour_start: int, amount: int) -> None:
        """Take in a whole hour, also one in which nothing was spent; hours come in order."""
        hour = self._hour(hour_start)
        if self.counts[hour] == _MOST:
            self.counts[hour], self.sums[hour] = _MOST // 2, self.sums[hour] // 2
        self.counts[hour] += 1
        self.sums[hour] += amount

    def usual(self, moment: int) -> int:
        """Say what the hour of the week that holds this moment usually costs; one never seen costs what all do."""
        hour = self._hour(moment)
        if self.counts[hour]:
            return self.sums[hour] // self.counts[hour]
        return sum(self.sums) // max(sum(self.counts), 1)

    def _hour(self, moment: int) -> int:
        local = datetime.fromtimestamp(moment, self.zone)
        return local.weekday() * 24 + local.hour


def forecast(profile: WeekProfile, *, period: tuple[int, int], now: int, spent: int, budget: int) -> Forecast:
    """Go on from what was spent in [start, now) with what is usual until the period's end.

    *Shape*: ``spent`` at or above ``budget`` was exhausted by ``now``. A rolling period has no end to forecast.
    """
    total, exhausted = spent, now if spent >= budget else None
    for start, end in _hours(now, period[1]):
        usual = profile.usual(start)
        if exhausted is None and usual > 0 and total + usual * (end - start) // _HOUR >= budget:
            exhausted = min(end, start - (total - budget) * _HOUR // usual)
        total += usual * (end - start) // _HOUR
    return Forecast(total, exhausted)


def _hours(start: int, end: int) -> Iterator[tuple[int, int]]:
    while start < end:
        following = min(end, start // _HOUR * _HOUR + _HOUR)
        yield start, following
        start = following
