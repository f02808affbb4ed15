"""How will the period end, as far as the key's own past tells? Looked at once an hour, few keys at a time.

What is usual at each hour of the week is read off the account itself: nothing of it need be kept.
"""

from typing import Final
from zoneinfo import ZoneInfo

from spendgauge.streams.budgets.forecast import Forecast, WeekProfile, forecast
from spendgauge.streams.budgets.tracks import BudgetTrack
from spendgauge.streams.ledger import Account

__all__ = ["Outlooks", "profile_of"]

_AT_ONCE: Final = 20
"""A profile of four weeks takes a millisecond, a forecast of a month another: so many are found in a closing."""

_FEWEST_HOURS: Final = 24
"""A key that is younger is not foreseen: one call would be taken for its pace."""

_MOST_HOURS: Final = 4 * 168


class Outlooks:
    """Finds forecasts."""

    def __init__(self) -> None:
        self._left = 0

    def renew(self) -> None:
        """Begin a closing: some more may be found."""
        self._left = _AT_ONCE

    def find(self, track: BudgetTrack, minute: int) -> Forecast | None:
        """Look at the end of a track's period from a minute on; None: nothing can be said.

        One that was found in the same hour is given again, and an older one where too many were found just now.
        """
        hour, up = minute // 60, track.watched is not None and ("budget_forecast", 0) in track.watched.fires
        moved = track.outlook is not None and track.foreseen_for != track.start
        if track.budget.period == "rolling" or (track.foreseen_in == hour and not moved):
            return track.outlook
        if self._left <= 0 and not up:
            return None if moved else track.outlook
        self._left -= 1
        track.foreseen_in, track.foreseen_for = hour, track.start
        track.outlook = self._foresee(track, minute)
        return track.outlook

    def _foresee(self, track: BudgetTrack, minute: int) -> Forecast | None:
        now, day = (minute + 1) * 60, minute // 1440
        if track.profile is None or track.profile[0] != day:
            track.profile = day, profile_of(track.account, track.budget.periods.zone, until=now // 3600)
        profile = track.profile[1]
        if sum(profile.counts) < _FEWEST_HOURS:
            track.profile = None
            return None
        period = track.start, track.end
        return forecast(profile, period=period, now=now, spent=track.cost, budget=track.budget.amount)


def profile_of(account: Account, zone: ZoneInfo, *, until: int) -> WeekProfile:
    """Say what each hour of the week has cost in the last four weeks, from the first hour that cost anything on.

    ``until``: the hour (since 1970 UTC) that is not over.
    """
    profile, costs = WeekProfile(zone), account.by_hour()
    first = max(min((hour for hour, cost in costs.items() if cost), default=until), until - _MOST_HOURS)
    for hour in range(first, until):
        profile.add(hour * 3600, costs.get(hour, 0))
    return profile
