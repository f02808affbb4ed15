"""What has one key spent, and when? Hours that may change, and days that hardly do; both add up.

A day is packed when all of its hours are settled. What comes late for it lies in an hour of its own beside it, until
the day is packed again; each packing is a *round*, and an hour that was kept in an earlier round is in the day.
"""

from collections.abc import Iterator
from typing import Final

from spendgauge.streams.ledger.sums import HOUR_SECONDS, Amounts, Hour, Sums

__all__ = ["DAY_HOURS", "DAY_SECONDS", "Account", "AccountKey"]

AccountKey = tuple[str, tuple[str, ...]]
"""A series and the values of its dimensions."""

DAY_HOURS: Final = 24
DAY_SECONDS: Final = DAY_HOURS * HOUR_SECONDS


class Account:
    """What one key has spent. Hours and days are numbered since 1970 UTC."""

    __slots__ = ("days", "hours", "key", "rounds")

    def __init__(self, key: AccountKey) -> None:
        """Begin with nothing spent."""
        self.key = key
        self.hours: dict[int, Hour | Sums] = {}
        self.days: dict[int, Sums] = {}
        self.rounds: dict[int, int] = {}
        """How often each day was packed."""

    def open(self, number: int) -> Hour:
        """Give an hour to add to."""
        hour = self.hours.get(number)
        if not isinstance(hour, Hour):
            settled, hour = hour, Hour()
            for second, cost, tokens in settled.stretches() if settled else ():
                hour.add(second // 60, cost, tokens)
            self.hours[number] = hour
        return hour

    def round(self, hour: int) -> int:
        """Say how often the day that this hour lies in was packed."""
        return self.rounds.get(hour // DAY_HOURS, 0)

    def spent(self, start: int, end: int) -> Amounts:
        """Add up what was spent in the seconds [start, end) since 1970 UTC.

        Both lie on a quarter hour; within the hours that are not settled yet, on a minute.
        """
        cost = tokens = 0
        for number, day in self.days.items():
            more = day.within(start - number * DAY_SECONDS, end - number * DAY_SECONDS)
            cost, tokens = cost + more.cost, tokens + more.tokens
        for number, hour in self.hours.items():
            more = hour.within(start - number * HOUR_SECONDS, end - number * HOUR_SECONDS)
            cost, tokens = cost + more.cost, tokens + more.tokens
        return Amounts(cost, tokens)

    def minutes_from(self, first: int) -> Iterator[tuple[int, int]]:
        """Give the minutes from this one on, since 1970 UTC, and the picodollars of each; none may be settled."""
        for number in [number for number in self.hours if number >= first // 60]:
            for second, cost, _ in self.hours[number].stretches():
                if number * 60 + second // 60 >= first:
                    yield number * 60 + second // 60, cost

    def by_hour(self) -> dict[int, int]:
        """Say how many picodollars each hour has cost that has cost any."""
        found: dict[int, int] = {number: hour.cost for number, hour in self.hours.items()}
        for number, day in self.days.items():
            for second, cost, _ in day.stretches():
                at = number * DAY_HOURS + second // HOUR_SECONDS
                found[at] = found.get(at, 0) + cost
        return found

    def settle(self, before: int) -> Iterator[int]:
        """Pack the hours before this one that nothing is open in; give the days that may be packed then."""
        busy = set()
        for number, hour in self.hours.items():
            if isinstance(hour, Hour) and not hour.places and number < before:
                self.hours[number] = Sums(hour.stretches(), seconds=HOUR_SECONDS)
            elif isinstance(hour, Hour):
                busy.add(number // DAY_HOURS)
        days = {number // DAY_HOURS for number in self.hours} - busy
        yield from sorted(day for day in days if (day + 1) * DAY_HOURS <= before)

    def pack(self, day: int) -> list[int]:
        """Pack a day whose hours are settled; give the hours that are in it now."""
        hours = self._take(day)
        parts: list[tuple[int, Hour | Sums]] = [(0, self.days[day])] if day in self.days else []
        parts += [((number - day * DAY_HOURS) * HOUR_SECONDS, hour) for number, hour in hours.items()]
        told = ((at + second, cost, tokens) for at, sums in parts for second, cost, tokens in sums.stretches())
        self.days[day] = Sums(told, seconds=DAY_SECONDS)
        self.rounds[day] = self.rounds.get(day, 0) + 1
        return list(hours)

    def forget(self, day: int) -> list[int]:
        """Drop a day; give its hours that were not packed."""
        self.days.pop(day, None)
        self.rounds.pop(day, None)
        return list(self._take(day))

    def known_days(self) -> set[int]:
        """Name the days in which something was spent."""
        return self.days.keys() | {number // DAY_HOURS for number in self.hours}

    def _take(self, day: int) -> dict[int, Hour | Sums]:
        numbers = range(day * DAY_HOURS, (day + 1) * DAY_HOURS)
        return {number: self.hours.pop(number) for number in numbers if number in self.hours}
