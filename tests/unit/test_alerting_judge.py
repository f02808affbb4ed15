"""Do all partitions of a worker, and all workers, say of one cause one thing, and name who rose with it?"""

from collections import Counter
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.alerting_worlds import FIRST_MINUTE, QUICK, Worker, World, contribution, said, traffic

from spendgauge.schemas.alerts import Alert
from spendgauge.schemas.errors import ConfigurationError
from spendgauge.streams.alerting import RecentMinutes
from spendgauge.streams.alerting.amounts import MEASURES
from spendgauge.streams.alerting.judge import SpikeJudge
from spendgauge.streams.alerting.rises import Rises
from spendgauge.streams.judging import Configuration, Moment, read_lines
from spendgauge.streams.spikes import SpikeKey, SpikeStep
from spendgauge.streams.spikes.incidents import may_be_part

_CENT, _USD = 10**10, 10**12
_TOTAL: SpikeKey = ("total", ())
_AGENT: SpikeKey = ("agent", ("runaway",))
_OTHER: SpikeKey = ("agent", ("steady",))
_MODEL: SpikeKey = ("provider+model", ("openai", "gpt-5"))
_SESSION: SpikeKey = ("session_id", ("s-1",))
_HOT = 20


def _lines(costs: dict[SpikeKey, int], minute: int, *, requests: int = 1) -> list[bytes]:
    return [
        contribution(key, minute * 60, cost, block=minute, requests=requests).model_dump_json().encode()
        for key, cost in costs.items()
    ]


def _minute(number: int) -> dict[SpikeKey, int]:
    """From the minute ``_HOT`` on an agent spends 4 USD a minute in one session, beside others who spend ten cents."""
    hot = 4 * _USD if number >= _HOT else 0
    steady = {_OTHER: 10 * _CENT, _AGENT: 5 * _CENT + hot, _SESSION: hot}
    return {_TOTAL: 15 * _CENT + hot, _MODEL: 15 * _CENT + hot, **{key: cost for key, cost in steady.items() if cost}}


def _judged(
    partitions: dict[SpikeKey, int], *judges: SpikeJudge, minutes: int = _HOT + 4, first: int = 0
) -> list[Alert]:
    """Let judges close one minute after another, each its own partitions; all hear what any of them says."""
    said_so_far: list[Alert] = []
    for number in range(first, minutes):
        for judge, own in zip(judges, _shares(len(judges), partitions), strict=True):
            for partition in own:
                costs = {key: cost for key, cost in _minute(number).items() if partitions[key] == partition}
                judge.absorb(partition, read_lines(_lines(costs, FIRST_MINUTE + number), series=judge.series))
            until = FIRST_MINUTE + number
            alerts = [one for verdict in judge.close(dict.fromkeys(own, until), Moment(0)) for one in verdict.alerts]
            said_so_far += alerts
            for other in judges:
                for alert in alerts:
                    other.heard(alert)
    return said_so_far


def _shares(judges: int, partitions: dict[SpikeKey, int]) -> list[list[int]]:
    everywhere = sorted(set(partitions.values()))
    return [everywhere[n::judges] for n in range(judges)]


def _begun(*partitions: int) -> SpikeJudge:
    judge = SpikeJudge(QUICK)
    for partition in partitions:
        judge.assign(partition, {})
    return judge


def test_children_join_their_parent_whatever_partition_they_are_in() -> None:
    """The total lies in the last partition, and its alert still comes first; all the others are the same incident."""
    places = {_AGENT: 0, _OTHER: 0, _MODEL: 1, _SESSION: 1, _TOTAL: 2}
    alerts = [alert for alert in _judged(places, _begun(0, 1, 2)) if alert.state == "raised"]
    assert {(alert.series, alert.key) for alert in alerts} == {_TOTAL, _AGENT, _MODEL}
    (incident,) = {alert.incident_id for alert in alerts}
    assert incident.startswith("spike:total:")


