"""What is the right answer? Added up the plain way while the events are written; no figure is shown without it.

A contestant may stop before the topic's end. All events of a key lie in one partition, in order, so whatever it has
read of a key are that key's first events: it says how many, and the windows of just those must be what it has.
"""

from array import array
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import Any, Self

import orjson

from benchmarks.contestants.task import WINDOW_SECONDS, Prices

__all__ = ["Answer", "Reference", "WrongAnswerError"]


class WrongAnswerError(Exception):
    """A contestant's windows are not those of the plain calculation."""


@dataclass(frozen=True)
class Answer:
    """What a contestant says: events by key, and picodollars by key and start of the window."""

    keys: Mapping[str, int]
    costs: Mapping[tuple[str, int], int]

    @classmethod
    def of(cls, said: Mapping[str, Any]) -> Self:
        """Take it from what ``contestants.task.answer`` printed."""
        return cls(dict(said["keys"]), {(key, start): cost for key, start, cost in said["costs"]})


@dataclass
class Reference:
    """All events of a topic, as window and cost, by key in the order of the log."""

    prices: Prices
    events: int = 0
    cost: int = 0
    """Of all events, in picodollars."""
    _windows: dict[str, "array[int]"] = field(default_factory=lambda: defaultdict(lambda: array("q")))
    _costs: dict[str, "array[int]"] = field(default_factory=lambda: defaultdict(lambda: array("q")))

    def add(self, lines: Iterable[str]) -> None:
        """Add events in the order in which they are written."""
        for line in lines:
            event = orjson.loads(line)
            cost = self.prices.cost(event)
            self._windows[event["tenant"]].append(_window(event["occurred_at"][:16]))
            self._costs[event["tenant"]].append(cost)
            self.events += 1
            self.cost += cost

    def first(self, keys: Mapping[str, int]) -> dict[tuple[str, int], int]:
        """Add up the windows of so many first events of each key."""
        totals = Counter[tuple[str, int]]()
        for key, count in keys.items():
            windows, costs = self._windows.get(key, array("q")), self._costs.get(key, array("q"))
            for window, cost in zip(windows[:count], costs[:count], strict=True):
                totals[key, window] += cost
        return totals

    def check(self, name: str, answer: Answer, *, events: int) -> None:
        """Raise ``WrongAnswerError`` unless the answer is of at least so many events, and right in every window."""
        counted = sum(answer.keys.values())
        if counted < events:
            raise WrongAnswerError(f"{name} answers for {counted:,} events where {events:,} were to be counted")
        for key, count in answer.keys.items():
            held = len(self._windows.get(key, ()))
            if count > held:
                raise WrongAnswerError(f"{name} counted {count:,} events of {key}, and there are {held:,}")
        expected = self.first(answer.keys)
        wrong = [at for at in sorted({*expected, *answer.costs}) if expected.get(at) != answer.costs.get(at)]
        if wrong:
            key, start = wrong[0]
            raise WrongAnswerError(
                f"{name} is wrong in {len(wrong)} of {len(expected)} windows: of {key} from {start} it has "
                f"{answer.costs.get(wrong[0])} picodollars, and right is {expected.get(wrong[0])}"
            )


@cache
def _window(minute: str) -> int:
    start = datetime.fromisoformat(f"{minute}:00+00:00")
    return int(start.timestamp()) // WINDOW_SECONDS * WINDOW_SECONDS
