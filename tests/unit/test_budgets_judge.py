"""Is each thing that budgets have to say said once, at its moment, whoever is killed and wherever clocks change?"""

from collections import Counter
from datetime import datetime
from random import Random
from zoneinfo import ZoneInfo

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from tests.alerting_worlds import Killed, said
from tests.budget_worlds import USD, BudgetWorld, spending

from spendgauge.schemas.alerts import Alert
from spendgauge.streams.budgets import BudgetJudge
from spendgauge.streams.judging.judge import Configuration, Judge

_U1, _TOTAL = ("user_id", ("u1",)), ("total", ())
_HOUR, _DAY = 3600, 86_400


def _second(text: str, zone: str = "UTC") -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp())


def _budget(**fields: object) -> str:
    table = {"name": "b", "usd": 100, "period": "day"} | fields
    return "[[budget]]\n" + "\n".join(f"{name} = {_toml(value)}" for name, value in table.items()) + "\n"


def _toml(value: object) -> str:
    return f'"{value}"' if isinstance(value, str) else str(value)


def _evenly(world: BudgetWorld, start: int, course: list[tuple[int, float]]) -> None:
    """Spend so many USD at seconds after the start, and let the worker judge each minute that ends with it."""
    for after, usd in course:
        world.spend(spending(_TOTAL, start + after, usd))
        world.work(start + after + 61)


def test_it_is_a_judge() -> None:
    """It answers all that the watcher asks."""
    judge: Judge = BudgetJudge()
    judge.reload(Configuration(budgets=_budget(series="user_id", key=["*"]).replace("'", '"')))
    assert set(judge.series) == {"user_id"}


def test_without_budgets_nothing_is_read_and_nothing_is_kept() -> None:
    """A watcher that has no file writes nothing for it, and holds no lines back."""
    world = BudgetWorld("")
    for minute in range(10):
        world.spend(spending(_TOTAL, _second("2026-11-20") + minute * 60, 1))
        world.work(_second("2026-11-20") + minute * 60 + 61)
    assert (world.kept, world.quotas, world.committed) == ({}, {}, 10)


def test_lines_are_told_once_a_period_and_end_with_it() -> None:
    """50, 80, 100 %, the last one a page, each an alarm of its own; over with the day; the next day tells its own."""
    world, start = BudgetWorld(_budget()), _second("2026-11-20")
    _evenly(world, start, [(n * 7 * 60, 0.5) for n in range(200)])
    _evenly(world, start + _DAY, [(n * 7 * 60, 0.5) for n in range(120)])
    told = [one for one in world.told("rule", "state", "severity", "evaluated_at") if one[0] == "budget"]
    crossed = [99 * 420 + 60, 159 * 420 + 60, 199 * 420 + 60]
    assert told == [
        ("budget", "raised", "warn", start + crossed[0]),
        ("budget", "raised", "warn", start + crossed[1]),
        ("budget", "raised", "page", start + crossed[2]),
        ("budget", "resolved", "warn", start + _DAY + 60),
        ("budget", "resolved", "warn", start + _DAY + 60),
        ("budget", "resolved", "page", start + _DAY + 60),
        ("budget", "raised", "warn", start + _DAY + crossed[0]),
    ]
    assert len({alert.alert_id for alert in world.sent if alert.rule == "budget"}) == 4


def test_the_sentence_says_what_a_person_asks() -> None:
    """Which budget, of whom, how much of what, until when, and when it will be gone."""
    toml = _budget(series="user_id", time_zone="Europe/Zurich", usd=10) + 'key = ["*"]\n'
    world, start = BudgetWorld(toml), _second("2026-11-20", "Europe/Zurich")
    for hour in range(5):
        world.spend(spending(_U1, start + hour * _HOUR, 1.3))
        world.work(start + hour * _HOUR + 61)
    messages = [alert.message for alert in world.sent if alert.rule == "budget"]
    assert messages == [
        "Budget 'b' of user_id 'u1': 50 % is spent, 5.20 of 10.00 USD, in the day until Saturday 21 November 00:00 "
        "(Europe/Zurich); at this pace it is gone on Friday 20 November 05:48."
    ]
    alert = next(alert for alert in world.sent if alert.rule == "budget")
    assert (alert.usual_usd, alert.seen_usd, alert.excess_usd) == (
        "10.000000000000",
        "5.200000000000",
        "-4.800000000000",
    )
    assert alert.window_seconds == 3 * _HOUR + 60


