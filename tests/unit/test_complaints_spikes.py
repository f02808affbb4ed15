"""What people complain of in other tools' spike alerts: does it happen here? Through the judge that runs live."""

from collections.abc import Sequence
from random import Random

import pytest
from tests.complaints import CENT, MIDNIGHT, TOTAL, USD, Costs, Town, Use, steps

from spendgauge.deploy.rehearse.messages import messages_of
from spendgauge.schemas.alerts import Alert
from spendgauge.streams.alerting.judge import SpikeJudge
from spendgauge.streams.judging import Configuration, Judge
from spendgauge.streams.spikes import SpikeKey

PLANNER: SpikeKey = ("agent", ("planner",))
MODEL: SpikeKey = ("provider+model", ("own", "llama"))
USUAL: Costs = {PLANNER: 20 * CENT, TOTAL: 50 * CENT}
HOT: Costs = {PLANNER: Use(3 * USD, 60), TOTAL: Use(3 * USD + 30 * CENT, 70)}
DAY = 1440


def judges() -> Sequence[Judge]:
    return [SpikeJudge()]


def grave(alerts: Sequence[Alert]) -> list[Alert]:
    """Leave out what is only stored."""
    return [alert for alert in alerts if alert.severity != "info"]


@pytest.fixture(scope="module")
def past() -> Town:
    """A day and an hour of steady traffic, of which nothing was said."""
    town = Town(judges)
    town.pass_by(USUAL, minutes=DAY + 60, at_once=True)
    assert town.sent == []
    return town


@pytest.fixture
def town(past: Town) -> Town:
    """The day after that one."""
    return past.again()


def test_an_alert_for_every_request(town: Town) -> None:
    """ "Once the budget alert fired we got an e-mail for every single request."

    Three hours of 60 hot requests a minute are raised once and resolved once.
    """
    town.pass_by(HOT, minutes=180)
    town.pass_by(USUAL, minutes=20)
    assert steps(town.sent, rule="spike", key=PLANNER) == [("raised", "page"), ("resolved", "page")]
    assert len({alert.incident_id for alert in town.sent}) == 1


def test_a_runaway_is_found_at_once(town: Town) -> None:
    """ "The agent looped all night, and the first we heard of it was the invoice."

    The page comes with the closing of the second hot minute, and names the agent.
    """
    begin = town.minute
    town.pass_by(HOT, minutes=2)
    found = [alert for alert in town.sent if alert.key == ("planner",)]
    assert [(alert.severity, alert.onset, alert.evaluated_at) for alert in found] == [
        ("page", begin * 60, (begin + 2) * 60)
    ]
    assert "planner" in found[0].message


def test_an_alert_that_fires_once_and_never_again(town: Town) -> None:
    """ "It alerted the first time, and never again after that."

    After it was resolved and the cooldown is over, a worse runaway is raised again, as another alert.
    """
    town.pass_by(HOT, minutes=10)
    town.pass_by(USUAL, minutes=180, at_once=True)
    town.pass_by({PLANNER: 9 * USD, TOTAL: 9 * USD}, minutes=10)
    town.pass_by(USUAL, minutes=60, at_once=True)
    assert steps(town.sent, rule="spike", key=PLANNER) == [("raised", "page"), ("resolved", "page")] * 2
    assert len({alert.alert_id for alert in town.sent if alert.series == "agent"}) == 2


def test_noise_of_low_volume() -> None:
    """ "A handful of calls a day, and every one of them is an anomaly."

    Two days of a call of two cents every half hour or so, now and then of ten: nothing that anybody is sent.
    """
    town, random = Town(judges), Random(1)
    calls = {minute for minute in range(2 * DAY) if random.random() < 1 / 30}
    for minute in sorted(calls):
        town.minute = MIDNIGHT + minute
        cost = 10 * CENT if random.random() < 0.1 else 2 * CENT
        town.pass_by({PLANNER: Use(cost, 1)})
    assert grave(town.sent) == []


def test_a_single_costly_call(town: Town) -> None:
    """ "One long document, and everybody is woken."

    A call of three dollars stays in the window for five minutes, and raises nothing.
    """
    town.pass_by({PLANNER: 3 * USD, TOTAL: 3 * USD})
    town.pass_by(USUAL, minutes=30)
    assert town.sent == []


