"""Which rules compete? Ours, and the three that everybody writes first, all with the same alarm around them.

Only the score differs: the others get our window, floor, cooldown and hysteresis too, which is kind to them. How often
their score crosses the line alone is counted as well.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol, Self

import numpy as np
import numpy.typing as npt

from spendgauge.streams.spikes import SpikeDetector, SpikeParameters
from spendgauge.streams.spikes.alarms import ESCALATED, RAISED, RESOLVED, advance, begin, finish
from spendgauge.streams.spikes.baseline import Baseline
from spendgauge.streams.spikes.decay import Floats, Integers
from spendgauge.streams.spikes.scoring import is_high, levels, usual
from spendgauge.streams.spikes.state import Rows, row_dtype

__all__ = ["PEERS", "Judge", "Ours", "Peer", "Statistic", "Told"]

_CODES: Final = {"raised": RAISED, "escalated": ESCALATED, "resolved": RESOLVED}
_LEVELS: Final = {"info": 1, "warn": 2, "page": 3}
_MEMORY_MINUTES: Final = 1440
_EVERY_MINUTES: Final = 5


@dataclass(frozen=True)
class Told:
    """What a rule says of a minute: a step (or 0) and the level of it, for each lane."""

    codes: npt.NDArray[np.uint8]
    levels: npt.NDArray[np.uint8]


class Judge(Protocol):
    """A rule with the state of some lanes."""

    def step(self, minute: int, costs: Integers, requests: Integers) -> Told:
        """Judge a minute of all lanes: what each cost, and in how many calls."""
        ...

    def copies(self, lanes: Integers) -> Self:
        """Go on with copies of these lanes, in this order, a lane as often as it is named."""
        ...


class Ours:
    """The detector, as a worker would use it: keys with events are named, others are not."""

    def __init__(self, lanes: int, parameters: SpikeParameters | None = None) -> None:
        """Begin with so many keys."""
        self._detector = SpikeDetector(parameters)
        self._keys = [("lane", (f"{n:05}",)) for n in range(lanes)]

    def step(self, minute: int, costs: Integers, requests: Integers) -> Told:
        """Judge a minute of all lanes."""
        there = np.flatnonzero(costs)
        keys = [self._keys[n] for n in there]
        told = Told(np.zeros(len(costs), dtype=np.uint8), np.zeros(len(costs), dtype=np.uint8))
        for step in self._detector.close(minute, keys, costs[there], requests[there]):
            lane = int(step.key[1][0])
            told.codes[lane], told.levels[lane] = _CODES[step.state], _LEVELS[step.severity]
        return told

    def copies(self, lanes: Integers) -> "Ours":
        """Go on with copies of these lanes."""
        fresh = Ours(len(lanes), self._detector.parameters)
        states = dict(self._detector.snapshot())
        for key, lane in zip(fresh._keys, lanes, strict=True):
            if (state := states.get(self._keys[lane])) is not None:
                fresh._detector.restore(key, state)
        return fresh


@dataclass
class Peer:
    """A rule of one number and one threshold."""

    statistic: "Statistic"
    thresholds: Floats
    """One for each lane."""
    rows: Rows
    memory: Floats
    """Of the last day, one window in five, for each lane."""
    middle: Floats
    spread: Floats
    high: npt.NDArray[np.bool_]
    crossings: int = 0
    """How often the score came above the line."""

    @classmethod
    def begin(cls, statistic: "Statistic", thresholds: Floats) -> Self:
        """Begin with a lane for each threshold."""
        lanes = len(thresholds)
        rows = np.zeros(lanes, dtype=row_dtype(SpikeParameters()))
        memory = np.zeros((lanes, _MEMORY_MINUTES // _EVERY_MINUTES))
        nothing = np.zeros(lanes)
        return cls(statistic, thresholds, rows, memory, nothing, nothing, np.zeros(lanes, dtype=np.bool_))

    def copies(self, lanes: Integers) -> Self:
        """Go on with copies of these lanes."""
        return type(self)(
            statistic=self.statistic,
            thresholds=self.thresholds[lanes],
            rows=self.rows[lanes],
            memory=self.memory[lanes],
            middle=self.middle[lanes],
            spread=self.spread[lanes],
            high=self.high[lanes],
        )

    def step(self, minute: int, costs: Integers, requests: Integers) -> Told:  # noqa: ARG002 - they look at costs alone
        """Judge a minute of all lanes."""
        parameters, rows = SpikeParameters(), self.rows
        rows["minute"] = minute
        rows["costs"][:, :-1] = rows["costs"][:, 1:]
        rows["costs"][:, -1] = costs
        window = rows["costs"][:, -parameters.window_minutes :].sum(axis=1)
        signal, normal, limits = window.astype(np.float64), usual(rows, parameters), parameters.limits()
        known = rows["seen"] >= parameters.silent_minutes
        scores = np.where(known, self.statistic(self, signal) / self.thresholds, 0)
        same = np.full(len(rows), 1)
        unusual = (scores >= 1) | (rows["level"] > 0)
        worth = levels(unusual, window - normal, floor=limits.floor * same, page=limits.page * same)
        high = is_high(rows, normal, parameters)
        codes = advance(rows, scores, worth, excess=window - normal, high=high, parameters=parameters)
        begin(rows, np.flatnonzero(codes == RAISED), usual=normal, window=window, high=high, parameters=parameters)
        told = Told(codes, rows["level"].copy())
        finish(rows, np.flatnonzero(codes == RESOLVED), parameters)
        self._absorb(minute, signal, scores)
        return told

    def _absorb(self, minute: int, signal: Floats, scores: Floats) -> None:
        _BASELINE.absorb(self.rows, window=signal, requests=signal, late=signal)
        self.crossings += int(((scores >= 1) & ~self.high).sum())
        self.high = scores >= 1
        if self.statistic is _robust_z and minute % _EVERY_MINUTES == 0:
            self.memory[:, minute // _EVERY_MINUTES % self.memory.shape[1]] = signal
            self.middle = np.median(self.memory, axis=1)
            self.spread = np.median(np.abs(self.memory - self.middle[:, None]), axis=1)


Statistic = Callable[[Peer, Floats], Floats]

_BASELINE: Final = Baseline(SpikeParameters())


def _ratio(peer: Peer, window: Floats) -> Floats:
    ratio: Floats = window / np.maximum(peer.rows["slow_mean"], 1)
    return ratio


def _ewma_z(peer: Peer, window: Floats) -> Floats:
    z: Floats = (window - peer.rows["fast_mean"]) / np.maximum(np.sqrt(peer.rows["fast_variance"]), 1)
    return z


def _robust_z(peer: Peer, window: Floats) -> Floats:
    scores = (window - peer.middle) / np.maximum(1.4826 * peer.spread, 1)
    whole: Floats = np.where(peer.rows["seen"] >= _MEMORY_MINUTES, scores, 0)
    return whole


PEERS: Final[dict[str, tuple[Statistic, float]]] = {
    "ratio to the 24 h mean": (_ratio, 3.0),
    "EWMA z, 6 h": (_ewma_z, 3.0),
    "robust z, 24 h median and MAD": (_robust_z, 3.5),
}
"""Each statistic with its threshold of the textbooks.

*Source*: 3.5 for the robust one: Iglewicz and Hoaglin, How to Detect and Handle Outliers (1993).
"""
