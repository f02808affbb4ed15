"""Does each step become one alert, in whatever order lines come, and whenever a worker is killed?"""

from collections import Counter
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.alerting_worlds import FIRST_MINUTE, Killed, World, contribution, said, traffic

from spendgauge.schemas.alerts import Alert
from spendgauge.schemas.events import LEAVES
from spendgauge.streams.alerting import WATCHED, Desk, RecentMinutes, read_kept
from spendgauge.streams.alerting.amounts import MEASURES, Amounts, amounts
from spendgauge.streams.alerting.judge import SpikeJudge
from spendgauge.streams.judging import LINES_SCHEMA, read_lines
from spendgauge.streams.spikes import SpikeKey

_MINUTES = 70
_law = settings(deadline=None, max_examples=3)
_seeds = st.integers(0, 10**9)
_dooms = st.lists(
    st.one_of(
        st.tuples(st.just("alert"), st.integers(0, 2)),
        st.tuples(st.just("entry"), st.integers(0, 40)),
        st.tuples(st.just("commit"), st.integers(0, 9)),
    ),
    min_size=4,
    max_size=12,
)


def _run(seed: int, *, shuffled: int | None = None) -> list[Alert]:
    """Judge drawn traffic by one worker that lives through it; ``shuffled``: lines come twice, in another order."""
    world, worker, random = World(), None, Random(shuffled or 0)
    for number, lines in enumerate(traffic(seed, minutes=_MINUTES)):
        world.write(lines if shuffled is None else random.sample(lines * 2, 2 * len(lines)), random)
        worker = world.work(FIRST_MINUTE + number + 1, worker)
    return world.sent


@_law
@given(seed=_seeds, other=st.integers(1, 10**9))
def test_the_order_repetition_and_cutting_of_lines_change_nothing(seed: int, other: int) -> None:
    """Lines of a minute in any order, twice, in any records, give the same alerts."""
    assert _run(seed, shuffled=other) == _run(seed)


def test_the_traffic_of_these_tests_raises_escalates_and_resolves() -> None:
    """What the laws here are held against is not silence."""
    found = {alert.state for seed in range(3) for alert in _run(seed)}
    assert found == {"raised", "escalated", "resolved"}


@_law
@given(seed=_seeds, dooms=_dooms, pause=st.integers(0, 7))
def test_a_worker_that_is_killed_before_any_write_loses_no_alert_and_sends_none_twice(
    seed: int, dooms: list[tuple[str, int]], pause: int
) -> None:
    """Killed between any two writes, again and again, the workers send what one that lives would have sent.

    Nobody takes over for some minutes each time.
    """
    sent = _with_accidents(seed, dooms, pause=pause, delays=[0])
    assert Counter(map(Alert.model_dump_json, sent)) == Counter(map(Alert.model_dump_json, _run(seed)))


@_law
@given(seed=_seeds, dooms=_dooms, pause=st.integers(0, 7))
def test_with_lines_that_come_late_too_nothing_is_sent_twice(
    seed: int, dooms: list[tuple[str, int]], pause: int
) -> None:
    """Where lines come minutes late, and workers are killed amid corrections, each step is still sent once.

    What is escalated or resolved was raised.
    """
    sent = _with_accidents(seed, dooms, pause=pause, delays=[0, 0, 0, 1, 4, 18])
    assert max(Counter(map(said, sent)).values(), default=1) == 1
    assert {alert.alert_id for alert in sent} == {alert.alert_id for alert in sent if alert.state == "raised"}


def _with_accidents(seed: int, dooms: list[tuple[str, int]], *, pause: int, delays: list[int]) -> list[Alert]:
    left, random, resting = list(dooms), Random(seed), 0
    world, worker, pending = World(doom=left.pop()), None, list[tuple[int, tuple[int, bytes]]]()
    for number, lines in enumerate(traffic(seed, minutes=_MINUTES)):
        pending += [(number + random.choice(delays), place) for place in world.records(lines, random)]
        for partition, record in (place for due, place in pending if due <= number):
            world.log[partition].append(record)
        pending = [(due, place) for due, place in pending if due > number]
        resting -= 1
        try:
            worker = worker if resting > 0 else world.work(FIRST_MINUTE + number + 1, worker)
        except Killed:
            worker, resting, world.doom = None, pause, left.pop() if left else None
    world.doom = None
    world.work(FIRST_MINUTE + _MINUTES, worker)
    return world.sent