def test_an_alert_names_who_rose_with_it() -> None:
    """The total names agent, model and session; the agent's alert has the session, of which no series says so."""
    places = {_AGENT: 0, _OTHER: 0, _MODEL: 1, _SESSION: 1, _TOTAL: 1}
    raised = {(one.series, one.key): one for one in _judged(places, _begun(0, 1)) if one.state == "raised"}
    total, agent = raised[_TOTAL], raised[_AGENT]
    assert {(one.series, one.key) for one in total.contributors} == {_AGENT, _MODEL, _SESSION}
    assert {(one.series, one.key) for one in agent.contributors} == {_MODEL, _SESSION}
    assert {one.excess_usd for one in total.contributors} == {"8.000000000000"}
    assert total.message.startswith("Everything together spends 8.75 USD in 5 minutes, usually 0.")
    assert total.message.endswith("; the requests are larger; agent 'runaway' rose with it, by 8.00.")


def test_rises_are_compared_with_rises() -> None:
    """Who spent much before has an excess of twice the rise: who rose by as much moved with it, no one else did."""
    user, steady, half = ("user_id", ("u",)), ("feature", ("steady",)), ("feature", ("half",))
    minutes = (RecentMinutes(MEASURES), RecentMinutes(MEASURES))
    for number in range(15):
        hot = 6 if number >= 10 else 3
        costs = {_AGENT: hot * _USD, user: hot * _USD, steady: 6 * _USD, half: (hot - 2) * _USD // 3}
        for partition, key in enumerate(costs):
            lines = _lines({key: costs[key]}, FIRST_MINUTE + number)
            minutes[partition % 2].add(read_lines(lines, series=SpikeJudge().series))
    onset = FIRST_MINUTE + 10
    step = SpikeStep(_AGENT, onset + 4, "raised", "page", onset, 2 * _USD, 30 * _USD, 28 * _USD, 5.0, 5)
    rises = Rises(minutes, measure="cost_picodollars", window_minutes=5)
    moved = [rises.moved_with(step, key) for key in (user, steady, half, _OTHER)]
    assert moved == [True, False, False, False]


@pytest.mark.parametrize(("earlier", "incidents"), [(1, 1), (12, 2)])
def test_who_rose_minutes_ago_is_another_cause(earlier: int, incidents: int) -> None:
    """An agent joins the alarm of a model that rises with it, not one that went up minutes before and rises no more."""
    judge, ids = _begun(0, 1), set()
    for number in range(_HOT + 6):
        model = (4 * _USD if number >= _HOT - earlier else 0) + _CENT
        costs = {_AGENT: 3 * _USD if number >= _HOT else 10 * _CENT, _MODEL: model}
        for partition, key in enumerate(costs):
            judge.absorb(partition, read_lines(_lines({key: costs[key]}, FIRST_MINUTE + number), series=judge.series))
        until = dict.fromkeys((0, 1), FIRST_MINUTE + number)
        ids |= {one.incident_id for verdict in judge.close(until, Moment(0)) for one in verdict.alerts}
    assert len(ids) == incidents


def test_whoever_is_up_in_another_worker_is_joined() -> None:
    """Two workers that hear each other's alerts say one incident; one that hears nothing says its own."""
    places = {_AGENT: 0, _OTHER: 0, _SESSION: 0, _MODEL: 2, _TOTAL: 1}
    alerts = _judged(places, _begun(0, 2), _begun(1))
    raised = [alert for alert in alerts if alert.state == "raised"]
    assert len({alert.incident_id for alert in raised}) == 1
    alone = [one for share in ({_TOTAL: 0}, {_MODEL: 0}) for one in _alone(share) if one.state == "raised"]
    assert len({alert.incident_id for alert in alone}) == 2


def _alone(places: dict[SpikeKey, int]) -> list[Alert]:
    judge = _begun(0)
    alerts: list[Alert] = []
    for number in range(_HOT + 4):
        costs = {key: cost for key, cost in _minute(number).items() if key in places}
        judge.absorb(0, read_lines(_lines(costs, FIRST_MINUTE + number), series=judge.series))
        alerts += [one for verdict in judge.close({0: FIRST_MINUTE + number}, Moment(0)) for one in verdict.alerts]
    return alerts


def test_what_is_resolved_elsewhere_is_joined_no_more() -> None:
    """A parent whose end was heard is no incident any more; neither is one that was raised long ago."""
    parent = next(one for one in _alone({_TOTAL: 0}) if one.state == "raised")
    for heard, joined in (([parent], True), ([parent, parent.model_copy(update={"state": "resolved"})], False)):
        judge = _begun(0)
        for alert in heard:
            judge.heard(alert)
        child = _raised_by(judge)
        assert (child.incident_id == parent.incident_id) is joined


def _raised_by(judge: SpikeJudge) -> Alert:
    for number in range(_HOT + 4):
        costs = {_AGENT: _minute(number)[_AGENT]}
        judge.absorb(0, read_lines(_lines(costs, FIRST_MINUTE + number), series=judge.series))
        for verdict in judge.close({0: FIRST_MINUTE + number}, Moment(0)):
            for alert in verdict.alerts:
                if alert.state == "raised":
                    return alert
    raise AssertionError("nothing was raised")


def test_a_partition_that_is_revoked_leaves_its_incident_open() -> None:
    """The total goes to another worker while it is up: an agent that rises now still joins it."""
    judge = _begun(0, 1)
    places = {_TOTAL: 1, _OTHER: 0}
    costs: dict[SpikeKey, int] = {}
    parent = None
    for number in range(_HOT + 4):
        for key, partition in places.items():
            if partition == 1 and parent:
                continue
            costs = {key: _minute(number)[key]}
            judge.absorb(partition, read_lines(_lines(costs, FIRST_MINUTE + number), series=judge.series))
        late = {_AGENT: 5 * _CENT + (4 * _USD if parent else 0)}
        judge.absorb(0, read_lines(_lines(late, FIRST_MINUTE + number), series=judge.series))
        alerts = [
            a for v in judge.close({0: FIRST_MINUTE + number, 1: FIRST_MINUTE + number}, Moment(0)) for a in v.alerts
        ]
        raised = [one for one in alerts if one.state == "raised"]
        if raised and parent is None:
            parent = raised[0]
            judge.revoke(1)
        elif raised:
            assert raised[0].series == "agent"
            assert parent is not None
            assert raised[0].incident_id == parent.incident_id
            return
    raise AssertionError("the agent was not raised")


def test_closing_what_is_closed_says_and_keeps_nothing() -> None:
    """A second later nothing is over that was not over before: no verdict, and nothing to save."""
    judge = _begun(0, 1)
    judge.absorb(0, read_lines(_lines({_AGENT: _CENT}, FIRST_MINUTE), series=judge.series))
    assert [verdict.partition for verdict in judge.close({0: FIRST_MINUTE, 1: FIRST_MINUTE}, Moment(0))] == [0, 1]
    assert set(judge.save()) == {0, 1}
    assert judge.close({0: FIRST_MINUTE, 1: FIRST_MINUTE - 1}, Moment(0)) == []
    assert judge.save() == {}


@settings(deadline=None, max_examples=2)
@given(seed=st.integers(0, 10**9), moves=st.lists(st.tuples(st.integers(0, 69), st.integers(0, 2)), max_size=6))
def test_partitions_that_move_between_workers_say_each_step_once(seed: int, moves: list[tuple[int, int]]) -> None:
    """Two workers that hear each other, and between whom partitions move, say what one alone would, each step once."""
    alone, one = World(partitions=3), None
    for number, lines in enumerate(traffic(seed, minutes=70)):
        alone.write(lines, Random(number))
        one = alone.work(FIRST_MINUTE + number + 1, one)
    world = World(partitions=3)
    workers = [Worker(world, [0, 1]), Worker(world, [2])]
    for number, lines in enumerate(traffic(seed, minutes=70)):
        world.write(lines, Random(number))
        for partition in [place for when, place in moves if when == number]:
            there = 0 if workers[0].has(partition) else 1
            workers[there].revoke(partition)
            workers[1 - there].assign(partition)
        for worker in workers:
            world.work(FIRST_MINUTE + number + 1, worker)
    assert Counter(map(said, world.sent)) == Counter(map(said, alone.sent))


def test_budgets_decide_what_is_worth_a_page() -> None:
    """A key with a budget of 20 USD a month is paged for what an hour's 2 % of it are; a bad file changes nothing."""
    text = '[[budget]]\nname = "agents"\nseries = "agent"\nkey = ["*"]\nusd = "100000"\nperiod = "week"\n'
    rich, poor = _begun(0), _begun(0)
    rich.reload(Configuration(budgets=text))
    with pytest.raises(ConfigurationError):
        rich.reload(Configuration(budgets=text.replace("100000", "much")))
    assert {one.severity for one in _pages(poor)} == {"warn", "page"}
    assert {one.severity for one in _pages(rich)} == {"info"}


def _pages(judge: SpikeJudge) -> list[Alert]:
    alerts: list[Alert] = []
    for number in range(_HOT + 4):
        cost = 60 * _CENT if number >= _HOT else _CENT
        judge.absorb(0, read_lines(_lines({_AGENT: cost}, FIRST_MINUTE + number), series=judge.series))
        alerts += [one for verdict in judge.close({0: FIRST_MINUTE + number}, Moment(0)) for one in verdict.alerts]
    return alerts


def test_keys_that_are_gone_hold_no_number() -> None:
    """A session a minute, for hours: as many are known as minutes are held, and numbers are used again."""
    minutes = RecentMinutes(MEASURES)
    for number in range(200):
        lines = _lines({("session_id", (f"s-{number}",)): 5, _OTHER: 7}, number)
        minutes.add(read_lines(lines, series=("session_id", "agent")))
        minutes.forget(before=number - 14)
        newest = minutes.sums(number, number)
        found = {
            minutes.numbers.key(key): cost for key, cost in newest.select("number", "cost_picodollars").iter_rows()
        }
        assert found == {("session_id", (f"s-{number}",)): 5, _OTHER: 7}
    assert len(minutes.numbers) == 16
    assert max(minutes.sums(185, 199)["number"]) < 20


@pytest.mark.parametrize(
    ("outer", "inner", "expected"),
    [
        (_AGENT, _SESSION, True),
        (_AGENT, _MODEL, True),
        (_AGENT, _OTHER, False),
        (_AGENT, _TOTAL, False),
        (("feature+model", ("chat", "gpt-5")), _MODEL, True),
        (("feature+model", ("chat", "o3")), _MODEL, False),
        (("feature+model", ("chat", "gpt-5")), ("feature", ("chat",)), False),
        (_TOTAL, ("agent", ("",)), False),
    ],
)
def test_what_may_be_part_of_what(outer: SpikeKey, inner: SpikeKey, expected: bool) -> None:
    """Who differs in a dimension is no part, nor is what contains it, nor what nobody named."""
    assert may_be_part(outer, inner) is expected


def test_spikes_that_are_disabled_are_not_raised_and_those_that_are_up_end() -> None:
    """``[spikes] enabled = false`` says nothing new; what was raised is resolved; without it all is as before."""
    off, judge = Configuration(rules="[spikes]\nenabled = false\n"), _begun(0)
    judge.reload(off)
    assert _pages(judge) == []
    judge = _begun(0)
    assert [one.state for one in _pages(judge)] == ["raised", "escalated"]
    judge.reload(off)
    (end,) = [one for verdict in judge.close({0: FIRST_MINUTE + 60}, Moment(0)) for one in verdict.alerts]
    assert end.state == "resolved"
    assert judge.up == 0


def test_a_key_that_begins_anew_is_kept_no_longer() -> None:
    """After 28 silent days the entry is removed, as its row is: whoever reads the topic does not read it for ever."""
    world = World(partitions=1)
    world.write([contribution(_AGENT, FIRST_MINUTE * 60, _CENT)], Random(0))
    worker = world.work(FIRST_MINUTE + 1, None)
    (name,) = [key for key in world.kept[0] if key.startswith(b'["spike",')]
    world.work(FIRST_MINUTE + 29 * 1440, worker)
    assert name not in world.kept[0]
    assert len(world.kept[0]) == 1
