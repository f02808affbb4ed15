"""What people complain of in other tools' budgets, quotas and rules: does it happen here? Through the live judges."""

from collections.abc import Callable, Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from tests.complaints import CENT, MIDNIGHT, TOTAL, USD, Town, Use, steps

from spendgauge.schemas.alerts import Alert
from spendgauge.schemas.quotas import QuotaStanding, read_quota, standing_key
from spendgauge.streams.budgets import BudgetJudge
from spendgauge.streams.judging import Configuration, Judge
from spendgauge.streams.rules.judge import RuleJudge
from spendgauge.streams.spikes import SpikeKey

DAY = 1440
ADA: SpikeKey = ("user_id", ("ada",))
MODEL: SpikeKey = ("provider+model", ("own", "llama"))
DAILY = """
[[budget]]
name = "all"
usd = "100"
period = "day"
"""
QUOTA = """
[[quota]]
name = "a user"
series = "user_id"
key = ["*"]
soft = "8"
hard = "10"
period = "day"
"""


def judges(budgets: str) -> Callable[[], Sequence[Judge]]:
    def make() -> Sequence[Judge]:
        judge = BudgetJudge()
        judge.reload(Configuration(budgets=budgets))
        return [judge]

    return make


def opened(budgets: str, *, minute: int = MIDNIGHT, partitions: int = 1) -> Town:
    """Give a town that has been watched since the minute before."""
    town = Town(judges(budgets), partitions=partitions, minute=minute - 1)
    town.close()
    return town


def wait(town: Town, minute: int) -> None:
    """Let time pass without a call, up to this minute."""
    town.minute = minute - 1
    town.close()


def crossings(alerts: Sequence[Alert]) -> list[tuple[str, str]]:
    return steps(alerts, rule="budget")


CROSSED = [("raised", "warn"), ("raised", "warn"), ("raised", "page")]
ENDED = [("resolved", "warn"), ("resolved", "warn"), ("resolved", "page")]