def test_a_killed_worker_reads_no_more_than_the_last_minutes_again() -> None:
    """What is committed is 20 minutes old at most: a restart does not read the whole log."""
    world, worker = World(), None
    for number, lines in enumerate(traffic(3, minutes=_MINUTES)):
        world.write(lines, Random(number))
        worker = world.work(FIRST_MINUTE + number + 1, worker)
    left = [value for partition, log in world.log.items() for value in log[world.committed[partition] :]]
    assert read_lines(left, series=WATCHED)["minute"].min() == FIRST_MINUTE + _MINUTES - 20


def test_an_alarm_resolves_when_nothing_comes_any_more() -> None:
    """An idle partition closes its minutes all the same."""
    world, worker = World(), None
    hot = traffic(1, minutes=_MINUTES)
    for number, lines in enumerate(hot):
        world.write(lines, Random(number))
        worker = world.work(FIRST_MINUTE + number + 1, worker)
    for minute in range(_MINUTES, _MINUTES + 20):
        worker = world.work(FIRST_MINUTE + minute + 1, worker)
    assert worker is not None
    assert isinstance(worker.judge, SpikeJudge)
    assert worker.judge.up == 0
    assert {a.alert_id for a in world.sent if a.state == "raised"} == {
        a.alert_id for a in world.sent if a.state == "resolved"
    }


@pytest.mark.parametrize("doom", [("entry", 0), ("entry", 1), ("alert", 0), ("alert", 1), ("alert", 3), ("commit", 0)])
def test_who_takes_over_sends_what_was_kept_and_not_sent(doom: tuple[str, int]) -> None:
    """Killed between a step's keeping and its sending, the alert is sent by the next worker, ten minutes later.

    It stays one incident.
    """
    keys, world, worker, resting = [("agent", ("planner",)), ("total", ())], World(doom=doom), None, 0
    for number, cost in enumerate([10**11] * 24 + [10**13] * 3 + [10**11] * 40):
        lines = [contribution(key, (FIRST_MINUTE + number) * 60, cost, block=number) for key in keys]
        world.write(lines, Random(number))
        resting -= 1
        try:
            worker = worker if resting > 0 else world.work(FIRST_MINUTE + number + 1, worker)
        except Killed:
            worker, resting, world.doom = None, 10, None
    assert world.doom is None
    assert Counter((alert.key, alert.state) for alert in world.sent) == Counter(
        (key, state) for _, key in keys for state in ("raised", "resolved")
    )
    assert len({alert.incident_id for alert in world.sent}) == 1


@pytest.mark.parametrize("killed", [False, True])
def test_a_correction_resolves_what_it_takes_back(killed: bool) -> None:
    """Hot minutes that a new price book makes cheap were no spike: the alarm is over with the next minute.

    So it is where the worker that read the correction is killed before it closes that minute.
    """
    key, world, worker = ("agent", ("planner",)), World(), None
    costs = [10**11] * 20 + [10**13] * 3
    for number, cost in enumerate(costs):
        second = (FIRST_MINUTE + number) * 60
        world.write([contribution(key, second, cost, block=number)], Random(number))
        worker = world.work(FIRST_MINUTE + number + 1, worker)
    for number in range(20, len(costs)):
        second = (FIRST_MINUTE + number) * 60
        world.write([contribution(key, second, 10**11, block=number, edition=1)], Random(number))
    assert worker is not None
    worker.read()
    world.work(FIRST_MINUTE + len(costs) + 1, None if killed else worker)
    assert [alert.state for alert in world.sent] == ["raised", "resolved"]


