"""Is somebody told, once, when metering itself has stopped; and nobody when it has not? Second by second."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.alerting_worlds import said

from spendgauge.schemas.alerts import Alert
from spendgauge.streams.judging import Configuration, Moment, Rating, Verdict
from spendgauge.streams.rules import RuleJudge

START = 1_764_000_007
"""25 November 2025, 16:00:07 UTC."""
OFF = '[[rule]]\nname = "metering_stalled"\nkind = "metering_stalled"\nenabled = false'
QUICK = '[[rule]]\nname = "metering_stalled"\nkind = "metering_stalled"\nwarn = 1\npage = 2.5'
PAGED = ["raised page"]


@dataclass
class Deployment:
    """The rates workers, as the broker knows them, and a watcher that lives, or is replaced."""

    rules: str = ""
    now: int = START
    rated: dict[int, int] = field(default_factory=lambda: {0: 70, 1: 70})
    ends: dict[int, int] = field(default_factory=lambda: {0: 70, 1: 70})
    kept: dict[bytes, bytes] = field(default_factory=dict)
    sent: list[Alert] = field(default_factory=list)
    partition: int = 0
    overtaken: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        """Start the first watcher."""
        self.rating: Rating | None = None
        self.take_over()

    def take_over(self) -> None:
        """Start another watcher, which has what was kept, and knows nothing of ``usage.events`` yet."""
        self.judge = RuleJudge(prices=None)
        self.judge.reload(Configuration(rules=self.rules))
        known = {said(alert) for alert in self.sent}
        self.sent += [one for one in self.judge.assign(self.partition, self.kept) if said(one) not in known]
        self.rating = None

    def edit(self, rules: str) -> None:
        """Edit the file."""
        self.rules = rules
        self.judge.reload(Configuration(rules=rules))

    def verdict(self, *, answers: bool = True, seconds: int = 1) -> Verdict | None:
        """Let some seconds pass, and ask the watcher; no minute of events is known to be over."""
        self.now += seconds
        if answers:
            places = {number: (self.rated[number], end) for number, end in self.ends.items()}
            self.rating = Rating(self.now * 1000 - 200, places, self.overtaken)
        return next(iter(self.judge.close({}, Moment(self.now, {}, self.rating))), None)

    def keep(self, verdict: Verdict) -> None:
        """Write what is kept of it."""
        for key, value in verdict.entries:
            if value is None:
                self.kept.pop(key, None)
            else:
                self.kept[key] = value

    def wait(self, seconds: int, *, answers: bool = True, flows: Mapping[int, int] | None = None) -> list[str]:
        """Let time pass, in which so many records are rated every five seconds; say what was said."""
        before = len(self.sent)
        looks = [*range(1, seconds, 5), seconds]
        for last, look in pairwise([0, *looks]):
            for number, records in (flows or {}).items():
                self.rated[number] = min(self.rated[number] + records, self.ends[number])
            if verdict := self.verdict(answers=answers, seconds=look - last):
                self.keep(verdict)
                self.sent += verdict.alerts
        return [f"{alert.state} {alert.severity}" for alert in self.sent[before:]]

    def send(self, records: int = 100, *partitions: int) -> None:
        """Have records come."""
        for number in partitions or self.ends:
            self.ends[number] += records


def test_what_waits_for_five_minutes_is_paged_once_and_over_when_it_is_rated() -> None:
    """The page says since when, how much waits, and what to do; the first offset that moves in all ends it."""
    town = Deployment()
    town.wait(100)
    town.send(600)
    assert town.wait(300) == []
    assert town.wait(1) == PAGED
    assert town.wait(3600) == []
    town.send()
    town.rated[0] += 1
    assert town.wait(20) == []
    town.rated[1] += 1
    assert town.wait(1) == ["resolved page"]
    assert town.wait(3600, flows={0: 1, 1: 1}) == []
    raised, resolved = town.sent
    onset = (START + 101) // 60 * 60
    assert (raised.alert_id, raised.onset) == (f"metering_stalled:total:[]:{onset}", onset)
    assert (raised.evaluated_at, resolved.alert_id) == (START + 401, raised.alert_id)
    assert "since 2025-11-24 16:01:47 UTC nothing in 2 partitions" in raised.message
    assert "at least 1,200 records" in raised.message
    assert "Start the rates workers" in raised.message


@pytest.mark.parametrize("behind", [0, 10**6])
def test_idle_or_catching_up_is_no_standstill(behind: int) -> None:
    """Neither a system to which nothing is sent, nor a backlog that takes hours while it moves every few minutes."""
    town = Deployment()
    town.send(behind)
    for _ in range(30):
        assert town.wait(280) == []
        town.wait(1, flows={0: 500, 1: 500})
    assert town.kept == {}


def test_what_retention_removes_is_not_rated() -> None:
    """Where the log's beginning passes what was to be rated next nothing goes on: the page stays till a worker does."""
    town = Deployment()
    town.send(2000)
    assert town.wait(200) == []
    town.overtaken = {0, 1}
    for _ in range(20):
        town.rated = {number: rated + 50 for number, rated in town.rated.items()}
        town.wait(31)
    assert [alert.state for alert in town.sent] == ["raised"]
    assert town.wait(1) == []
    town.overtaken = set()
    town.rated = {0: 1071, 1: 1071}
    assert town.wait(1) == ["resolved page"]


