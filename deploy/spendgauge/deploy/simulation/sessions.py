"""When do the simulated sessions start, what are they for, and how long do they go on?

Pure arithmetic over a random generator. A session is one conversation, task or batch of one workload; its calls
are unfolded in ``simulation_turns``.
"""

from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from spendgauge.deploy.simulation.world import HOURS, World

__all__ = [
    "DAY_MS",
    "Floats",
    "Ints",
    "Schedule",
    "Sessions",
    "attribute",
    "draw_runaway",
    "draw_sessions",
    "mean_turns",
]

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

DAY_MS: Final = 86_400_000
_HOUR_MS: Final = 3_600_000
_MINUTES: Final = 1440

_RUNAWAY_START_MS: Final = 20 * _HOUR_MS + 17 * 60_000
_RUNAWAY_SPAN_SECONDS: Final = 2_400.0
_MEAN_PAUSE: Final = 3.6
"""The mean of the drawn pauses, the few long ones included, over their median."""


@dataclass(frozen=True)
class Sessions:
    """Parallel arrays, one entry a session: its workload's index, its start within the day, its number of calls and
    the median pause between them."""

    workload: Ints
    start_ms: Floats
    turns: Ints
    gap_seconds: Floats


def attribute(world: World, name: str) -> NDArray[Any]:
    """Collect one attribute of all workloads, in their order."""
    return np.array([getattr(workload, name) for workload in world.workloads])


@dataclass(frozen=True)
class Schedule:
    """How the sessions of all workloads spread over the day.

    ``load`` is the day's cumulative load at each minute, from 0 to 1, one longer than the minutes; a row of
    ``choices`` is one minute's cumulative shares of the workloads, the last one (1) left out.
    """

    load: Floats
    choices: Floats

    @classmethod
    def of(cls, world: World) -> Self:
        """Smooth the workloads' hourly shapes into minutes."""
        hours = np.array([HOURS[workload.hours] for workload in world.workloads], dtype=np.float64)
        around = np.concatenate([hours[:, -1:], hours, hours[:, :1]], axis=1) / hours.sum(axis=1, keepdims=True)
        at = (np.arange(_MINUTES) + 0.5) / 60
        smooth = np.array([np.interp(at, np.arange(-0.5, 25.0), row) for row in around])
        load = smooth * attribute(world, "share")[:, None]
        total = np.concatenate([[0.0], np.cumsum(load.sum(axis=0))])
        return cls(total / total[-1], np.cumsum(load / load.sum(axis=0), axis=0).T[:, :-1])

    def minutes(self, quantiles: Floats | float) -> Floats:
        """Tell by which minute of the day these shares of the load have begun."""
        return np.asarray(np.interp(quantiles, self.load, np.arange(_MINUTES + 1)), dtype=np.float64)

    def part_start_ms(self, part: tuple[int, int]) -> int:
        """Tell when the i-th of n parts with equal load begins."""
        return int(self.minutes(part[0] / part[1]) * 60_000)


def draw_sessions(
    rng: np.random.Generator, world: World, schedule: Schedule, *, count: int, part: tuple[int, int], longest: int
) -> Sessions:
    """Draw sessions that start in one part of the day; ``part`` (i, n) is the i-th of n parts with equal load.

    ``longest`` caps a session's calls, so that in a small day one session is not the whole day.
    """
    minutes = schedule.minutes((part[0] + rng.random(count)) / part[1])
    row = np.minimum(minutes.astype(np.int64), _MINUTES - 1)
    workload = (rng.random(count)[:, None] > schedule.choices[row]).sum(axis=1).astype(np.int64)
    sigma = attribute(world, "turns_sigma")[workload]
    drawn = attribute(world, "turns")[workload] * np.exp(sigma * rng.standard_normal(count))
    turns = np.clip(np.rint(drawn), 1, longest).astype(np.int64)
    return Sessions(workload, minutes * 60_000, turns, attribute(world, "gap_seconds")[workload])


def draw_runaway(rng: np.random.Generator, world: World, calls: int) -> Sessions:
    """Draw the one session of the day that does not stop: an agent that calls for forty minutes in a row."""
    start = _RUNAWAY_START_MS + rng.random(1) * 600_000
    gap = np.array([min(_RUNAWAY_SPAN_SECONDS / max(calls, 1), 30.0) / _MEAN_PAUSE])
    return Sessions(np.array([world.runaway]), start, np.array([calls]), gap)


def mean_turns(world: World) -> float:
    """Estimate how many calls an average session has, before any cap."""
    shares = attribute(world, "share")
    means = attribute(world, "turns") * np.exp(attribute(world, "turns_sigma") ** 2 / 2)
    return float((shares * means).sum() / shares.sum())
