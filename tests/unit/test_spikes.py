"""Does every law of the spike detector hold, however its minutes are divided, repeated, left out and taken over?"""

from dataclasses import replace
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.plain_spikes import USD, PlainStep, plain_steps

from spendgauge.schemas.errors import ConfigurationError, SpendgaugeError
from spendgauge.streams.spikes import SpikeDetector, SpikeKey, SpikeParameters, SpikeStep

_QUICK = SpikeParameters(
    fast_half_life_minutes=30,
    slow_half_life_minutes=60,
    record_half_life_minutes=90,
    z_factor=4,
    record_min_z=2,
    record_factor=1.2,
    climb_factor=1.8,
    climb_minutes=10,
    old_record_half_life_minutes=120,
    resolve_minutes=4,
    cooldown_minutes=7,
    silent_minutes=12,
    record_minutes=40,
)
"""Everything happens within an hour or two, so that a few hundred minutes see all of it."""

_MINUTES = 200
_law = settings(deadline=None, max_examples=10)
_seeds = st.integers(0, 10**9)

Costs = dict[SpikeKey, dict[int, int]]


def _traffic(seed: int, keys: int = 5) -> Costs:
    """Draw keys that sleep, wake, grow, spike and are paid back, in cents."""
    random = Random(seed)
    return {("user_id", (f"u{n}",)): _key_costs(random) for n in range(keys)}


