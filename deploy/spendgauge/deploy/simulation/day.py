"""What does a realistic day of usage look like? Deterministic frames of events, in the order of time.

The same seed and run give the same events; another run gives the same day of other sessions, so that simulating
twice adds a second day. No I/O and no clock: the day starts where the caller says.
"""

from collections.abc import Iterator
from typing import Final
from zlib import crc32

import numpy as np
import polars as pl

from spendgauge.deploy.simulation.names import name_sessions, pick
from spendgauge.deploy.simulation.runaway import RunawayCalls
from spendgauge.deploy.simulation.sessions import (
    DAY_MS,
    Schedule,
    attribute,
    draw_runaway,
    draw_sessions,
    mean_turns,
)
from spendgauge.deploy.simulation.turns import ERROR, unfold
from spendgauge.deploy.simulation.world import World, load_world

__all__ = ["DAY_MS", "simulate_day"]

_FRAME_EVENTS: Final = 65_536
"""How many events a frame has, about: bounds memory, whatever the size of the day."""

_RUNAWAY_SHARE: Final = 100
_RUNAWAY_PART: Final = 2**31
_ERROR_TYPES: Final = ("overloaded_error", "rate_limit_error", "timeout")
_OF_WORKLOAD: Final = (
    "provider",
    "model",
    "request_model",
    "operation",
    "service_tier",
    "usage_convention",
    "team",
    "environment",
    "service",
    "feature",
    "agent",
)


def simulate_day(
    events: int, *, start_ms: int, seed: int = 1, run: str = "", runaway: RunawayCalls | None = None
) -> Iterator[pl.DataFrame]:
    """Yield exactly ``events`` events that end in the day [start_ms, start_ms + DAY_MS), the earliest first.

    ``runaway`` takes the place of the agent that runs away in the evening; its calls come in addition.

    A column is a field of the event, with times as in the chunk codec's frames (``occurred_at_ms``,
    ``started_at_ms``), and ``host``: the instance that made the call. A service on a host is a source.
    """
    world = load_world()
    schedule = Schedule.of(world)
    parts = max(1, round(events / _FRAME_EVENTS))
    own = 0 if runaway else events // _RUNAWAY_SHARE
    waiting = _runaway(world, own, seed=seed, run=run)
    if runaway:
        waiting = _named(runaway.world, runaway.calls, names=_names(seed, _RUNAWAY_PART, run))
    usual = events - own
    for index in range(parts):
        share = usual * (index + 1) // parts - usual * index // parts
        calls = _calls(np.random.default_rng([seed, index]), world, schedule, part=(index, parts), events=share)
        waiting = pl.concat([waiting, _named(world, calls, names=_names(seed, index, run))]).sort("occurred_at_ms")
        ripe = pl.col("occurred_at_ms") < schedule.part_start_ms((index + 1, parts))
        yield waiting.filter(ripe).with_columns(pl.col("occurred_at_ms", "started_at_ms") + start_ms)
        waiting = waiting.filter(~ripe)


def _names(seed: int, part: int, run: str) -> np.random.Generator:
    return np.random.default_rng([seed, part, crc32(run.encode())])


def _runaway(world: World, calls: int, *, seed: int, run: str) -> pl.DataFrame:
    rng = np.random.default_rng([seed, _RUNAWAY_PART])
    drawn = unfold(rng, world, draw_runaway(rng, world, calls))
    return _named(world, drawn, names=_names(seed, _RUNAWAY_PART, run))


def _calls(
    rng: np.random.Generator, world: World, schedule: Schedule, *, part: tuple[int, int], events: int
) -> pl.DataFrame:
    """Draw sessions until the part has its events; a session that the day's end or the part's last event cuts ends
    there."""
    longest = max(1, events * part[1] // 20)
    drawn = [unfold(rng, world, draw_sessions(rng, world, schedule, count=0, part=part, longest=longest))]
    missing, sessions = events, 0
    while missing > 0:
        count = int(missing / mean_turns(world) * 1.1) + 8
        calls = unfold(rng, world, draw_sessions(rng, world, schedule, count=count, part=part, longest=longest))
        drawn.append(calls.filter(pl.col("at_ms") < DAY_MS).head(missing).with_columns(pl.col("session") + sessions))
        missing -= len(drawn[-1])
        sessions += count
    return pl.concat(drawn)


def _named(world: World, calls: pl.DataFrame, *, names: np.random.Generator) -> pl.DataFrame:
    """Turn numbers into the fields of events."""
    workload = calls["workload"].to_numpy()
    sessions = calls.group_by("session", maintain_order=True).agg(pl.col("workload").first())
    people = name_sessions(names, world, sessions["workload"].to_numpy()).with_columns(sessions["session"])
    failed = calls["status"].to_numpy() == ERROR
    texts = {name: pick(attribute(world, name).tolist(), workload) for name in _OF_WORKLOAD}
    texts["status"] = pick(("ok", "error", "cancelled"), calls["status"].to_numpy())
    texts["error_type"] = pick(("", *_ERROR_TYPES), failed * (1 + calls["session"].to_numpy() % len(_ERROR_TYPES)))
    return (
        calls.with_columns(**texts)
        .with_columns(occurred_at_ms="at_ms", started_at_ms=pl.col("at_ms") - pl.col("latency_ms"))
        .join(people, on="session", how="left", maintain_order="left")
        .drop("session", "workload", "at_ms")
    )
