"""What does a rule say of a traffic, and of what is done to it? Counted alarms, and spikes that are found or missed."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Final

import numpy as np
import numpy.typing as npt

from benchmarks.alert_rules import Judge
from benchmarks.alert_series import DAY, Traffic
from benchmarks.probes import percentile
from spendgauge.streams.spikes.alarms import ESCALATED, RAISED, RESOLVED
from spendgauge.streams.spikes.decay import Integers

__all__ = [
    "FACTORS",
    "SHAPES",
    "Alarms",
    "Shape",
    "Trials",
    "follow",
    "inject_shapes",
    "inject_spikes",
    "runaways",
    "shifted",
]

FACTORS: Final = (2, 3, 5)
_WINDOW: Final = 5
_HISTORY: Final = 2 * DAY
_FIRST: Final = 3 * DAY
_EVERY: Final = 179
"""Minutes between injections: a prime, so that all hours have their turn."""

_LASTS: Final = 15
_WARN: Final = 2


@dataclass(frozen=True)
class Shape:
    """A spike, minute by minute: so many times a key's own 99th percentile of five minutes, if five were like it."""

    factors: tuple[float, ...]
    found_from: int = 0
    """Only what is raised from this minute on has found it."""


def _flat(factor: float, minutes: int = _LASTS) -> tuple[float, ...]:
    return (factor,) * minutes


def _climb(factor: float, minutes: int) -> tuple[float, ...]:
    return (*(factor * (n + 1) / minutes for n in range(minutes)), *_flat(factor))


def _growth(a_minute: float, minutes: int) -> tuple[float, ...]:
    return tuple(0.3 * (1 + a_minute) ** n for n in range(minutes))


SHAPES: Final = {
    "3x within 10 min": Shape(_climb(3, 10)),
    "3x within 30 min": Shape(_climb(3, 30)),
    "5x within 30 min": Shape(_climb(5, 30)),
    "5 % a minute, 90 min": Shape(_growth(0.05, 90)),
    "2 % a minute, 3 h": Shape(_growth(0.02, 180)),
    "5x, 2 h after 3x": Shape((*_flat(3), *_flat(0, 120), *_flat(5)), found_from=135),
}
"""Spikes that are no steps, and one after another. What grows begins at 0.3 times that percentile."""


class Alarms:
    """Counts what a rule tells, lane by lane."""

    def __init__(self, lanes: int) -> None:
        """Begin with nothing told."""
        self.level = np.zeros(lanes, dtype=np.uint8)
        self.raised = np.zeros(lanes, dtype=np.int64)
        self.sent = np.zeros(lanes, dtype=np.int64)
        self.firing_minutes = np.zeros(lanes, dtype=np.int64)

    def hear(self, codes: npt.NDArray[np.uint8], levels: npt.NDArray[np.uint8]) -> None:
        """Take in a minute; an alarm is sent when it is worth a message for the first time."""
        told = (codes == RAISED) | (codes == ESCALATED)
        self.raised += codes == RAISED
        self.sent += told & (levels >= _WARN) & (self.level < _WARN)
        self.level = np.where(told, levels, np.where(codes == RESOLVED, 0, self.level)).astype(np.uint8)
        self.firing_minutes += self.level > 0


@dataclass
class Trials:
    """How a rule did on one kind of spike."""

    tried: int = 0
    busy: int = 0
    """Not tried, because the rule's alarm was up already."""
    delays: list[float] = field(default_factory=list)
    """Minutes from the onset until the alarm, of those that were found."""
    sent: int = 0
    """Of those that were found: how many were worth a message within the same time."""
    spent_usd: list[float] = field(default_factory=list)
    """What the spike had cost when it was found."""

    @property
    def found(self) -> float:
        """The part of all that were tried."""
        return len(self.delays) / self.tried if self.tried else float("nan")

    def delay(self, part: float) -> float:
        """The median (0.5) or another percentile of the delays."""
        if not self.delays:
            return float("nan")
        return median(self.delays) if part == 0.5 else percentile(self.delays, part)


Interrupt = Callable[[Judge, int, Alarms], None]