def test_one_partition_that_stands_is_enough() -> None:
    """A worker that hangs over one partition, while the others are rated, is named as one, and ends when it moves."""
    town = Deployment()
    town.send(10**6)
    assert town.wait(302, flows={1: 10}) == PAGED
    assert "1 partition of usage.events" in town.sent[0].message
    assert "at least 1,000,000 records" in town.sent[0].message
    assert town.wait(600, flows={1: 10}) == []
    assert town.wait(1, flows={0: 1}) == ["resolved page"]


def test_it_is_told_by_who_has_the_first_partition() -> None:
    """Of many watchers one has it; when it is taken away, that one is silent too."""
    other, town = Deployment(partition=3), Deployment()
    for one in (other, town):
        one.send()
        one.wait(200)
    town.judge.revoke(0)
    assert (other.wait(400), town.wait(400)) == ([], [])


@pytest.mark.parametrize("second", [100, 250, 302, 900])
def test_a_watcher_that_is_replaced_meanwhile_goes_on_counting(second: int) -> None:
    """Its successor pages at most a minute later, under the same id, says nothing twice, and ends what was raised."""
    town = Deployment()
    town.send()
    town.wait(second)
    town.take_over()
    town.now += 30
    town.wait(max(302 - second, 0) + 61)
    assert [(alert.state, alert.onset) for alert in town.sent] == [("raised", START // 60 * 60)]
    town.take_over()
    town.rated |= town.ends
    assert town.wait(30) == ["resolved page"]
    town.wait(600)
    assert b'["standstills"]' not in town.kept
    assert town.wait(600) == []


def test_what_nobody_watched_does_not_count() -> None:
    """Everything was down for the night: whoever comes back has as long to rate as the watcher had not waited."""
    town = Deployment()
    town.send()
    town.wait(200)
    town.take_over()
    town.now += 8 * 3600
    assert town.wait(110) == []
    assert town.wait(60) == PAGED


def test_a_broker_that_does_not_answer_says_nothing() -> None:
    """While the watcher cannot ask nothing is raised and nothing is over; the time does not count."""
    town = Deployment()
    town.send()
    assert (town.wait(200), town.wait(3600, answers=False)) == ([], [])
    assert town.wait(80) == []
    assert town.wait(30) == PAGED
    town.take_over()
    town.rated |= town.ends
    assert town.wait(600, answers=False) == []
    assert town.wait(1) == ["resolved page"]


def test_an_old_answer_says_nothing_of_now() -> None:
    """A watcher whose questions have gone unanswered since all was well does not end what another has raised."""
    town = Deployment()
    town.send()
    town.wait(302)
    town.take_over()
    town.rating = Rating((town.now - 60) * 1000, {0: (70, 70), 1: (70, 70)})
    assert town.wait(60, answers=False) == []


def test_lines_can_be_moved_and_it_can_be_turned_off() -> None:
    """Tenths of minutes are lines too; who turns it off is told that it is over, while nothing else is known."""
    town = Deployment(QUICK)
    town.send()
    assert [town.wait(60), town.wait(1), town.wait(89), town.wait(1)] == [[], ["raised warn"], [], ["escalated page"]]
    town.edit(OFF)
    assert town.wait(1) == ["resolved page"]
    assert "the rule 'metering_stalled' does not hold any more" in town.sent[-1].message
    assert town.wait(900) == []
    town.edit("")
    assert town.wait(1) == PAGED
    assert town.sent[-1].alert_id != town.sent[0].alert_id


def test_it_does_not_flap() -> None:
    """A worker that rates a little every six minutes is told of twelve: ten of them are quiet."""
    town = Deployment()
    town.send(10**6)
    for _ in range(10):
        town.wait(360)
        town.wait(1, flows={0: 1, 1: 1})
    assert len(town.sent) == 2 * 5
    assert [alert.state for alert in town.sent] == ["raised", "resolved"] * (len(town.sent) // 2)
    assert len({said(alert) for alert in town.sent}) == len(town.sent)


@settings(deadline=None, max_examples=8)
@given(seed=st.integers(0, 10**9))
def test_whoever_is_killed_nothing_is_said_twice(seed: int) -> None:
    """Watchers killed before they keep, between keeping and saying, and after, while workers come and go: each page is
    followed by its end, every step once, and what stood for six minutes without a kill was told."""
    random, town = Random(seed), Deployment(cooled(QUICK))
    for _ in range(60):
        town.send(random.choice([0, 5]))
        flows = random.choice([{}, {}, {0: 9}, {0: 9, 1: 9}])
        town.wait(random.choice([5, 40, 90]), flows=flows)
        verdict = town.verdict(answers=random.random() < 0.8)
        if verdict and random.random() < 0.6:
            town.keep(verdict)
        town.take_over()
    town.send()
    town.wait(220)
    assert town.sent[-1].severity == "page"
    assert town.sent[-1].state != "resolved"
    town.rated |= town.ends
    town.wait(1)
    steps = [(alert.alert_id, alert.state) for alert in town.sent if alert.state != "escalated"]
    assert [state for _, state in steps] == ["raised", "resolved"] * (len(steps) // 2)
    assert len({said(alert) for alert in town.sent}) == len(town.sent)
    assert all(one[0] == other[0] for one, other in zip(steps[::2], steps[1::2], strict=True))
    assert [alert.evaluated_at for alert in town.sent] == sorted(alert.evaluated_at for alert in town.sent)


def cooled(rules: str) -> str:
    """Write the rule so that it is raised again at once."""
    return f"{rules}\ncooldown_minutes = 0"