def test_the_first_hours_of_a_new_deployment() -> None:
    """ "We were paged all day long when we first switched it on."

    The first six hours of forty keys, all of which are new and uneven: nothing is sent.
    """
    town, random = Town(judges), Random(2)
    keys: list[SpikeKey] = [("user_id", (f"u{n}",)) for n in range(40)]
    for _ in range(6 * 60):
        costs = {key: int(random.lognormvariate(0, 0.5) * CENT) for key in keys if random.random() < 0.5}
        town.write(costs | {TOTAL: sum(costs.values())}, town.minute)
        town.minute += 1
    town.minute -= 1
    town.close()
    assert grave(town.sent) == []


def test_the_first_hours_of_a_large_deployment() -> None:
    """ "We switched it on, and it paged for every team, every model and every agent."

    What spends more than a new key may from the first minute on is one incident: one page, and that it is over.
    """
    town, random = Town(judges, partitions=4), Random(4)
    keys: list[SpikeKey] = [(series, (f"{series}-{n}",)) for series in ("team", "feature", "agent") for n in range(4)]
    sizes = {key: random.randrange(1, 5) * USD for key in keys}
    for _ in range(3 * 60):
        costs = {key: int(size * random.lognormvariate(0, 0.3)) for key, size in sizes.items()}
        town.write(costs | {TOTAL: sum(costs.values()) // 3}, town.minute)
        town.minute += 1
    town.minute -= 1
    town.close()
    assert {one.step for one in messages_of(town.sent)} == {"page", "page_resolved"}
    assert len(messages_of(town.sent)) == 2


def test_the_first_calls_of_a_new_key(town: Town) -> None:
    """ "Every new user is an anomaly, since he has no history"; "a new key is not watched until it has one."

    A new agent with a dollar in its first minutes says nothing; one with six dollars a minute is a page in its second.
    """
    town.pass_by({**USUAL, ("agent", ("new",)): 20 * CENT}, minutes=5)
    assert town.sent == []
    begin = town.minute
    town.pass_by({**USUAL, ("agent", ("worse",)): 6 * USD}, minutes=2)
    found = [(alert.severity, alert.evaluated_at) for alert in town.sent if alert.key == ("worse",)]
    assert found == [("page", (begin + 2) * 60)]


EVERY_USER = '[[budget]]\nname = "a user"\nseries = "user_id"\nkey = ["*"]\nusd = "60"\nperiod = "week"\n'


@pytest.mark.parametrize("budgets", ["", EVERY_USER])
def test_people_who_work(budgets: str) -> None:
    """ "Every time somebody opens his editor there is an anomaly."

    Sixty users have a session of twenty minutes each, at 30 cents a minute, in eight hours: nobody is told. One who
    spends 12 USD a minute is a page. A budget that each of them has changes nothing.
    """

    def make() -> Sequence[Judge]:
        judge = SpikeJudge()
        judge.reload(Configuration(budgets=budgets))
        return [judge]

    town, random = Town(make), Random(3)
    begins = {f"u{n}": random.randrange(8 * 60 - 20) for n in range(60)}
    for minute in range(8 * 60):
        working = [name for name, begin in begins.items() if begin <= minute < begin + 20]
        costs: Costs = {("user_id", (name,)): 30 * CENT for name in working}
        town.write(costs, MIDNIGHT + minute)
    town.minute = MIDNIGHT + 8 * 60 - 1
    town.close()
    assert grave(town.sent) == []
    town.pass_by({("user_id", ("u0",)): 12 * USD}, minutes=3)
    assert ("raised", "page") in steps(town.sent, rule="spike", key=("user_id", ("u0",)))


@pytest.mark.parametrize("idle", [0, 45])
def test_a_restart_of_everything(town: Town, idle: int) -> None:
    """ "After every deployment the alerts start over."

    All watchers are killed in the middle of an alarm, at once or for three quarters of an hour: it is not raised again,
    what is usual is still known, and it is resolved once.
    """
    town.pass_by(HOT, minutes=4)
    town.kill()
    for _ in range(idle):
        town.write(HOT, town.minute)
        town.minute += 1
    town.pass_by(HOT, minutes=3)
    town.kill()
    town.pass_by(USUAL, minutes=20)
    town.kill()
    town.pass_by(USUAL, minutes=60)
    assert steps(town.sent, rule="spike", key=PLANNER) == [("raised", "page"), ("resolved", "page")]


def test_a_key_at_the_edge(town: Town) -> None:
    """ "It flaps: raised, resolved, raised, resolved, all afternoon."

    Six hours of two hot minutes and three usual ones, again and again, are one alert.
    """
    for _ in range(72):
        town.pass_by({PLANNER: 2 * USD, TOTAL: 3 * USD}, minutes=2, at_once=True)
        town.pass_by(USUAL, minutes=3, at_once=True)
    assert [state for state, _ in steps(town.sent, rule="spike", key=PLANNER)].count("raised") == 1


def test_what_stays_three_times_as_high() -> None:
    """ "We launched, spending tripled for good, and we were alerted every hour for a week."

    It is raised once, becomes usual, and is over then: of a young key within a day.
    """
    town = Town(judges)
    town.pass_by({PLANNER: 20 * CENT, TOTAL: 50 * CENT}, minutes=8 * 60, at_once=True)
    town.pass_by({PLANNER: 60 * CENT, TOTAL: 150 * CENT}, minutes=13 * 60, at_once=True)
    assert steps(town.sent, rule="spike", key=PLANNER) == [("raised", "page"), ("resolved", "page")]


def test_a_correction_that_comes_late(town: Town) -> None:
    """ "The spike was a price that was corrected a minute later; the alert stayed for an hour."

    Hot minutes that are written anew as usual ones resolve the alert with the next minute.
    """
    town.pass_by(HOT, minutes=3)
    for back in range(1, 4):
        town.write(USUAL, town.minute - back, version=1)
    town.pass_by(USUAL)
    assert [state for state, _ in steps(town.sent, rule="spike", key=PLANNER)] == ["raised", "resolved"]


def test_a_model_without_a_price(town: Town) -> None:
    """ "Our own model costs nothing, says the dashboard, so nobody saw the loop."

    What has no price is judged by its output tokens, and never taken for zero.
    """
    town.pass_by({**USUAL, MODEL: Use(0, 5, {"unpriced": 5, "output_tokens": 900})}, minutes=90, at_once=True)
    town.pass_by({**USUAL, MODEL: Use(0, 99, {"unpriced": 99, "output_tokens": 200_000})}, minutes=3)
    (alert,) = town.sent
    assert (alert.rule, alert.state, alert.key) == ("token_spike", "raised", ("own", "llama"))
    assert "output tokens" in alert.message


def test_what_nobody_named(town: Town) -> None:
    """ "Agent '' spends too much."

    Calls that name no agent are in the total, and are no agent; a name with quotes and brackets in it is one.
    """
    odd: SpikeKey = ("agent", ('[""],""',))
    town.pass_by({**USUAL, ("agent", ("",)): 6 * USD, ("feature+model", ("", "m")): 6 * USD, odd: 6 * USD}, minutes=3)
    assert {alert.key for alert in town.sent} == {odd[1]}
    assert [part.key for alert in town.sent for part in alert.contributors if "" in part.key] == []


def test_two_workers() -> None:
    """ "Since we run two of them we get everything twice"; "...since then, half of the alerts are missing."

    Partitions that are split, moved and taken back in the middle of alarms: the alerts of one worker, once each.
    """
    keys: list[SpikeKey] = [("agent", (f"a{n}",)) for n in range(6)]
    usual = dict.fromkeys([*keys, TOTAL], 5 * CENT)
    hot = dict.fromkeys([*keys, TOTAL], 2 * USD)

    def lived(*, moving: bool) -> list[Alert]:
        town = Town(judges, partitions=4)
        town.pass_by(usual, minutes=70, at_once=True)
        for number in range(28):
            town.pass_by(hot if number < 10 else usual)
            if moving and number % 3 == 1:
                for partition in range(4):
                    town.give(partition, "second" if (partition + number) % 2 else "first")
        return town.sent

    alone, together = lived(moving=False), lived(moving=True)
    assert {(alert.key, alert.state) for alert in alone} == {
        (key, state) for _, key in [*keys, TOTAL] for state in ("raised", "resolved")
    }
    assert sorted(map(_outcome, together)) == sorted(map(_outcome, alone))


def _outcome(alert: Alert) -> tuple[object, ...]:
    return alert.alert_id, alert.state, alert.severity, alert.evaluated_at, alert.seen_usd, alert.since_onset_usd