def _key_costs(random: Random) -> dict[int, int]:
    costs: dict[int, int] = {}
    minute, busy, size = random.randrange(20), 0.7, 1.0
    while minute < _MINUTES:
        if random.random() < 0.02:
            minute += random.randrange(60)
        if random.random() < 0.05:
            busy, size = random.choice([(0.9, 1), (0.2, 1), (0.9, 30), (0.9, 4), (0.5, 8)])
        if random.random() < busy:
            costs[minute] = int(random.lognormvariate(0, 0.5) * size * USD // 50) * random.choice([1] * 30 + [-1])
        minute += 1
    return costs or {0: USD}


def _run(
    costs: Costs, *, until: int = _MINUTES, idle: bool = False, parameters: SpikeParameters = _QUICK
) -> list[SpikeStep]:
    detector, steps = SpikeDetector(parameters), []
    for minute in range(until):
        steps += _close(detector, costs, minute, idle=idle)
    return steps + detector.close(until, [], [], [])


def _close(detector: SpikeDetector, costs: Costs, minute: int, *, idle: bool = True) -> list[SpikeStep]:
    now = {key: own[minute] for key, own in costs.items() if minute in own}
    return detector.close(minute, list(now), list(now.values()), [2] * len(now)) if now or idle else []


def _plain(step: SpikeStep) -> PlainStep:
    return step.minute, step.state, step.severity, step.onset, step.usual, step.seen, step.since_onset


def _steady(*parts: tuple[int, float]) -> Costs:
    """One key that spends so many USD a minute for so many minutes, part by part."""
    amounts = [int(usd * USD) for minutes, usd in parts for _ in range(minutes)]
    return {("total", ()): {minute: amount for minute, amount in enumerate(amounts) if amount}}


@pytest.mark.parametrize("parameters", [_QUICK, replace(_QUICK, record_factor=50, z_factor=50)])
@_law
@given(_seeds)
def test_it_says_what_the_plain_way_says(parameters: SpikeParameters, seed: int) -> None:
    """Arrays, sleep and folding give the steps of a loop over every minute of every key; of climbs alone too."""
    costs = _traffic(seed)
    steps = _run(costs, parameters=parameters)
    for key, own in costs.items():
        expected = plain_steps(own, _MINUTES + 1, parameters, parameters.limits())
        found = [_plain(step) for step in steps if step.key == key]
        assert [step[:4] + step[5:6] for step in found] == [step[:4] + step[5:6] for step in expected]
        for one, other in zip(found, expected, strict=True):
            assert one[4] == pytest.approx(other[4], rel=1e-9, abs=1)
            assert one[6] == pytest.approx(other[6], rel=1e-9, abs=_MINUTES)


@_law
@given(_seeds)
def test_the_division_into_calls_and_workers_changes_nothing(seed: int) -> None:
    """Idle minutes given or left out, keys together or each with a worker of its own: the same steps, to the bit."""
    costs = _traffic(seed)
    together = _run(costs)
    assert _run(costs, idle=True) == together
    alone = [step for key, own in costs.items() for step in _run({key: own})]
    assert sorted(alone, key=lambda step: (step.minute, step.key)) == together


@_law
@given(_seeds, st.integers(1, _MINUTES - 1), st.integers(0, 30))
def test_a_restart_changes_nothing(seed: int, crash: int, back: int) -> None:
    """A worker that takes over a snapshot, and is given the last minutes again, says no step twice and misses none."""
    costs = _traffic(seed)
    first, steps = SpikeDetector(_QUICK), []
    for minute in range(crash):
        steps += _close(first, costs, minute)
    second = SpikeDetector(_QUICK)
    for key, state in first.snapshot():
        second.restore(key, state)
    known = set(dict(first.snapshot()))
    for minute in range(max(0, crash - back), crash):
        assert _close(second, {key: costs[key] for key in known}, minute) == []
    assert dict(second.snapshot()) == dict(first.snapshot())
    for minute in range(crash, _MINUTES):
        steps += _close(second, costs, minute)
    assert steps + second.close(_MINUTES, [], [], []) == _run(costs)


@_law
@given(_seeds, st.integers(20, _MINUTES - 1))
def test_a_correction_said_twice_is_said_once(seed: int, minute: int) -> None:
    """A corrected total is a fact, not a difference: repeating it leaves every byte as it was."""
    costs, detector = _traffic(seed), SpikeDetector(_QUICK)
    for closed in range(minute):
        _close(detector, costs, closed)
    key = next(iter(costs))
    detector.correct(key, minute - 3, cost=USD, requests=4)
    once = dict(detector.snapshot())
    detector.correct(key, minute - 3, cost=USD, requests=4)
    assert dict(detector.snapshot()) == once


def test_a_minute_that_comes_late_is_in_the_next_window() -> None:
    """What was closed as nothing and corrected within 15 minutes is seen as if it had been there."""
    costs = _steady((200, 0.01))
    late, timely = SpikeDetector(_QUICK), SpikeDetector(_QUICK)
    key = ("total", ())
    for minute in range(100):
        _close(timely, costs, minute)
        _close(late, {key: {m: c for m, c in costs[key].items() if m != 98}}, minute)
    late.correct(key, 98, cost=costs[key][98], requests=2)
    late.close(100, [key], [5 * USD], [1])
    timely.close(100, [key], [5 * USD], [1])
    (seen_late,), (seen,) = (d.close(101, [key], [5 * USD], [1]) for d in (late, timely))
    assert (seen_late.seen, seen_late.onset, seen_late.state) == (seen.seen, 100, "raised")


def test_a_spike_that_is_taken_back_is_resolved_at_once() -> None:
    """A correction that leaves less than half of the excess ends the alarm with the next minute, not ten later."""
    costs, detector = _steady((100, 0.01), (4, 3.0)), SpikeDetector(_QUICK)
    steps = [step for minute in range(104) for step in _close(detector, costs, minute)]
    assert [step.state for step in steps] == ["raised"]
    for minute in range(100, 104):
        detector.correct(("total", ()), minute, cost=USD // 100, requests=2)
    (step,) = detector.close(104, [], [], [])
    assert (step.state, step.onset) == ("resolved", 100)
    assert abs(step.since_onset) < USD // 10


def test_an_old_correction_is_none_of_its_business() -> None:
    """A minute that has left the row changes nothing; one that is not closed is refused."""
    costs, detector = _steady((100, 0.01)), SpikeDetector(_QUICK)
    for minute in range(100):
        _close(detector, costs, minute)
    before = dict(detector.snapshot())
    detector.correct(("total", ()), 84, cost=9 * USD, requests=2)
    assert dict(detector.snapshot()) == before
    with pytest.raises(ValueError, match="minute 100 is not closed yet, the last one is 99"):
        detector.correct(("total", ()), 100, cost=0, requests=0)


def test_a_key_that_was_restored_late_is_closed_before_it_is_corrected() -> None:
    """A row that lies behind its detector is refused a correction, rather than folded over minutes it has not seen."""
    costs, first, second = _steady((50, 0.01)), SpikeDetector(_QUICK), SpikeDetector(_QUICK)
    for minute in range(50):
        _close(first, costs, minute)
    second.close(60, [("team", ("other",))], [USD], [1])
    ((key, state),) = first.snapshot()
    second.restore(key, state)
    with pytest.raises(ValueError, match="restored as of minute 49; close a minute before"):
        second.correct(key, 48, cost=0, requests=0)
    second.close(61, [], [], [])
    second.correct(key, 60, cost=USD, requests=1)


def test_one_spike_is_one_alarm_with_an_end() -> None:
    """A steady minute, ten costly ones, quiet again: raised after two minutes, once, and resolved ten after."""
    steps = _run(_steady((3000, 0.02), (10, 0.30), (60, 0.02)), until=3070, parameters=SpikeParameters())
    assert [(step.state, step.severity, step.minute, step.onset) for step in steps] == [
        ("raised", "info", 3001, 3000),
        ("escalated", "warn", 3002, 3000),
        ("escalated", "page", 3003, 3000),
        ("resolved", "page", 3022, 3000),
    ]
    assert steps[0].usual == pytest.approx(0.1 * USD, rel=0.01)
    assert steps[-1].since_onset == pytest.approx(10 * 0.28 * USD, rel=0.01)


def test_an_alarm_can_fire_again() -> None:
    """The complaint "fires once and never again": a second spike, above the record of the first, is raised."""
    steps = _run(
        _steady((3000, 0.02), (10, 0.5), (600, 0.02), (10, 1.5), (60, 0.02)), until=3680, parameters=SpikeParameters()
    )
    assert [step.minute // 100 for step in steps if step.state == "raised"] == [30, 36]


def test_a_key_at_the_edge_does_not_flap() -> None:
    """Costly minutes with calm ones between them, shorter than the ten that resolve, are one alarm."""
    parts = [(3000, 0.02), *[(3, 0.6), (6, 0.02)] * 12, (60, 0.02)]
    steps = _run(_steady(*parts), until=3170, parameters=SpikeParameters())
    assert [step.state for step in steps if step.state != "escalated"] == ["raised", "resolved"]


def test_a_cooldown_is_broken_by_something_worse_only() -> None:
    """Within 30 minutes of its end an alarm is not raised again, unless it is worth more now."""
    quick = replace(_QUICK, cooldown_minutes=30)
    again = [(100, 0.02), (3, 0.15), (25, 0.02), (3, 0.15), (60, 0.02)]
    worse = [(100, 0.02), (3, 0.15), (25, 0.02), (3, 9.0), (60, 0.02)]
    same = _run(_steady(*again), until=190, parameters=quick)
    assert [step.state for step in same if step.state != "escalated"] == ["raised", "resolved"]
    steps = _run(_steady(*worse), until=190, parameters=quick)
    assert [step.severity for step in steps if step.state == "raised"] == ["info", "page"]


def test_a_lasting_shift_is_raised_once() -> None:
    """Three times the spending for good is one alarm, which ends when the new level has become the usual one."""
    steps = _run(_steady((1600, 0.2), (2400, 0.6)), until=4000, parameters=SpikeParameters())
    assert [step.state for step in steps if step.state != "escalated"] == ["raised", "resolved"]


@pytest.mark.parametrize(("minutes", "found"), [(1, True), (10, True), (40, False)])
def test_a_record_is_broken_by_a_step(minutes: int, found: bool) -> None:
    """Four times the spending, come to within ten minutes, breaks the record; come to in forty, it climbs."""
    rise = [(1, 0.1 + 0.3 * n / minutes) for n in range(1, minutes + 1)]
    costs = _steady((1600, 0.1), *rise, (100, 0.4))
    steps = _run(costs, until=1700 + minutes, parameters=SpikeParameters(z_factor=1000, climb_factor=1000))
    assert [step.state for step in steps if step.state == "raised"] == ["raised"] * found


@pytest.mark.parametrize(
    ("hours", "times", "found"), [(6, 5, False), (6, 8, True), (12, 2.5, False), (12, 5, True), (24, 2.5, True)]
)
def test_a_young_record_must_be_exceeded_by_more(hours: int, times: float, found: bool) -> None:
    """1.55 times is enough of a record of a day, 3.1 times of half a day, and 6.2 times of six hours."""
    costs = _steady((hours * 60, 0.01), (10, times * 0.01), (30, 0.01))
    steps = _run(costs, until=hours * 60 + 40, parameters=SpikeParameters(z_factor=1000))
    assert [step.state for step in steps if step.state == "raised"] == ["raised"] * found


def test_an_alarm_that_is_up_gets_worse_by_what_it_costs() -> None:
    """What was raised for cents and grows by 3 % a minute is a page in the end, though no minute of it is a step."""
    costs = _steady((3000, 0.001), (30, 0.02), *((1, 0.02 * 1.03**n) for n in range(90)))
    steps = _run(costs, until=3120, parameters=SpikeParameters())
    assert [(step.state, step.severity) for step in steps] == [
        ("raised", "info"),
        ("escalated", "warn"),
        ("escalated", "page"),
    ]


def test_a_new_key_has_a_cap_and_no_other_rule() -> None:
    """Cold start: a key of minutes is judged by 5 USD in 5 minutes alone, however unusual its first calls look."""
    assert _run(_steady((2, 0.001), (10, 0.9), (20, 0.001)), until=50, parameters=SpikeParameters()) == []
    steps = _run(_steady((2, 0.001), (10, 3.0), (20, 0.001)), until=50, parameters=SpikeParameters())
    assert [(step.state, step.severity, step.usual) for step in steps] == [
        ("raised", "page", 0),
        ("resolved", "page", 0),
    ]


def test_low_volume_is_noted_and_not_sent() -> None:
    """A key of cents may do what it likes: nothing under 0.50 USD in five minutes is worth more than a note."""
    random = Random(3)
    own = {minute: random.randrange(USD // 100) for minute in range(0, 2400, 7)} | {2000: USD // 20, 2001: USD // 20}
    steps = _run({("user_id", ("quiet",)): own}, until=2400, parameters=SpikeParameters())
    assert {step.severity for step in steps} == {"info"}


def test_a_request_is_not_an_alert() -> None:
    """The complaint "an alert for every request": a call each five minutes is none, however costly."""
    own = dict.fromkeys(range(0, 2000, 5), USD * 4)
    assert _run({("user_id", ("steady",)): own}, until=2000, parameters=SpikeParameters()) == []


def test_one_call_is_not_a_spike() -> None:
    """A single call of 20 USD is in five windows and raises nothing; a second one in the same five minutes does."""
    quiet = dict.fromkeys(range(0, 2400, 7), USD // 100)
    for calls, raised in (({2000: 20 * USD}, []), ({2000: 20 * USD, 2003: 20 * USD}, [(2003, 2000, "page")])):
        steps = _run({("user_id", ("u",)): quiet | calls}, until=2400, parameters=SpikeParameters())
        assert [(step.minute, step.onset, step.severity) for step in steps if step.state == "raised"] == raised


def test_limits_are_a_matter_of_the_key() -> None:
    """A budget raises the floor to 0.05 % of it, and a page is 2 % of it an hour where that is less than 10 USD."""
    parameters = SpikeParameters()
    assert parameters.limits() == replace(parameters.limits(), floor=USD // 2, page=10 * USD * 5 // 60 + 1, cap=5 * USD)
    assert parameters.limits(monthly_budget=10_000 * USD).floor == 5 * USD
    assert parameters.limits(monthly_budget=400 * USD).page == 8 * USD * 5 // 60 + 1
    costs = _steady((3000, 0.02), (10, 0.50), (60, 0.02))
    detector = SpikeDetector(parameters, limits_of=lambda _key: parameters.limits(monthly_budget=10_000 * USD))
    steps = [step for minute in range(3070) for step in _close(detector, costs, minute)]
    assert {step.severity for step in steps} == {"info"}


def test_new_limits_hold_from_now_on() -> None:
    """Budgets that change while an alarm is up decide its next step."""
    parameters, costs = SpikeParameters(), _steady((3000, 0.02), (20, 0.50))
    poor, rich = (parameters.limits(monthly_budget=usd * USD) for usd in (100, 100_000))
    detector = SpikeDetector(parameters, limits_of=lambda _key: rich)
    steps = [step for minute in range(3010) for step in _close(detector, costs, minute)]
    detector.reload(lambda _key: poor)
    steps += [step for minute in range(3010, 3020) for step in _close(detector, costs, minute)]
    assert [(step.severity, step.minute) for step in steps] == [("info", 3001), ("page", 3011)]


def test_a_key_is_forgotten_when_it_would_begin_anew() -> None:
    """Dropping keys of four silent weeks changes no alarm: they would begin anew anyway."""
    costs = _steady((200, 0.02), (300, 0), (10, 6.0), (20, 0.02))
    parameters = replace(_QUICK, forget_minutes=250)
    kept, dropped = SpikeDetector(parameters), SpikeDetector(parameters)
    for minute in range(530):
        assert _close(kept, costs, minute) == _close(dropped, costs, minute)
        dropped.forget(minute)
        assert len(dropped) == (0 if 465 <= minute < 500 else 1)


def test_a_state_of_another_make_is_refused() -> None:
    """Bytes of another version or another window are refused with what to do, not misread."""
    detector = SpikeDetector(_QUICK)
    detector.close(5, [("total", ())], [USD], [1])
    ((key, state),) = detector.snapshot()
    for wrong in (b"\x02" + state[1:], state[:-1], b""):
        with pytest.raises(SpendgaugeError, match="delete it, the key begins anew"):
            SpikeDetector(_QUICK).restore(key, wrong)
    with pytest.raises(SpendgaugeError):
        SpikeDetector(replace(_QUICK, step_minutes=7)).restore(key, state)


def test_no_amount_turns_the_sums_around() -> None:
    """Absurd minutes, beyond what 64 bits hold, are taken for 100,000 USD and the alarm is up, not negative."""
    detector, key = SpikeDetector(), ("total", ())
    steps = [step for minute in range(400) for step in detector.close(minute, [key], [10**40], [1])]
    steps += detector.close(420, [], [], [])
    assert [step.state for step in steps] == ["raised", "resolved"]
    assert all(step.since_onset > 0 for step in steps)
    assert steps[0].seen == 2 * 10**17


def test_a_key_that_is_named_twice_has_cost_both() -> None:
    """Two parts of a minute of one key are their sum, not the last of them."""
    key: SpikeKey = ("total", ())
    once, twice = SpikeDetector(), SpikeDetector()
    once.close(1, [key], [5], [3])
    twice.close(1, [key, key], [2, 3], [1, 2])
    assert list(once.snapshot()) == list(twice.snapshot())


@pytest.mark.parametrize(
    "wrong",
    [
        {"window_minutes": 0},
        {"step_minutes": 4},
        {"climb_minutes": 0},
        {"climb_factor": 0.0},
        {"old_record_half_life_minutes": 2879},
        {"slow_half_life_minutes": 0},
        {"resolve_minutes": 256},
        {"resolve_score": 1.5},
        {"z_factor": 0.0},
    ],
)
def test_figures_that_cannot_work_are_refused(wrong: dict[str, Any]) -> None:
    """They fail where they are given, with the name and the value, and not in the first spike."""
    ((name, _),) = wrong.items()
    with pytest.raises(ConfigurationError, match=name):
        SpikeParameters(**wrong)


@pytest.mark.parametrize("keys", [1, 63, 64, 65, 5000])
def test_the_table_grows_with_its_keys(keys: int) -> None:
    """However many keys there are, each has its own row."""
    detector = SpikeDetector()
    names: list[SpikeKey] = [("user_id", (str(n),)) for n in range(keys)]
    detector.close(7, names, list(range(1, keys + 1)), [1] * keys)
    assert len(detector) == keys
    costs = np.frombuffer(b"".join(state[1:] for _, state in detector.snapshot()), dtype="u1").reshape(keys, -1)
    assert len({row.tobytes() for row in costs}) == keys


def _raised(costs: Costs, parameters: SpikeParameters, *, since: int, calls: int = 1) -> list[int]:
    """Name the minutes in which something was raised; each minute with a cost is so many calls."""
    detector, found = SpikeDetector(parameters), []
    for minute in sorted({minute for own in costs.values() for minute in own}):
        now = {key: own[minute] for key, own in costs.items() if minute in own}
        steps = detector.close(minute, list(now), list(now.values()), [calls] * len(now))
        found += [step.minute for step in steps if step.state == "raised" and step.minute >= since]
    return found


def test_large_calls_that_come_together_by_chance_are_no_spike() -> None:
    """The complaint "low-volume noise": two costly calls within five minutes are chance, an agent that loops is not.

    The key makes a call of 4 USD every twenty minutes; then come calls of 10 and 12 USD, or one of 10 in each minute.
    """
    quiet = dict.fromkeys(range(0, 2000, 20), 4 * USD)
    for then, without, found in (
        ({2003: 10 * USD, 2006: 12 * USD}, [2006], []),
        (dict.fromkeys(range(2003, 2010), 10 * USD), [2004], [2008]),
    ):
        costs: Costs = {("user_id", ("rare",)): quiet | then | {2020: USD}}
        assert _raised(costs, SpikeParameters(chance=0), since=2000) == without
        assert _raised(costs, SpikeParameters(), since=2000) == found


def test_calls_that_cost_alike_are_judged_by_how_they_vary() -> None:
    """A key of one steady call a minute is not taken for chance: three times as much is found within five minutes."""
    costs = _steady((1600, 0.5), (10, 1.5))
    assert _raised(costs, SpikeParameters(), since=1600)[0] <= 1604


def test_a_busy_key_is_not_raised_all_its_first_day() -> None:
    """Cold start: beyond the cap from the first minute on, it is raised once; then its own young record counts too."""
    random = Random(4)
    own = {minute: int(random.uniform(0.5, 1.5) * 2 * USD * (4 if minute % 180 < 4 else 1)) for minute in range(1440)}
    assert len(_raised({("total", ()): own}, SpikeParameters(), since=0, calls=100)) <= 2