def test_a_burn_is_told_while_it_burns() -> None:
    """14.4 times too fast for an hour is a page, that it is over is said within minutes; a slow day burns nothing."""
    world, start = BudgetWorld(_budget(period="month", usd=720)), _second("2026-11-10")
    _evenly(world, start, [(n * 60, 0.016) for n in range(120)])
    assert world.sent == []
    _evenly(world, start + 2 * _HOUR, [(n * 60, 2) for n in range(12)])
    _evenly(world, start + 2 * _HOUR + 720, [(n * 60, 0) for n in range(60)])
    burns = [one for one in world.told("rule", "state", "severity") if one[0] == "budget_burn"]
    assert burns == [("budget_burn", "raised", "page"), ("budget_burn", "resolved", "page")]
    assert len({alert.alert_id for alert in world.sent}) == 1


@pytest.mark.parametrize("killed", [False, True])
def test_a_jump_over_the_budget_is_one_incident(killed: bool) -> None:
    """100 % and the burn of the same minute page once, and the burn's end is of that incident; a later burn is not."""
    world, start = BudgetWorld(_budget(period="week", usd=20)), _second("2026-11-09")
    _evenly(world, start, [(0, 25)])
    if killed:
        world.die()
    _evenly(world, start, [(_HOUR * n, 0.001) for n in (1, 8)])
    _evenly(world, start + _DAY, [(0, 25), (_HOUR * 8, 0.001)])
    steps = world.told("rule", "state", "incident_id")
    crossed = next(alert.alert_id for alert in world.sent if alert.rule == "budget")
    later = world.sent[-1].alert_id
    assert steps == [
        ("budget", "raised", crossed),
        ("budget_burn", "raised", crossed),
        ("budget_burn", "resolved", crossed),
        ("budget_burn", "raised", later),
        ("budget_burn", "resolved", later),
    ]
    assert later.startswith("budget_burn:")


def test_a_forecast_is_told_days_before() -> None:
    """Spending that has doubled is told before half of the month's budget is gone; with the day when it will be."""
    world, start = BudgetWorld(_budget(period="month", usd=1000)), _second("2026-11-01")
    for hour in range(10 * 24):
        world.spend(spending(_TOTAL, start + hour * _HOUR, 1 if hour < 96 else 2))
        world.work(start + hour * _HOUR + 61)
    (alert,) = (alert for alert in world.sent if alert.rule == "budget_forecast")
    assert alert.severity == "warn"
    assert 5 * _DAY < alert.evaluated_at - start < 9 * _DAY
    assert "are expected in the month until Tuesday 1 December 00:00 (UTC); at this pace it is gone on" in alert.message


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        ("Europe/Zurich", "2026-03-29", 23),
        ("Europe/Zurich", "2026-10-25", 25),
        ("Australia/Lord_Howe", "2026-04-05", 24.5),
        ("Asia/Kathmandu", "2026-11-20", 24),
        ("Pacific/Chatham", "2026-11-20", 24),
        ("Asia/Kolkata", "2028-02-29", 24),
        ("Asia/Beirut", "2026-03-29", 23),
    ],
)
def test_a_day_is_what_its_place_lives_through(zone: str, day: str, hours: float) -> None:
    """Days of 23, 24.5 and 25 hours, and places 30 or 45 minutes off: each minute counts in its own day."""
    world, noon = BudgetWorld(_budget(time_zone=zone, usd=10)), _second(f"{day}T12:00", zone)
    judge = BudgetJudge()
    judge.reload(Configuration(budgets=world.toml))
    start, end = judge._budgets[0].periods.at(noon)
    assert end - start == hours * _HOUR
    _evenly(world, start - 60, [(0, 4.9), (60, 2.5), (120, 2.4), (180, 0)])
    assert world.told() == [("budget_burn", "raised", "page"), ("budget_burn", "resolved", "page")] or not [
        one for one in world.told() if one[0] == "budget"
    ]
    _evenly(world, end - 60, [(0, 0.1), (60, 4.9)])
    budget = [one for one in world.told("rule", "state", "evaluated_at") if one[0] == "budget"]
    assert budget == [("budget", "raised", end), ("budget", "resolved", end + 60)]