def test_an_alert_for_every_request_over_the_budget() -> None:
    """ "Once the budget was reached we got an e-mail for every request until midnight."

    Each line is told once: 50, 80 and 100 %, however much is spent afterwards.
    """
    town = opened(DAILY)
    town.pass_by({TOTAL: Use(USD, 500)}, minutes=300)
    assert crossings(town.sent) == CROSSED
    assert [alert.evaluated_at // 60 - MIDNIGHT for alert in town.sent if alert.rule == "budget"] == [50, 80, 100]


def test_a_budget_that_fires_in_the_first_month_only() -> None:
    """ "It warned us in the first month, and never again."

    Each day crosses its lines anew, as another alert; the day before is over with its end.
    """
    town = opened(DAILY)
    for day in range(3):
        wait(town, MIDNIGHT + day * DAY)
        for cost in (55, 30, 20):
            town.pass_by({TOTAL: cost * USD})
    assert crossings(town.sent) == [*CROSSED, *ENDED] * 2 + CROSSED
    assert len({alert.alert_id for alert in town.sent if alert.rule == "budget"}) == 9


def test_a_budget_that_stops_nothing() -> None:
    """ "The budget is a number in a dashboard: the calls went on."

    Who has spent his quota is told so, hard, with the moment at which it ends; with the next day he may call again.
    """
    town = opened(QUOTA)
    found = []
    for cost in (5, 3, 2):
        town.pass_by({ADA: cost * USD})
        found.append(_standing(town, "ada"))
    wait(town, MIDNIGHT + DAY + 1)
    assert [(one.state, one.spent) for one in found] == [
        ("ok", "5.000000000000"),
        ("soft", "8.000000000000"),
        ("hard", "10.000000000000"),
    ]
    assert found[-1].resets_at == (MIDNIGHT + DAY) * 60
    assert (_standing(town, "ada").state, _standing(town, "ada").spent) == ("ok", "0.000000000000")


def _standing(town: Town, user: str) -> QuotaStanding:
    found = read_quota(town.quotas[standing_key("a user", (user,))] or b"")
    assert isinstance(found, QuotaStanding)
    return found


@pytest.mark.parametrize("at", range(0, 10, 3))
def test_a_restart_in_the_middle_of_the_period(at: int) -> None:
    """ "After the deployment the counter began at zero", "...and everything was sent again."

    A watcher that is killed in mid-period, whenever it is, and stays away for some minutes, knows to the last cent what
    was spent: each line is told once, at the minute at which it is crossed.
    """
    town = opened(DAILY + QUOTA)
    for number in range(10):
        if number == at:
            town.kill()
            for _ in range(3):
                town.write({TOTAL: 0}, town.minute)
                town.minute += 1
        town.pass_by({TOTAL: 12 * USD + CENT, ADA: USD})
    assert crossings(town.sent) == CROSSED
    seen = [alert.seen_usd for alert in town.sent if alert.rule == "budget"]
    assert seen == ["60.050000000000", "84.070000000000", "108.090000000000"]
    assert _standing(town, "ada").spent == "10.000000000000"


def test_a_key_at_the_edge_of_its_budget() -> None:
    """ "Corrections made the alert come and go a dozen times."

    Spending that adjustments take below a line and calls bring above it again, all day, is told once.
    """
    town = opened(DAILY)
    town.pass_by({TOTAL: 49 * USD})
    for _ in range(30):
        town.pass_by({TOTAL: 2 * USD})
        town.pass_by({TOTAL: Use(-2 * USD, 0)})
    assert crossings(town.sent) == [("raised", "warn")]


def test_the_first_hours_of_a_new_key() -> None:
    """ "On the first of the month, after one call, we were told that we shall overspend a hundredfold."

    Nothing is foreseen from the first twelve hours of a key.
    """
    town = opened('[[budget]]\nname = "all"\nusd = "1000"\n', minute=_minute("UTC", "2025-12-01T00:00"))
    town.pass_by({TOTAL: 20 * CENT}, minutes=5)
    for _ in range(11):
        town.minute += 55
        town.pass_by({TOTAL: 20 * CENT}, minutes=5)
    assert [alert.message for alert in town.sent if alert.rule == "budget_forecast"] == []


CALENDARS = [
    ("day", "UTC", "2025-12-31T00:00", "2026-01-01T00:00"),
    ("day", "Europe/Zurich", "2025-03-30T00:00", "2025-03-31T00:00"),  # 23 hours
    ("day", "Europe/Zurich", "2025-10-26T00:00", "2025-10-27T00:00"),  # 25 hours
    ("day", "America/New_York", "2025-11-02T00:00", "2025-11-03T00:00"),  # 25 hours
    ("day", "Australia/Lord_Howe", "2025-04-06T00:00", "2025-04-07T00:00"),  # 24 and a half
    ("day", "Asia/Kathmandu", "2025-11-25T00:00", "2025-11-26T00:00"),  # +05:45
    ("day", "America/St_Johns", "2025-11-25T00:00", "2025-11-26T00:00"),  # -03:30
    ("day", "America/Sao_Paulo", "2018-11-04T01:00", "2018-11-05T00:00"),  # has no midnight
    ("week", "Pacific/Chatham", "2025-09-22T00:00", "2025-09-29T00:00"),  # +12:45, then +13:45
    ("month", "UTC", "2024-02-01T00:00", "2024-03-01T00:00"),  # with 29 February
    ("month", "Europe/Zurich", "2025-02-01T00:00", "2025-03-01T00:00"),  # without
    ("month", "Europe/Zurich", "2025-10-01T00:00", "2025-11-01T00:00"),  # 745 hours
    ("month from the 31st", "UTC", "2024-01-31T00:00", "2024-02-29T00:00"),
    ("month from the 31st", "Asia/Kathmandu", "2025-02-28T00:00", "2025-03-31T00:00"),
    ("month from the 29th", "America/New_York", "2024-02-29T00:00", "2024-03-29T00:00"),
]


@pytest.mark.parametrize(("period", "zone", "begins", "ends"), CALENDARS, ids=lambda value: value)
def test_the_edges_of_calendars(period: str, zone: str, begins: str, ends: str) -> None:
    """ "Our month ended an hour early in March", "...and on 29 February the budget was void."

    What is spent in a period's first and last minute is one period's; a minute before and a minute after are not.
    """
    kind, _, anchor = period.partition(" from the ")
    text = f'[[budget]]\nname = "all"\nusd = "100"\nperiod = "{kind}"\ntime_zone = "{zone}"\nlines = [50, 100]\n'
    text += f"begins = {anchor[:-2]}\n" if anchor else ""
    first, after = (_minute(zone, moment) for moment in (begins, ends))
    town = opened(text, minute=first - 1)
    for minute in (first - 1, first, after - 1, after):
        if minute > town.minute:
            wait(town, minute)
        town.pass_by({TOTAL: 60 * USD})
    told = [(a.evaluated_at // 60 - 1, a.state, a.severity) for a in town.sent if a.rule == "budget"]
    assert [step for step in told if step[1] != "resolved"] == [
        (first - 1, "raised", "warn"),
        (first, "raised", "warn"),
        (after - 1, "raised", "page"),
        (after, "raised", "warn"),
    ]


def _minute(zone: str, moment: str) -> int:
    return int(datetime.fromisoformat(moment).replace(tzinfo=ZoneInfo(zone)).timestamp()) // 60


def test_two_workers_count_no_key_twice() -> None:
    """ "With a second replica everybody reached his budget at half of it"; "...we get each alert twice."

    Twelve users over four partitions that move between two watchers all the time: the alerts of one watcher, once each.
    """
    text = '[[budget]]\nname = "a user"\nseries = "user_id"\nkey = ["*"]\nusd = "10"\nperiod = "day"\n'
    users: list[SpikeKey] = [("user_id", (f"u{n}",)) for n in range(12)]

    def lived(*, moving: bool) -> list[Alert]:
        town = opened(text, partitions=4)
        for number in range(24):
            town.pass_by({user: (place + 1) * 10 * CENT for place, user in enumerate(users)})
            for partition in range(4) if moving else ():
                town.give(partition, "second" if (partition + number) % 2 else "first")
        return town.sent

    alone, together = lived(moving=False), lived(moving=True)
    assert {alert.key[0] for alert in alone} == {f"u{n}" for n in range(2, 12)}
    assert sorted(alert.model_dump_json() for alert in together) == sorted(alert.model_dump_json() for alert in alone)


def test_a_model_without_a_price_is_said() -> None:
    """ "A new model was free for three weeks, says the dashboard."

    Calls without a price are an alert that names the model, and over once they have one.
    """

    def make() -> Sequence[Judge]:
        return [RuleJudge(prices=None)]

    town = Town(make)
    town.close()
    town.pass_by({MODEL: Use(0, 40, {"unpriced": 40, "tokens": 9_000})}, minutes=5)
    raised = [alert for alert in town.sent if alert.rule == "unpriced"]
    assert [(alert.state, alert.key) for alert in raised] == [("raised", ("own", "llama"))]
    assert "llama" in raised[0].message
    town.pass_by({MODEL: Use(CENT, 40, {"tokens": 9_000})}, minutes=120, at_once=True)
    assert [state for state, _ in steps(town.sent, rule="unpriced")] == ["raised", "resolved"]
