"""What is said of a budget: each line once a period, a burn while it burns, a forecast before it comes true?"""

from fractions import Fraction
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spendgauge.streams.budgets import BURN_LINES, Budget, BurnLine, Forecast, WeekProfile, burns, forecast, reach
from spendgauge.streams.budgets.watch import BudgetStep, Watched, watch

_USD = 10**12
_HOUR = 3600
_DAY = 24 * _HOUR
_MONTH = 30 * _DAY
_NOVEMBER = 1_793_491_200
"""1 November 2026, 00:00 UTC."""
_QUIET = dict.fromkeys((300, 1800, 3600, 21_600), 0)


def _budget(usd: int = 100, **fields: object) -> Budget:
    return Budget.model_validate({"name": "b", "usd": usd, **fields})


def _told(budget: Budget, course: list[tuple[int, int]]) -> list[BudgetStep]:
    """Watch a budget at seconds after the month's start, when so many USD are spent."""
    before: Watched | None = None
    steps = []
    for after, usd in course:
        before, new = watch(before, budget, at=_NOVEMBER + after, spent=usd * _USD, windows=_QUIET)
        steps += new
    return steps


def test_each_line_is_told_once() -> None:
    """50, 80 and 100 %, each at its first crossing, the last one a page; going on to spend says no more."""
    course = [(60 * n, n) for n in range(130)]
    assert [(step.state, step.severity, step.line, step.at - _NOVEMBER) for step in _told(_budget(), course)] == [
        ("raised", "warn", 50, 50 * 60),
        ("raised", "warn", 80, 80 * 60),
        ("raised", "page", 100, 100 * 60),
    ]


def test_lines_crossed_at_once_are_one_step() -> None:
    """A jump over all lines is told by the highest."""
    assert [(step.state, step.line) for step in _told(_budget(), [(0, 0), (60, 100)])] == [("raised", 100)]


def test_an_adjustment_does_not_tell_again() -> None:
    """Spending that is taken back and spent again crosses nothing new in the same period."""
    assert len(_told(_budget(), [(60, 55), (120, 40), (180, 55), (240, 49), (300, 51)])) == 1


def test_a_new_period_is_armed_again() -> None:
    """The alarm ends with the period, and the next one tells its own."""
    steps = _told(_budget(), [(60, 60), (_MONTH, 0), (_MONTH + 60, 60)])
    assert [step.state for step in steps] == ["raised", "resolved", "raised"]
    assert steps[0].since == _NOVEMBER
    assert steps[2].since == _NOVEMBER + _MONTH


def test_a_rolling_sum_is_armed_again_a_tenth_below() -> None:
    """It trembles at its line without a word; below nine tenths of it, it may cross it again."""
    budget = _budget(period="rolling", days=7)
    steps = _told(budget, [(60, 50), (120, 49), (180, 51), (240, 46), (300, 50), (360, 44), (420, 50)])
    assert [(step.state, step.at - _NOVEMBER) for step in steps] == [("raised", 60), ("resolved", 360), ("raised", 420)]


@given(st.lists(st.integers(-5, 150), max_size=20))
def test_lines_are_exact_and_only_rise(course: list[int]) -> None:
    """In a period the line is the highest that any moment reached, whatever lay between."""
    budget, before = _budget(), None
    for n, usd in enumerate(course):
        before, _ = reach(before, budget, period=(0, _MONTH), spent=usd * _USD)
        most = max(course[: n + 1])
        assert before.line == max((line for line in (50, 80, 100) if line <= most), default=0)


def test_one_picodollar_below_is_below() -> None:
    """A line is reached at its very amount, and not before."""
    budget = _budget()
    for spent, line in ((50 * _USD - 1, 0), (50 * _USD, 50)):
        assert reach(None, budget, period=(0, _MONTH), spent=spent)[0].line == line


@pytest.mark.parametrize("line", BURN_LINES, ids=lambda line: str(float(line.times)))
def test_a_burn_needs_both_windows(line: BurnLine) -> None:
    """At 14.4 (6) times an even pace over both windows it burns; a picodollar less in either, and it does not."""
    budget = _budget(usd=720)  # a dollar an hour, in a month of 30 days
    long, short = (int(line.times * _USD * seconds / _HOUR) for seconds in (line.long_seconds, line.short_seconds))
    period = (0, _MONTH)
    assert burns(line, budget, period=period, spent_long=long, spent_short=short)
    assert not burns(line, budget, period=period, spent_long=long - 1, spent_short=short)
    assert not burns(line, budget, period=period, spent_long=long, spent_short=short - 1)


