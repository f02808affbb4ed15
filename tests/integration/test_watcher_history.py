"""Does a budget or a quota that comes late know what was spent before, while the watcher runs, or is killed amid it?"""

import signal
from collections import Counter
from decimal import Decimal
from pathlib import Path
from time import monotonic, sleep

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from tests.alerting_worlds import contribution
from tests.loads import Followed
from tests.watchers import running_watcher

from spendgauge.schemas import KafkaSettings, SystemClock
from spendgauge.schemas.compacted import read_compacted
from spendgauge.schemas.quotas import QuotaStanding, read_quota
from spendgauge.streams.rating.rates import rates_partition

pytestmark = pytest.mark.integration

_USD, _PATIENCE_SECONDS = 10**12, 90.0
_USERS, _MINUTES = 20, 120
_TOTAL = """
[[budget]]
name = "all"
usd = 1000000
period = "rolling"
days = 2
"""
_LATE = """
[[budget]]
name = "a user"
series = "user_id"
key = ["*"]
usd = 8
period = "rolling"
days = 2

[[quota]]
name = "a user"
series = "user_id"
key = ["*"]
hard = 100
period = "rolling"
days = 2
"""


class _Spending:
    """Each user spends a dime in each minute, in lines that grow; the total says the same."""

    def __init__(self, kafka: KafkaSettings) -> None:
        self._kafka = kafka
        self._first = SystemClock().now_ms() // 60_000 - _MINUTES - 2
        self.minutes = 0

    def go_on(self, minutes: int) -> None:
        """Spend for so many minutes more."""
        producer = Producer({"bootstrap.servers": self._kafka.kafka, "linger.ms": 20})
        for minute in range(self.minutes, self.minutes + minutes):
            for user in range(_USERS):
                for version in (1, 2):
                    self._send(producer, ("user_id", (f"u{user}",)), minute, version * _USD // 20, version)
            self._send(producer, ("total", ()), minute, _USERS * _USD // 10, 1)
        assert producer.flush(20) == 0
        self.minutes += minutes

    def _send(self, producer: Producer, key: tuple[str, tuple[str, ...]], minute: int, cost: int, version: int) -> None:
        line = contribution(key, (self._first + minute) * 60, cost, block=minute // 10, version=minute * 10 + version)
        place = rates_partition(line.series, line.key, 4)
        producer.produce(self._kafka.topics.rates, line.model_dump_json().encode(), partition=place)


def _standings(kafka: KafkaSettings) -> dict[str, str]:
    found = [read_quota(value) for value in read_compacted(kafka, kafka.topics.quotas).values()]
    return {one.key[0]: one.spent for one in found if isinstance(one, QuotaStanding)}


def _wait_for_standings(kafka: KafkaSettings, usd: str, *, least: int = 6) -> None:
    """Wait until each user stands at so much; until then at nothing, or at no less than what was spent before."""
    expected = {f"u{user}": usd for user in range(_USERS)}
    deadline = monotonic() + _PATIENCE_SECONDS
    while (found := _standings(kafka)) != expected:
        assert all(Decimal(spent) >= least for spent in found.values()), found
        assert monotonic() < deadline, f"{found} is not {expected}"
        sleep(0.2)


def _wait_for_commit(kafka: KafkaSettings) -> None:
    """Wait until the watcher has closed minutes and committed lines: whoever takes over goes on in mid-log."""
    consumer = Consumer({"bootstrap.servers": kafka.kafka, "group.id": "spendgauge-watch"})
    places = [TopicPartition(kafka.topics.rates, number) for number in range(4)]
    deadline = monotonic() + _PATIENCE_SECONDS
    try:
        while sum(place.offset > 0 for place in consumer.committed(places, timeout=10)) < len(places):
            assert monotonic() < deadline, "nothing was committed"
            sleep(0.2)
    finally:
        consumer.close()


def _raised(followed: Followed) -> Counter[tuple[str, str]]:
    """Read who was told at which amount, until all users were, and a moment longer."""
    found: Counter[tuple[str, str]] = Counter()
    deadline, quiet_seconds = monotonic() + _PATIENCE_SECONDS, 0.3
    while found.total() < _USERS or quiet_seconds < 1:
        assert monotonic() < deadline, f"only {found} were told"
        quiet_seconds = 2.0 if found.total() >= _USERS else 0.3
        lines = followed.lines(quiet_seconds=quiet_seconds)
        raised = [line for line in lines if (line["rule"], line["state"]) == ("budget", "raised")]
        found.update((line["key"][0], line["seen_usd"]) for line in raised)
    return found


def test_a_budget_that_is_added_begins_with_what_was_spent(own_kafka: KafkaSettings, tmp_path: Path) -> None:
    """While the watcher runs, and lines come: standings are said within seconds, never a part of them; with the next
    minute each user's highest line is told, once, with all that was spent."""
    path, spending = tmp_path / "budgets.toml", _Spending(own_kafka)
    path.write_text(_TOTAL)
    spending.go_on(60)
    with Followed(own_kafka, own_kafka.topics.alerts) as followed, running_watcher(own_kafka, "all", budgets=path):
        _wait_for_commit(own_kafka)
        path.write_text(_TOTAL + _LATE)
        spending.go_on(15)
        _wait_for_standings(own_kafka, "7.500000000000")
        assert _raised(followed) == Counter({(f"u{user}", "7.500000000000"): 1 for user in range(_USERS)})


def test_a_watcher_that_is_killed_amid_the_past(own_kafka: KafkaSettings, tmp_path: Path) -> None:
    """Whoever comes next begins the past anew, and says the same standings as one that lived."""
    path, spending = tmp_path / "budgets.toml", _Spending(own_kafka)
    path.write_text(_TOTAL)
    spending.go_on(60)
    with running_watcher(own_kafka, "all", budgets=path):
        _wait_for_commit(own_kafka)
    path.write_text(_TOTAL + _LATE)
    with running_watcher(own_kafka, "all", "amid the past", budgets=path) as watcher:
        assert watcher.wait(_PATIENCE_SECONDS) == -signal.SIGKILL
    assert _standings(own_kafka) == {}
    spending.go_on(15)
    with running_watcher(own_kafka, "all", budgets=path):
        _wait_for_standings(own_kafka, "7.500000000000")