@pytest.mark.parametrize(
    ("begins", "day", "start"),
    [
        (31, "2026-02-27", "2026-01-31"),
        (31, "2026-02-28", "2026-02-28"),
        (31, "2028-02-29", "2028-02-29"),
        (29, "2027-02-28", "2027-02-28"),
        (1, "2026-12-31", "2026-12-01"),
    ],
)
def test_a_month_counts_from_its_day(begins: int, day: str, start: str) -> None:
    """Months from the 31st or 29th begin with the last day of shorter ones; what was before is not theirs."""
    world = BudgetWorld(_budget(period="month", begins=begins, usd=10))
    first, now = _second(start), _second(day) + _HOUR
    world.spend(spending(_TOTAL, first - 60, 9.9), spending(_TOTAL, first, 2.5))
    world.work(first + 61)
    _evenly(world, now, [(0, 2.4), (60, 0.1)])
    raised = [alert for alert in world.sent if alert.rule == "budget" and alert.state == "raised"]
    assert [(alert.onset, alert.evaluated_at, alert.seen_usd) for alert in raised] == [
        (first, now + 120, "5.000000000000")
    ]


def test_what_is_taken_back_is_not_spent() -> None:
    """An adjustment counts in the minute that it is about, and lines are crossed by what is left."""
    world, start = BudgetWorld(_budget(usd=100)), _second("2026-11-20")
    _evenly(world, start, [(n * 60 * 20, 4) for n in range(12)])
    world.spend(spending(_TOTAL, start + 5, -8, block=(start + 4 * _HOUR) // 10))
    _evenly(world, start + 4 * _HOUR, [(0, 4), (60 * 20, 4), (60 * 40, 4)])
    raised = [alert for alert in world.sent if alert.rule == "budget"]
    assert [(alert.evaluated_at - start, alert.seen_usd) for alert in raised] == [(4 * _HOUR + 2460, "52.000000000000")]


def test_a_rolling_sum_falls() -> None:
    """What is older than its days no longer counts, to the quarter hour, also while nothing is spent."""
    world, start = BudgetWorld(_budget(period="rolling", days=2, usd=10)), _second("2026-11-20T12:00")
    _evenly(world, start, [(n * _HOUR, 1) for n in range(6)])
    for quarter in range(4 * 60):
        world.work(start + 6 * _HOUR + quarter * 900)
    assert [one for one in world.told("rule", "state", "evaluated_at") if one[0] == "budget"] == [
        ("budget", "raised", start + 4 * _HOUR + 60),
        ("budget", "resolved", start + 2 * _DAY + _HOUR + 900),
    ]


_dooms = st.lists(
    st.one_of(
        st.tuples(st.just("alert"), st.integers(0, 3)),
        st.tuples(st.just("entry"), st.integers(0, 30)),
        st.tuples(st.just("commit"), st.integers(0, 9)),
    ),
    min_size=3,
    max_size=8,
)
_FILE = (
    _budget(usd=15, period="day")
    + _budget(name="u", usd=25, period="rolling", days=1, series="user_id")
    + 'key = ["*"]\n'
    + _budget(name="week", usd=60, period="week", begins="sunday", time_zone="Asia/Kathmandu")
)


def _course(seed: int) -> list[tuple[int, list[bytes]]]:
    """Draw three days: of each half hour the lines."""
    random, start = Random(seed), _second("2026-11-20")
    course = []
    for number in range(3 * 48):
        second = start + number * 1800 + 60 + random.randrange(1730)  # of minutes that nobody has closed yet
        lines = []
        for key in (_TOTAL, _U1, ("user_id", ("u2",))):
            if random.random() < 0.7:
                usd = random.choice([0.1, 0.4, 0.4, 2])
                lines.append(spending(key, second, usd, block=number).model_dump_json().encode())
        course.append((start + (number + 1) * 1800 + 61, lines))
    return course


def _lived(seed: int, dooms: list[tuple[str, int]] | None = None, *, pause: int = 0) -> list[Alert]:
    left, resting = list(dooms or ()), 0
    world = BudgetWorld(_FILE, doom=left.pop() if left else None)
    for now, lines in _course(seed):
        world.log += lines
        resting -= 1
        try:
            if resting <= 0:
                world.work(now)
        except Killed:
            resting, world.doom = pause, left.pop() if left else None
    world.doom = None
    world.work(_course(seed)[-1][0] + 60)
    return world.sent


@settings(deadline=None, max_examples=6, phases=(Phase.explicit, Phase.reuse, Phase.generate))
@given(seed=st.integers(0, 10**9), dooms=_dooms, pause=st.integers(0, 5))
def test_whoever_is_killed_each_step_is_told_once(seed: int, dooms: list[tuple[str, int]], pause: int) -> None:
    """Killed before any write, with nobody there for hours: the same crossings, each once, at their moments.

    That a rolling sum fell below its line and rose again in these hours is history, which nobody has looked at.
    """
    sent, expected = _lived(seed, dooms, pause=pause), _lived(seed)
    assert max(Counter(map(said, sent)).values(), default=1) == 1
    assert {alert.alert_id for alert in sent} == {alert.alert_id for alert in sent if alert.state == "raised"}
    missed = _crossings(expected) - _crossings(sent)
    assert _crossings(sent) <= _crossings(expected)
    assert all('"rolling"' in name for name, *_ in missed)


def _crossings(alerts: list[Alert]) -> set[tuple[str, str, int, str]]:
    """Say which lines were crossed, when, at which sum, and which of them are over; how a sentence ends may differ."""
    return {
        (alert.alert_id, alert.state, *((alert.evaluated_at, alert.seen_usd) if alert.state == "raised" else (0, "")))
        for alert in alerts
        if alert.rule == "budget"
    }


def test_the_course_of_these_tests_crosses_lines() -> None:
    """What the law above is held against is not silence."""
    found = Counter((alert.rule, alert.state) for seed in range(3) for alert in _lived(seed))
    assert found["budget", "raised"] > 5
    assert found["budget", "resolved"] > 3


def test_another_worker_goes_on_in_mid_period() -> None:
    """A partition that moves takes its balance along: the second worker crosses where the two have spent together."""
    world, start = BudgetWorld(_budget()), _second("2026-11-20")
    _evenly(world, start, [(n * _HOUR, 4) for n in range(10)])
    world.die()
    _evenly(world, start + 10 * _HOUR, [(n * _HOUR, 4) for n in range(10)])
    crossings = [alert for alert in world.sent if alert.rule == "budget"]
    assert [alert.seen_usd for alert in crossings] == ["52.000000000000", "80.000000000000"]


def test_a_file_may_change_and_what_was_spent_stays_known() -> None:
    """Another amount begins anew with the same spending; another zone and period count by their own calendar."""
    world, start = BudgetWorld(_budget()), _second("2026-11-20")
    _evenly(world, start, [(n * _HOUR, 6) for n in range(10)])
    world.reload(_budget(usd=70))
    world.work(start + 10 * _HOUR)
    world.reload(_budget(usd=70, period="month", time_zone="Asia/Kathmandu"))
    world.work(start + 10 * _HOUR + 60)
    budget = [one for one in world.told("rule", "state", "severity", "seen_usd") if one[0] == "budget"]
    assert [one[1:] for one in budget] == [
        ("raised", "warn", "54.000000000000"),
        ("resolved", "warn", "0.000000000000"),
        ("raised", "warn", "60.000000000000"),
        ("resolved", "warn", "0.000000000000"),
        ("raised", "warn", "60.000000000000"),
    ]
    assert len({alert.alert_id for alert in world.sent if alert.rule == "budget"}) == 3


def test_a_budget_that_is_removed_ends_its_alarms() -> None:
    """So it does where the file changed while nobody was there."""
    for away in (False, True):
        world, start = BudgetWorld(_budget()), _second("2026-11-20")
        _evenly(world, start, [(n * _HOUR, 9) for n in range(7)])
        if away:
            world.die()
        world.reload("")
        world.work(start + 8 * _HOUR)
        assert world.told()[-1] == ("budget", "resolved", "warn")
        for minute in range(1, 9):
            world.work(start + 8 * _HOUR + minute * 130)
        kept = {key: value for key, value in world.kept.items() if key.startswith((b'["budget"', b'["ledger",'))}
        assert list(kept) == [b'["budget","b","total",[]]']
        assert b'"alerts"' not in kept.popitem()[1]


def test_that_a_budget_was_removed_is_forgotten_after_the_longest_period() -> None:
    """No id of it can be made anew then, and nothing is kept of it."""
    world, start = BudgetWorld(_budget()), _second("2026-11-20")
    _evenly(world, start, [(n * _HOUR, 9) for n in range(7)])
    world.reload("")
    world.work(start + 8 * _HOUR)
    world.die()
    for minute in range(3):
        world.work(start + 33 * _DAY + minute * 130)
    assert [key for key in world.kept if key.startswith(b'["budget"')] == []


@pytest.mark.parametrize(
    "other", ["", _budget(usd=400), _budget(period="month"), _budget(series="user_id") + 'key = ["*"]\n']
)
@pytest.mark.parametrize("killed", ["", "before", "between", "after"])
def test_an_edit_that_is_put_right_is_told_anew(other: str, killed: str) -> None:
    """What is over again after an edit and its undoing is an alarm of its own, whoever is killed; so is the third."""
    keeper = _budget(name="total", usd=10**6)  # what was spent stays known while anything covers it
    world, start = BudgetWorld(keeper + _budget() + "lines = [100]\n"), _second("2026-11-20")
    right, now = world.toml, start + 4 * _HOUR
    _evenly(world, start, [(n * _HOUR, 30) for n in range(4)])
    for _ in range(2):
        for toml, moment in ((keeper + other, "before"), (right, "between")):
            world.reload(toml)
            if killed == moment:
                world.die()
            now += 600
            world.work(now)
        if killed == "after":
            world.die()
        world.work(now + 60)
    steps = [alert for alert in world.sent if alert.rule == "budget" and '"100","day"' in alert.alert_id]
    assert [alert.state for alert in steps] == ["raised", "resolved", "raised", "resolved", "raised"]
    assert [steps[n].alert_id == steps[n + 1].alert_id for n in range(4)] == [True, False, True, False]
    assert len(set(map(said, world.sent))) == len(world.sent)


def test_what_was_told_is_not_told_by_who_takes_over_later() -> None:
    """An entry holds its alerts until the next saving: a restart after the topic forgot them sends none of them."""
    world, start = BudgetWorld(_budget(period="month")), _second("2026-11-02")
    _evenly(world, start, [(0, 60), (130, 0.01), (260, 0.01)])
    assert world.sent
    told, world.sent = world.sent, []
    for away in (world.die, lambda: world.reload(world.toml + _budget(name="c", usd=10**6)), world.die):
        away()
        world.work(start + 20 * _DAY)
    assert not set(map(said, world.sent)) & set(map(said, told))


def test_a_new_budget_counts_what_the_log_still_holds() -> None:
    """Where the log is read again a key that is new is counted from its beginning; what was known stays as it is. The
    lines that it is over are told at once, by the highest, and once, whoever takes over."""
    for history in (True, False):
        world, start = BudgetWorld(_budget(), reads_history=history), _second("2026-11-20")
        for hour in range(12):
            world.spend(spending(_TOTAL, start + hour * _HOUR, 1), spending(_U1, start + hour * _HOUR, 1))
            world.work(start + hour * _HOUR + 61)
        world.log[:7] = [b""] * 7  # retention
        world.reload(_budget() + _budget(name="u", usd=9, series="user_id") + 'key = ["*"]\n')
        world.spend(spending(_U1, start + 12 * _HOUR, 0.5))
        for number in range(4):
            world.work(start + 12 * _HOUR + 61 + number * 130)
        assert world.committed == len(world.log)
        world.die()
        world.work(start + 13 * _HOUR)
        assert world.judge is not None
        spent = {a.key: a.spent(0, 2**40).cost for a in world.judge._desks[0]._books.accounts()}
        seen = sum(b'"user_id"' in line for line in world.log[:-1])
        assert spent == {_TOTAL: 12 * USD, _U1: seen * USD + USD // 2 if history else USD // 2}
        crossed = [(alert.key, alert.seen_usd, alert.evaluated_at) for alert in world.sent if alert.rule == "budget"]
        over = 12 * _HOUR + 60
        assert crossed == ([(("u1",), "9.500000000000", start + over)] if history else [])