def follow(judge: Judge, traffic: Traffic, *, before: Interrupt | None = None) -> Alarms:
    """Let a rule judge all minutes in order; ``before`` may look at it before each."""
    alarms = Alarms(len(traffic.keys))
    for minute, (costs, requests) in enumerate(zip(traffic.costs, traffic.requests, strict=True)):
        if before is not None:
            before(judge, minute, alarms)
        told = judge.step(minute, costs, requests)
        alarms.hear(told.codes, told.levels)
    return alarms


def inject_spikes(traffic: Traffic, trials: dict[int, Trials]) -> Interrupt:
    """Every three hours put spikes upon copies of all keys: so many times the key's own 99th percentile of two days.

    A spike adds the same cost each minute for a quarter of an hour, so that five minutes of it alone are ``factor``
    times that percentile (of five minutes). The keys themselves go on undisturbed.
    """
    return inject_shapes(traffic, [(Shape(_flat(factor)), trial) for factor, trial in trials.items()])


def inject_shapes(traffic: Traffic, trials: Sequence[tuple[Shape, Trials]]) -> Interrupt:
    """Put spikes of any shape upon copies of all keys in the same way."""
    windows = np.cumsum(traffic.costs, axis=0)
    windows[_WINDOW:] -= windows[:-_WINDOW].copy()

    def before(judge: Judge, minute: int, alarms: Alarms) -> None:
        if minute < _FIRST or (minute - _FIRST) % _EVERY:
            return
        usual_peak = np.percentile(windows[minute - _HISTORY : minute], 99, axis=0)
        for shape, trial in trials:
            extra = (np.array(shape.factors)[:, None] * usual_peak / _WINDOW).astype(np.int64)
            if minute + len(extra) <= len(traffic.costs):
                _try(judge, minute, traffic, extra, trial, alarms=alarms, found_from=shape.found_from)

    return before


def runaways(traffic: Traffic, trials: dict[float, Trials], *, growth: float = 1.05) -> Interrupt:
    """Let an agent run away upon copies of all keys: so many USD in its first minute, each minute 5 % more."""

    def before(judge: Judge, minute: int, alarms: Alarms) -> None:
        if minute < _FIRST or (minute - _FIRST) % _EVERY or minute + _LASTS > len(traffic.costs):
            return
        for usd_a_minute, trial in trials.items():
            burned = usd_a_minute * 1e12 * growth ** np.arange(_LASTS)
            extra = np.tile(burned[:, None], (1, len(traffic.keys))).astype(np.int64)
            _try(judge, minute, traffic, extra, trial, alarms=alarms)

    return before


def shifted(traffic: Traffic, *, factor: int, from_minute: int) -> Traffic:
    """Multiply all that is spent from a minute on, by as many calls."""
    costs, requests = traffic.costs.copy(), traffic.requests.copy()
    for told in (costs, requests):
        told[from_minute:] *= factor
    return Traffic(traffic.name, traffic.keys, costs, requests)


def _try(
    judge: Judge,
    minute: int,
    traffic: Traffic,
    extra: Integers,
    trial: Trials,
    *,
    alarms: Alarms,
    found_from: int = 0,
) -> None:
    lanes = np.flatnonzero(extra.any(axis=0))
    calm = lanes[alarms.level[lanes] == 0]
    trial.tried += len(calm)
    trial.busy += len(lanes) - len(calm)
    copies = judge.copies(calm)
    waiting, unsent = np.ones(len(calm), dtype=np.bool_), np.ones(len(calm), dtype=np.bool_)
    spent = np.zeros(len(calm))
    past = slice(max(minute - _HISTORY, 0), minute)
    call = traffic.costs[past].sum(axis=0)[calm] / np.maximum(traffic.requests[past].sum(axis=0)[calm], 1)
    for after in range(len(extra)):
        added = extra[after][calm]
        spent += added / 1e12
        calls = np.ceil(added / np.maximum(call, 1)).astype(np.int64)
        told = copies.step(
            minute + after, traffic.costs[minute + after][calm] + added, traffic.requests[minute + after][calm] + calls
        )
        alarm = ((told.codes == RAISED) | (told.codes == ESCALATED)) & (after >= found_from)
        for lane in np.flatnonzero(alarm & waiting):
            trial.delays.append(after - found_from + 1)
            trial.spent_usd.append(float(spent[lane]))
        trial.sent += int((alarm & unsent & (told.levels >= _WARN)).sum())
        unsent &= ~(alarm & (told.levels >= _WARN))
        waiting &= ~alarm
