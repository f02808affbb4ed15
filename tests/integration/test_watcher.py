"""Does a watcher say each step once, whatever becomes of it? Killed at the worst moments, asleep, replayed, shared."""

import json
import os
import signal
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic, sleep
from typing import Any
from uuid import UUID

import pytest
from confluent_kafka import Producer
from tests.loads import Followed, FollowedRates, send
from tests.watchers import running_watcher
from tests.workers import running_worker, until_rated

from spendgauge.schemas import KafkaSettings, SystemClock
from spendgauge.schemas.rates import MEASURES, RateContribution
from spendgauge.streams.rating.rates import rates_partition

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
    """Asleep between keeping and saying, until another has taken over and said it: it wakes up and is silent."""
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


def test_a_runaway_agent_is_paged_and_resolved_once(own_kafka: KafkaSettings) -> None:
    """From usage events to alerts, with the judges as they are: an agent that spends six dollars a minute pages at the
    end of its second minute, under its name; it resolves after; and whoever reads all again says nothing more."""
    #  minute   0 ........... 80 81 82 ..... 90 ............ 130 ... now
    #  steady   a call of half a cent in each
    #  runaway                6 USD in each
    first = SystemClock().now_ms() // 60_000 - 140
    lines = [_event(number, minute, agent) for number, (minute, agent) in enumerate(_calls(first))]
    with running_worker(own_kafka), FollowedRates(own_kafka) as rates:
        send(own_kafka, lines, per_record=(20,))
        assert until_rated(rates, len(lines)) == len(lines)
        with Followed(own_kafka, own_kafka.topics.alerts) as followed:
            with running_watcher(own_kafka, "all"):
                alerts = _steps_of(followed, "spike:agent", wait_for="resolved")
            with running_watcher(own_kafka, "all", watch_group="another"):
                sleep(6)
                assert followed.lines() == []
    (raised, resolved) = alerts
    assert (raised["key"], raised["severity"], raised["evaluated_at"]) == (["runaway"], "page", (first + 82) * 60)
    assert (resolved["alert_id"], resolved["state"]) == (raised["alert_id"], "resolved")
    assert (first + 90) * 60 < resolved["evaluated_at"] <= (first + 110) * 60


def _calls(first: int) -> Iterator[tuple[int, str]]:
    for minute in range(first, first + 130):
        yield minute, "steady"
        if first + 80 <= minute < first + 90:
            yield from [(minute, "runaway")] * 4


def _event(number: int, minute: int, agent: str) -> tuple[str, bytes]:
    """Write a call: half a cent, or a dollar and a half where the agent runs away."""
    event = {
        "event_id": str(UUID(int=number + 1, version=4)),
        "source": "service#0",
        "seq": number,
        "occurred_at": datetime.fromtimestamp(minute * 60 + 30, UTC).isoformat(),
        "provider": "anthropic",
        "model": "claude-sonnet-4-5",
        "output_tokens": 100_000 if agent == "runaway" else 333,
        "agent": agent,
    }
    return "service#0", json.dumps(event).encode()


def _steps_of(followed: Followed, prefix: str, *, wait_for: str) -> list[dict[str, Any]]:
    """Read what is said of alerts whose ids begin so, until one is in a state."""
    found: list[dict[str, Any]] = []
    deadline = monotonic() + _PATIENCE_SECONDS
    while not any(one["state"] == wait_for for one in found):
        assert monotonic() < deadline, found
        found += [line for line in followed.lines(quiet_seconds=0.5) if line["alert_id"].startswith(prefix)]
    return found


def _wait_until_asleep(process: int) -> None:
    deadline = monotonic() + _PATIENCE_SECONDS
    while _state(process) != "T":
        assert monotonic() < deadline
        sleep(0.05)


def _state(process: int) -> str:
    return Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
