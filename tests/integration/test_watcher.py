"""Does a watcher say each step once, whatever becomes of it? Killed at the worst moments, asleep, replayed, shared."""

import os
import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import pytest
from confluent_kafka import Producer
from tests.brokers import EmbeddedBroker
from tests.loads import Followed
from tests.watchers import running_watcher

from spendgauge.schemas import KafkaSettings, SystemClock, topic_specs
from spendgauge.schemas.kafka import create_topics
from spendgauge.schemas.rates import MEASURES, RateContribution
from spendgauge.streams.rates import rates_partition

pytestmark = pytest.mark.integration

_MINUTES, _USERS = 90, 40
_PATIENCE_SECONDS = 60.0


def _is_high(user: int, minute: int) -> bool:
    return (minute // 7 + user) % 5 == 0


def _line(user: int, minute: int, offset: int, *, high: bool) -> bytes:
    """Write what a user cost in a minute: two dollars or nothing."""
    measures = dict.fromkeys(MEASURES[:-1], 0) | {"requests": 1}
    line = RateContribution(
        series="user_id",
        key=(f"u{user}",),
        pane_start=minute * 60,
        pane_seconds=60,
        stream="topic:16",
        partition=0,
        block=0,
        edition=0,
        version=offset,
        cost_usd="2.000000000000" if high else "0.000000000000",
        **measures,
    )
    return line.model_dump_json().encode()


def _send(kafka: KafkaSettings) -> Counter[tuple[str, str]]:
    """Send the lines of an hour and a half that is over; return the steps that must be said, each once."""
    first = SystemClock().now_ms() // 60_000 - _MINUTES - 30
    producer = Producer({"bootstrap.servers": kafka.kafka, "linger.ms": 20})
    for minute in range(_MINUTES):
        for user in range(_USERS):
            line = _line(user, first + minute, minute * _USERS + user, high=_is_high(user, minute))
            producer.produce(kafka.topics.rates, line, partition=rates_partition("user_id", (f"u{user}",), 4))
    assert producer.flush(20) == 0
    return Counter(step for user in range(_USERS) for step in _steps(user, first))


def _steps(user: int, first: int) -> Iterator[tuple[str, str]]:
    onset = 0
    for minute in range(_MINUTES + 1):
        high = minute < _MINUTES and _is_high(user, minute)
        if high != bool(onset):
            onset = onset or first + minute
            yield f"cap-u{user}-{onset}", "raised" if high else "resolved"
            onset = onset if high else 0


class _Alerts:
    """What ``cost.alerts`` says."""

    def __init__(self, followed: Followed) -> None:
        self._followed = followed
        self.said: Counter[tuple[str, str]] = Counter()

    def read(self, *, quiet_seconds: float = 0.2) -> int:
        """Read on; say how many steps there are."""
        lines: list[dict[str, Any]] = self._followed.lines(quiet_seconds=quiet_seconds)
        self.said.update((line["alert_id"], line["state"]) for line in lines)
        return self.said.total()

    def wait_for(self, steps: int) -> None:
        """Read until so many are there, and a moment longer."""
        deadline = monotonic() + _PATIENCE_SECONDS
        while self.read() < steps:
            assert monotonic() < deadline, f"{self.said.total()} of {steps} steps were said"
        self.read(quiet_seconds=1.0)


@pytest.fixture
def own_kafka() -> Iterator[KafkaSettings]:
    """A broker of one's own: the accidents go by the topics' plain names."""
    with EmbeddedBroker() as broker:
        kafka = broker.settings()
        create_topics(kafka, topic_specs(kafka.topics))
        yield kafka


def test_a_watcher_killed_at_the_worst_moments(own_kafka: KafkaSettings) -> None:
    """Killed amid its entries, amid its alerts, after them: what is said is what one says that lived. A watcher that
    reads all again says nothing more."""
    expected = _send(own_kafka)
    with Followed(own_kafka, own_kafka.topics.alerts) as followed:
        alerts = _Alerts(followed)
        for moment in ("amid entries", "amid alerts", "after alerts"):
            with running_watcher(own_kafka, "cap", moment) as watcher:
                assert watcher.wait(_PATIENCE_SECONDS) == -signal.SIGKILL
        with running_watcher(own_kafka) as watcher:
            alerts.wait_for(expected.total())
            watcher.terminate()
            assert watcher.wait(20) == 0
        with running_watcher(own_kafka, watch_group="another"):
            sleep(6)
            alerts.read()
    assert alerts.said == expected


def test_a_watcher_that_slept_says_nothing_twice(own_kafka: KafkaSettings) -> None:
    """Asleep between what it kept and what it says, until another has taken over and said it: it wakes and is silent."""
    expected = _send(own_kafka)
    with Followed(own_kafka, own_kafka.topics.alerts) as followed:
        alerts = _Alerts(followed)
        with running_watcher(own_kafka, "cap", "asleep") as sleeper:
            _wait_until_asleep(sleeper.pid)
            with running_watcher(own_kafka):
                alerts.wait_for(expected.total())
                os.kill(sleeper.pid, signal.SIGCONT)
                sleep(4)
                alerts.read()
    assert alerts.said == expected


def _wait_until_asleep(process: int) -> None:
    deadline = monotonic() + _PATIENCE_SECONDS
    while _state(process) != "T":
        assert monotonic() < deadline
        sleep(0.05)


def _state(process: int) -> str:
    return Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
