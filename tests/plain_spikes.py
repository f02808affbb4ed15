"""What would the detector say, written the plain way? One key, every minute a step, no folding, no arrays.

A minute that costs anything is two requests.

The second route to every alarm: lists and loops, the means from their definitions, the rules from ``docs/spikes.md``.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field

from spendgauge.streams.spikes import Limits, SpikeParameters

__all__ = ["USD", "PlainKey", "PlainStep", "plain_steps"]

USD = 10**12

_NAMES = {1: "info", 2: "warn", 3: "page"}

PlainStep = tuple[int, str, str, int, int, int, int]
"""minute, state, severity, onset, usual, seen, since_onset"""


def plain_steps(costs: dict[int, int], until: int, parameters: SpikeParameters, limits: Limits) -> list[PlainStep]:
    """Give the steps of one key that cost so much in these minutes (the first one begins it)."""
    key = PlainKey(parameters, limits)
    return [step for minute in range(min(costs), until) for step in key.minute(minute, costs.get(minute, 0))]


@dataclass
class PlainKey:
    """One key."""

    parameters: SpikeParameters
    limits: Limits
    history: list[int] = field(default_factory=list)
    windows: list[int] = field(default_factory=list)
    fast: tuple[float, float] = (0.0, 0.0)
    """Mean, and mean of squares."""
    slow: float = 0.0
    requests: float = 0.0
    record: float = 0.0
    records: dict[int, float] = field(default_factory=dict)
    """As it was at the end of each minute."""
    told: list[tuple[int, float]] = field(default_factory=list)
    """The minutes in which alarms ended, and the record by then."""
    worths: list[int] = field(default_factory=lambda: [0])
    level: int = 0
    calm: int = 0
    quiet: tuple[int, int] = (-1, 0)
    raised: tuple[int, int, int] = (0, 0, 0)
    """onset, usual, excess"""

    def minute(self, minute: int, cost: int) -> Iterable[PlainStep]:
        """Judge a minute."""
        self.history.append(cost)
        seen = len(self.history) - 1
        window = sum(self.history[-self.parameters.window_minutes :])
        usual = math.floor(self.slow) if seen >= self.parameters.silent_minutes else 0
        score = self._score(seen, window)
        self.worths.append(self._worth(score, window - usual))
        found = list(self._step(minute, score, window, usual))
        self._absorb(seen + 1, window)
        self.records[minute] = self.record
        return found

    def _score(self, seen: int, window: int) -> float:
        p = self.parameters
        mean, squares = self.fast
        z = (window - mean) / max(math.sqrt(max(squares - mean * mean, 0)), 1)
        if seen < p.silent_minutes:
            return window / self.limits.cap
        young = max(p.record_minutes / seen, 1)
        if window < max(p.min_ratio * self.slow, self.slow + (0 if self.worths[-1] else self._by_chance())):
            return 0
        own = self.record * p.record_factor
        record = window / max(min(young * own, max(own, self.limits.cap)), 1)
        before = sum(self.history[-p.step_minutes - p.window_minutes : -p.step_minutes])
        step = window >= p.min_ratio * before
        climb = window / max(p.climb_factor * self._old_record(), 1) if seen >= p.record_minutes else 0
        unusual = max(climb, record if step else 0) if z >= p.record_min_z else 0
        return max(z / p.z_factor / math.sqrt(young), unusual)

    def _old_record(self) -> float:
        """The largest record a half hour before the beginning of any, and of what was told; the past counts less."""
        length, keep = self.parameters.climb_minutes, 2 ** (-1 / self.parameters.old_record_half_life_minutes)
        begun = [earlier for earlier in self.records if earlier % length == 0]
        trailing = [self.records.get(one - length, 0) * keep ** (begun[-1] - one) for one in begun]
        told = [record * keep ** (length * sum(one >= end for one in begun)) for end, record in self.told]
        return max([0.0, *trailing, *told])

    def _by_chance(self) -> float:
        p, usual, often = self.parameters, max(self.slow, 0), max(self.requests, 1e-9)
        came = sum(2 for cost in self.history[-p.window_minutes :] if cost)
        if came >= often + math.sqrt(2 * p.chance * often) + p.chance / 3:
            return 0
        mean, squares = self.fast
        calls = p.call_variation * usual / often
        call = min(calls, max(squares - mean * mean, 0) / max(mean, 1e-9))
        return math.sqrt(2 * p.chance * usual * call) + p.chance * call

    def _worth(self, score: float, excess: int) -> int:
        if (score < 1 and not self.level) or excess <= 0:
            return 0
        return 3 if excess >= self.limits.page else 2 if excess >= self.limits.floor else 1

    def _step(self, minute: int, score: float, window: int, usual: int) -> Iterable[PlainStep]:
        length = self.parameters.window_minutes
        high = [cost for cost in self.history[-length:] if cost * length > self.parameters.min_ratio * usual]
        sure = min(self.worths[-2:]) if len(high) >= self.parameters.high_minutes else 0
        excess = self.raised[2]
        if not self.level:
            if sure and not (minute <= self.quiet[0] and sure <= self.quiet[1]):
                self.level, self.calm = sure, 0
                self.raised = (self._onset(minute, usual), usual, window - usual)
                yield self._said(minute, "raised", window)
        elif sure > self.level:
            self.level = sure
            self.calm = self.calm + 1 if score < self.parameters.resolve_score else 0
            yield self._said(minute, "escalated", window)
        else:
            gone = window - usual < excess / 2
            self.calm = self.calm + 1 if gone and score < self.parameters.resolve_score else 0
            if self.calm >= self.parameters.resolve_minutes:
                yield self._said(minute, "resolved", window)
                self.told.append((minute, self.record))
                self.quiet = (minute + self.parameters.cooldown_minutes, self.level)
                self.level = 0

    def _onset(self, minute: int, usual: int) -> int:
        length = self.parameters.window_minutes
        for back in range(length, -1, -1):
            if back < len(self.history) and self.history[-1 - back] * length > self.parameters.min_ratio * usual:
                return minute - back
        raise AssertionError("a raised alarm has a high minute")

    def _said(self, minute: int, state: str, window: int) -> PlainStep:
        onset, usual, _ = self.raised
        minutes = minute - onset + 1
        since = sum(self.history[-minutes:]) - usual * minutes // self.parameters.window_minutes
        return minute, state, _NAMES[self.level], onset, usual, window, since

    def _absorb(self, number: int, window: int) -> None:
        p = self.parameters
        weight = max(1 - 0.5 ** (1 / p.fast_half_life_minutes), 1 / number)
        mean, squares = self.fast
        self.fast = (mean + weight * (window - mean), squares + weight * (window * window - squares))
        weight = max(1 - 0.5 ** (1 / p.slow_half_life_minutes), 1 / number)
        self.slow += weight * (window - self.slow)
        busy = sum(2 for cost in self.history[-p.window_minutes :] if cost)
        self.requests += weight * (busy - self.requests)
        self.windows.append(window)
        late = self.windows[-1 - p.window_minutes] if len(self.windows) > p.window_minutes else 0
        self.record = max(self.record * 0.5 ** (1 / p.record_half_life_minutes), late)
