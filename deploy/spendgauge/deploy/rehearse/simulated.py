"""What do weeks of traffic look like? Simulated days, fewer calls at weekends, and one agent that runs away once."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl

from spendgauge.deploy.simulation.day import DAY_MS, simulate_day
from spendgauge.deploy.simulation.runaway import Runaway, RunawayCalls, draw_runaway_calls
from spendgauge.schemas.prices import PriceBook

__all__ = ["DAY_SECONDS", "Weeks", "simulate_weeks"]

DAY_SECONDS: Final = DAY_MS // 1000
_WEEKEND_PART: Final = 0.45
_UNEVEN: Final = 0.08
_THURSDAY: Final = 3
"""1 January 1970."""


@dataclass(frozen=True)
class Weeks:
    """What is asked for."""

    days: int
    events_per_day: int
    seed: int
    start_ms: int
    """A midnight, UTC."""
    runaway: Runaway | None


def simulate_weeks(weeks: Weeks, book: PriceBook) -> Iterator[pl.DataFrame]:
    """Yield the events of all days in the order of time; the seed decides them."""
    calls = None
    if weeks.runaway is not None:
        calls = draw_runaway_calls(weeks.runaway, seed=weeks.seed, book=book, at_ms=weeks.start_ms)
    for day in range(weeks.days):
        start_ms = weeks.start_ms + day * DAY_MS
        seed = weeks.seed * 1_000_003 + day
        running = _running(calls, day)
        yield from simulate_day(
            _events(weeks, start_ms, seed), start_ms=start_ms, seed=seed, run=f"{day}", runaway=running
        )


def _events(weeks: Weeks, start_ms: int, seed: int) -> int:
    """Say how many calls a day has: fewer at weekends, no two days alike."""
    weekday = (start_ms // DAY_MS + _THURSDAY) % 7
    part = _WEEKEND_PART if weekday >= 5 else 1.0
    return round(weeks.events_per_day * part * float(np.exp(_UNEVEN * np.random.default_rng(seed).standard_normal())))


def _running(calls: RunawayCalls | None, day: int) -> RunawayCalls:
    return calls.of_day(day) if calls else RunawayCalls.none()
