"""What does an hour or a day add up to? By the minute while lines may change it, packed by the quarter hour after that.

Every calendar begins its days on a quarter hour of UTC, also where zones are 30 or 45 minutes off; so quarters are
enough for any period of any place.
"""

import json
from array import array
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

__all__ = ["HOUR_SECONDS", "QUARTER_SECONDS", "Amounts", "Hour", "Place", "Sums"]

HOUR_SECONDS: Final = 3600
QUARTER_SECONDS: Final = 900

_MINUTES: Final = 60
_MOST: Final = 2**63 - 1

Place = tuple[int, int, int]
"""What one block has added to one pane: its rank (edition and version), picodollars, tokens."""


class Amounts(NamedTuple):
    """What was spent."""

    cost: int
    """Picodollars."""
    tokens: int


class Hour:
    """An hour that lines may still change."""

    __slots__ = ("cost", "minutes", "places", "tokens")

    def __init__(self) -> None:
        self.cost = 0
        self.tokens = 0
        self.minutes = array("q", bytes(16 * _MINUTES))
        """Picodollars and tokens of each minute, in turn."""
        self.places: dict[int, Place] = {}
        """Which contributions are in it, by a number for block and pane: of those that may come again, or grow."""

    def add(self, minute: int, cost: int, tokens: int) -> None:
        """Add to a minute of it, 0 to 59."""
        self.cost += cost
        self.tokens += tokens
        self.minutes[2 * minute] = _bounded(self.minutes[2 * minute] + cost)
        self.minutes[2 * minute + 1] = _bounded(self.minutes[2 * minute + 1] + tokens)

    def stretches(self) -> Iterator[tuple[int, int, int]]:
        """Give the second in the hour, the picodollars and the tokens of each minute that has any."""
        values = self.minutes
        for at in range(0, len(values), 2):
            if values[at] or values[at + 1]:
                yield at // 2 * _MINUTES, values[at], values[at + 1]

    def within(self, start: int, end: int) -> Amounts:
        """Add up its seconds [start, end), counted from its own beginning; whole minutes."""
        return _within(self, start, end, HOUR_SECONDS)


class Sums:
    """An hour or a day that hardly changes any more, packed."""

    __slots__ = ("cost", "packed", "seconds", "tokens")

    def __init__(self, stretches: Iterable[tuple[int, int, int]], *, seconds: int) -> None:
        """``seconds``: how long it is."""
        quarters: dict[int, tuple[int, int]] = {}
        for second, cost, tokens in stretches:
            quarter = second // QUARTER_SECONDS
            before = quarters.get(quarter, (0, 0))
            quarters[quarter] = before[0] + cost, before[1] + tokens
        told = [(quarter, *quarters[quarter]) for quarter in sorted(quarters)]
        self.seconds = seconds
        self.cost = sum(cost for _, cost, _ in told)
        self.tokens = sum(tokens for _, _, tokens in told)
        self.packed = json.dumps(told, separators=(",", ":")).encode()
        """The quarters that have any: number, picodollars, tokens; JSON."""

    def stretches(self) -> Iterator[tuple[int, int, int]]:
        """Give the second, the picodollars and the tokens of each quarter hour that has any."""
        for quarter, cost, tokens in json.loads(self.packed):
            yield quarter * QUARTER_SECONDS, cost, tokens

    def within(self, start: int, end: int) -> Amounts:
        """Add up its seconds [start, end), counted from its own beginning; whole quarters."""
        return _within(self, start, end, self.seconds)


def _within(sums: Hour | Sums, start: int, end: int, seconds: int) -> Amounts:
    if start <= 0 and end >= seconds:
        return Amounts(sums.cost, sums.tokens)
    if end <= 0 or start >= seconds or start >= end:
        return Amounts(0, 0)
    cost = tokens = 0
    for second, more_cost, more_tokens in sums.stretches():
        if start <= second < end:
            cost, tokens = cost + more_cost, tokens + more_tokens
    return Amounts(cost, tokens)


def _bounded(amount: int) -> int:
    """Nine million USD in a minute are not told from more; the sums of hours and days are."""
    return min(max(amount, -_MOST), _MOST)