def test_a_burn_is_told_until_it_is_over() -> None:
    """Too fast is a warning, much too fast a page, and it is over when neither burns: one alarm, three steps."""
    budget, before, steps = _budget(usd=720), None, []
    dollars = [(0, 0), (1, 36), (15, 40), (15, 40), (0, 40)]
    for n, (hour, six) in enumerate(dollars):
        windows = {300: hour * _USD // 12, 1800: six * _USD // 12, 3600: hour * _USD, 21_600: six * _USD}
        before, new = watch(before, budget, at=_NOVEMBER + n, spent=0, windows=windows)
        steps += new
    assert [(step.rule, step.state, step.severity, step.at - _NOVEMBER) for step in steps] == [
        ("budget_burn", "raised", "warn", 1),
        ("budget_burn", "escalated", "page", 2),
    ]
    before, new = watch(before, budget, at=_NOVEMBER + 9, spent=0, windows=_QUIET)
    assert [(step.state, step.since) for step in new] == [("resolved", _NOVEMBER + 1)]


def test_a_forecast_is_told_once_and_taken_back() -> None:
    """Above the budget it is raised, trembling says nothing, 5 % below it is resolved; past 100 % it is no forecast."""
    budget, before, steps = _budget(), None, []
    for n, total in enumerate([90, 101, 99, 102, 96, 94, 120]):
        outlook = Forecast(total * _USD, None)
        before, new = watch(before, budget, at=_NOVEMBER + n, spent=0, windows=_QUIET, outlook=outlook)
        steps += [(step.rule, step.state, n) for step in new]
    assert steps == [
        ("budget_forecast", "raised", 1),
        ("budget_forecast", "resolved", 5),
        ("budget_forecast", "raised", 6),
    ]
    _, new = watch(before, budget, at=_NOVEMBER + 9, spent=100 * _USD, windows=_QUIET, outlook=outlook)
    assert [(step.rule, step.state) for step in new] == [("budget", "raised"), ("budget_forecast", "resolved")]


@given(st.lists(st.integers(0, 130), min_size=1, max_size=10))
def test_the_same_moment_twice_says_nothing_new(course: list[int]) -> None:
    """A worker that watches a moment again, after a restart, repeats no step."""
    budget, before = _budget(), None
    for n, usd in enumerate(course):
        said = {"at": _NOVEMBER + n, "spent": usd * _USD, "windows": {**_QUIET, 300: _USD, 3600: usd * _USD}}
        before, _ = watch(before, budget, **said)  # type: ignore[arg-type]  # the keywords of watch
        assert watch(before, budget, **said) == (before, [])  # type: ignore[arg-type]  # the keywords of watch


def _profile(*, office: int = 8, night: int = 1, weeks: int = 4) -> WeekProfile:
    """A profile of a place where hours cost 8 USD from 8 to 18 o'clock UTC, and 1 USD else."""
    profile = WeekProfile(ZoneInfo("UTC"))
    for hour in range(weeks * 168):
        start = _NOVEMBER + hour * _HOUR
        profile.add(start, (office if 8 <= hour % 24 < 18 else night) * _USD)
    return profile


def test_a_forecast_goes_on_as_usual() -> None:
    """At noon, 36 USD spent, 6 office hours and 6 others to come: 36 + 48 + 6; 60 USD are gone after 3 office hours."""
    period = (_NOVEMBER, _NOVEMBER + _DAY)
    noon = _NOVEMBER + 12 * _HOUR
    end = forecast(_profile(), period=period, now=noon, spent=36 * _USD, budget=60 * _USD)
    assert end == Forecast(90 * _USD, noon + 3 * _HOUR)
    assert forecast(_profile(), period=period, now=noon, spent=36 * _USD, budget=91 * _USD).exhausted_at is None


def test_a_forecast_counts_parts_of_hours() -> None:
    """From 12:45 on, a quarter of an hour at 8 USD is 2 USD; a budget that these exhaust ends within that quarter."""
    now = _NOVEMBER + 12 * _HOUR + 45 * 60
    period = (_NOVEMBER, _NOVEMBER + 13 * _HOUR)
    end = forecast(_profile(), period=period, now=now, spent=10 * _USD, budget=11 * _USD)
    assert end == Forecast(12 * _USD, now + 450)


def test_what_is_spent_already_is_exhausted_now() -> None:
    """A budget that is used up has no later moment of exhaustion."""
    end = forecast(_profile(), period=(0, _NOVEMBER + 1), now=_NOVEMBER, spent=5, budget=5)
    assert end.exhausted_at == _NOVEMBER


def test_an_hour_that_was_never_seen_costs_what_all_do() -> None:
    """A profile of a morning foresees an evening at the morning's mean, and an empty one foresees nothing."""
    profile = WeekProfile(ZoneInfo("UTC"))
    assert profile.usual(_NOVEMBER) == 0
    for hour, usd in enumerate((2, 4)):
        profile.add(_NOVEMBER + hour * _HOUR, usd * _USD)
    assert profile.usual(_NOVEMBER + 20 * _HOUR) == 3 * _USD


def test_recent_weeks_weigh_more() -> None:
    """Spending that has doubled for six weeks is foreseen nearly doubled, in whole picodollars and bounded counts."""
    profile = WeekProfile(ZoneInfo("UTC"))
    for week in range(26):
        profile.add(_NOVEMBER + week * 7 * _DAY, (2 if week >= 20 else 1) * _USD)
    assert Fraction(3, 2) * _USD < profile.usual(_NOVEMBER) < 2 * _USD
    assert max(profile.counts) <= 8


def test_an_hour_of_the_week_is_that_of_the_place() -> None:
    """Nine o'clock on Monday in Zurich is one hour of the week, in summer and in winter."""
    profile = WeekProfile(ZoneInfo("Europe/Zurich"))
    summer, winter = 1_782_111_600, 1_795_420_800 - 7 * _DAY  # 09:00 on 22 June and 09:00 on 16 November 2026
    profile.add(summer, _USD)
    assert profile.usual(winter) == _USD
    assert profile.counts[9] == 1
