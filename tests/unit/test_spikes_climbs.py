"""Is spending found that climbs without a step, and what comes every day, or was said already, left alone?"""

from functools import cache
from math import sin, tau
from random import Random
from typing import Final

import pytest
from tests.plain_spikes import USD

from spendgauge.streams.spikes import SpikeDetector, SpikeKey, SpikeParameters
from spendgauge.streams.spikes.state import unpack

_DAY: Final = 1440
_WEEK: Final = 7 * _DAY
_DAYS: Final = 15
"""Monday to Monday, twice."""

_ALONE: Final = SpikeParameters(record_factor=1e9, z_factor=1e9)
"""Nothing counts but the climb."""

Costs = dict[int, int]


def _raised(keys: dict[SpikeKey, Costs], parameters: SpikeParameters) -> list[tuple[SpikeKey, int]]:
    """Name what was raised, and when."""
    detector, found = SpikeDetector(parameters), []
    for minute in sorted({minute for own in keys.values() for minute in own}):
        now = {key: own[minute] for key, own in keys.items() if minute in own}
        steps = detector.close(minute, list(now), list(now.values()), [100] * len(now))
        found += [(step.key, step.minute) for step in steps if step.state == "raised"]
    return found


def _one(costs: Costs, parameters: SpikeParameters) -> list[int]:
    return [minute for _, minute in _raised({("total", ()): costs}, parameters)]


def _growing(percent: int, minutes: int, *, begin: int) -> Costs:
    """Spend up and down within six hours, then grow."""
    usual = {m: int(USD / 10 * (1 + sin(m / 360 * tau) / 2)) for m in range(begin + minutes)}
    return {m: int(cost * (1 + percent / 100) ** max(m - begin, 0)) for m, cost in usual.items()}


def test_growth_without_a_step_is_found() -> None:
    """5 % more each minute is raised once within the hour, 2 % within three, wherever in a half hour it begins.

    Neither is a step, breaks its own record by half, or leaves its own mean by nine deviations.
    """
    costs: dict[SpikeKey, Costs] = {
        ("feature", (f"{percent} % from {begin}",)): _growing(percent, minutes, begin=begin)
        for percent, minutes in ((5, 60), (2, 180))
        for begin in range(1600, 1630, 3)
    }
    assert sorted(key for key, _ in _raised(costs, SpikeParameters())) == sorted(costs)
    assert _raised(costs, SpikeParameters(climb_factor=1e9)) == []


def test_a_key_of_less_than_a_day_does_not_climb() -> None:
    """Its old record knows a few hours; whoever begins to work in the morning is no runaway."""
    assert _one(_growing(5, 60, begin=1200), _ALONE) == []
    assert _one(_growing(5, 60, begin=1600), _ALONE) != []


def _busy_hours(random: Random, *, working_days: bool) -> Costs:
    """Spend next to nothing at night and a hundred times as much by day, each day another tenth more or less."""
    costs = {}
    for day in range(_DAYS):
        peak = 0.02 if working_days and day % 7 >= 5 else random.uniform(0.9, 1.1)
        for minute in range(0, _DAY, 3):
            hours = minute / 60
            costs[day * _DAY + minute] = int((0.01 + peak * max(0.0, min(hours - 8, 18 - hours, 1))) * USD)
    return costs


def _job(random: Random, *, vary: float, working_days: bool, last: float = 1) -> Costs:
    """Make a call an hour, and in the same half hour of each night as much as a day's, more or less."""
    nights = [day for day in range(_DAYS) if not (working_days and day % 7 >= 5)]
    costs = {day: int(USD * random.uniform(1 - vary, 1 + vary) * (last if day == nights[-1] else 1)) for day in nights}
    hourly = dict.fromkeys(range(0, _DAYS * _DAY, 60), USD // 100)
    return hourly | {day * _DAY + 120 + n: cost for day, cost in costs.items() for n in range(30)}


@cache
def _climbed() -> dict[str, list[int]]:
    """Judge by the climb alone what comes daily, all at once; give the days of what was raised after a first week."""
    random = Random(2)
    keys: dict[SpikeKey, Costs] = {}
    for days in (False, True):
        keys[("feature", (f"busy {days}",))] = _busy_hours(random, working_days=days)
        keys |= {
            ("feature", (f"job {vary} {days}", str(n))): _job(random, vary=vary, working_days=days)
            for vary in (0.0, 0.5)
            for n in range(40)
        }
    keys |= {("feature", (f"x {last}",)): _job(random, vary=0, working_days=True, last=last) for last in (1.5, 4)}
    found: dict[str, list[int]] = {key[1][0]: [] for key in keys}
    for key, minute in _raised(keys, _ALONE):
        found[key[1][0]] += [minute // _DAY] * (minute >= _WEEK)
    return found


@pytest.mark.parametrize("working_days", [False, True])
def test_a_daily_busy_hour_is_no_climb(working_days: bool) -> None:
    """Spending that rises each morning, on Monday after a quiet weekend too, is no climb: it did so this week."""
    assert _climbed()[f"busy {working_days}"] == []


@pytest.mark.parametrize("working_days", [False, True])
def test_a_job_of_the_same_size_is_no_climb(working_days: bool) -> None:
    """A job that comes each night, or in the nights of working days, is known, on Monday too."""
    assert _climbed()[f"job 0.0 {working_days}"] == []


@pytest.mark.parametrize(("working_days", "most"), [(False, 0), (True, 1)])
def test_a_job_that_varies_is_hardly_ever_a_climb(working_days: bool, most: int) -> None:
    """Half as much more or less each night is none either; of working days at most one of 80 Mondays of 40 jobs is.

    On Monday the largest may follow a week of small ones, of which a quarter is forgotten: that is 2.5 times as much.
    """
    found = _climbed()[f"job 0.5 {working_days}"]
    assert len(found) <= most
    assert {day % 7 for day in found} <= {0}


def test_a_job_that_is_four_times_as_large_is_a_climb() -> None:
    """The others are left alone because of their size: half as much again on a Monday is known, four times is not."""
    assert _climbed()["x 1.5"] == []
    assert _climbed()["x 4"] == [14]


def test_what_was_said_is_no_climb() -> None:
    """A second wave, as high as the first and after its cooldown, is known; one thrice as high is raised."""
    for second, found in ((50, [3001]), (150, [3001, 3057])):
        cents = dict.fromkeys(range(3000), 2) | dict.fromkeys(range(3000, 3010), 50)
        cents |= dict.fromkeys(range(3010, 3055), 2) | dict.fromkeys(range(3055, 3065), second)
        assert _one({m: c * USD // 100 for m, c in cents.items()}, SpikeParameters()) == found


def test_a_minute_that_comes_late_is_in_the_old_record() -> None:
    """What is corrected within the record's window is in the record, and half an hour later in the old one."""
    key: SpikeKey = ("total", ())
    late, timely = SpikeDetector(), SpikeDetector()
    for minute in range(100):
        cost = USD if minute == 9 else USD // 100
        timely.close(minute, [key], [cost], [1])
        late.close(minute, [key], [USD // 100], [1])
        if minute == 12:
            late.correct(key, 9, cost=USD, requests=1)
    rows = [unpack(detector.state_of(key), SpikeParameters()) for detector in (late, timely)]
    for name in ("record", "next_record", "old_record"):
        assert rows[0][name] == rows[1][name] > 0.5 * USD