def _plain(found: Amounts) -> list[tuple[SpikeKey, int, int]]:
    return list(zip(found.keys, found.amounts.tolist(), found.requests.tolist(), strict=True))


def test_a_pane_and_block_is_worth_its_highest_version_and_blocks_add_up() -> None:
    """Two versions of a block are one amount; two blocks are two; another minute is another."""
    key = ("agent", ("planner",))
    lines = [
        contribution(key, 600, 7, version=2),
        contribution(key, 600, 5, version=1),
        contribution(key, 610, 20, version=1),
        contribution(key, 600, 100, block=1, version=16),
        contribution(key, 660, 1000, block=1, version=17),
    ]
    minutes = RecentMinutes(MEASURES)
    for line in lines:
        minutes.add(read_lines([line.model_dump_json().encode()], series=WATCHED))
    assert _plain(amounts(minutes, 10)["spike"]) == [(key, 127, 3)]
    assert _plain(amounts(minutes, 11)["spike"]) == [(key, 1000, 1)]


def test_a_model_without_a_price_is_judged_by_its_output_tokens() -> None:
    """An unpriced key has an amount under the rule for tokens; a priced one and another series have none."""
    unpriced = {"unpriced": 1, "output_tokens": 900}
    lines = [
        contribution(("provider+model", ("own", "llama")), 600, 0, **unpriced),
        contribution(("provider+model", ("openai", "gpt-5")), 600, 9, output_tokens=700),
        contribution(("team", ("search",)), 600, 0, **unpriced),
    ]
    minutes = RecentMinutes(MEASURES)
    minutes.add(read_lines([line.model_dump_json().encode() for line in lines], series=WATCHED))
    own, priced = (("provider+model", key) for key in (("own", "llama"), ("openai", "gpt-5")))
    assert _plain(amounts(minutes, 10)["token_spike"]) == [(own, 900, 1)]
    assert _plain(amounts(minutes, 10, again=True)["token_spike"]) == [(own, 900, 1), (priced, 0, 1)]


def test_lines_that_are_none_and_series_that_nobody_watches_say_nothing() -> None:
    """A broken line takes nothing of its neighbours with it."""
    good = contribution(("team", ("search",)), 600, -5).model_dump_json().encode()
    odd = contribution(("session_id", ("s1",)), 600, 7).model_dump_json().encode()
    records = [good + b"\n" + odd, None, b"", b"{no json", b'{"series":"team"}\n' + good]
    read = read_lines(records, series=WATCHED)
    assert read["cost_picodollars"].to_list() == [-5, -5]
    assert read["key"].to_list() == ['["search"]'] * 2
    assert read_lines(records, series=["session_id"])["key"].to_list() == ['["s1"]']


def test_a_line_tells_of_errors_and_of_all_tokens_once() -> None:
    """Tokens are those of every class; reasoning is in the output already, and a search is no token."""
    measures = {name: 10**n for n, name in enumerate(LEAVES)}
    line = contribution(("team", ("search",)), 600, 5, requests=9, errors=4, unpriced=2, reasoning_tokens=7, **measures)
    read = read_lines([line.model_dump_json().encode()], series=["team"])
    assert read.schema == LINES_SCHEMA
    columns = ["requests", "errors", "unpriced", "tokens", "output_tokens", "cost_picodollars"]
    assert read.select(columns).rows() == [(9, 4, 2, 1_111_111, 10_000, 5)]


def test_what_another_version_kept_begins_anew() -> None:
    """An entry that cannot be read is left out, and so is a row of other windows."""
    entries = {
        b'["spike","total",[]]': b'{"row":"AAAA"}',
        b'["spike","team",["x"]]': b'{"rows":1}',
        b'["budget","team",["x"]]': b'{"row":"AAAA"}',
        b'["spikes_closed"]': b"{}",
        b"?": b"{}",
    }
    kept = read_kept(entries)
    assert set(kept.keys) == {("spike", ("total", ()))}
    assert kept.minute is None
    assert len(Desk(kept)) == 0
    assert Desk(kept).closed is None
