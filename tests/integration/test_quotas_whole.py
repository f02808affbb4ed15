"""Does a guard refuse what was spent? The whole way: events, rates, the watcher's standing, a refusal."""

import os
import signal
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import pytest
from tests.brokers import EmbeddedBroker
from tests.watchers import running_watcher
from tests.workers import running_worker

from spendgauge.producers import UsageProducer, calculate_cost
from spendgauge.producers.quotas import QuotaExceeded, QuotaGuard, QuotaUnknown
from spendgauge.schemas import topic_specs
from spendgauge.schemas.kafka import create_topics

pytestmark = pytest.mark.integration

QUOTAS = """
[[quota]]
name = "a user"
series = "user_id"
key = ["*"]
hard = "0.02"

[[quota]]
name = "tokens of all"
unit = "tokens"
soft = 1_000
period = "rolling"
days = 7
"""
CALL = {"provider": "anthropic", "model": "claude-haiku-4-5", "input_tokens": 1000, "output_tokens": 1000}
COST = Decimal("0.006")


def until(condition: Callable[[], bool], seconds: float = 60) -> float:
    """Wait until something is so; say how long it took."""
    begin = monotonic()
    while not condition():
        assert monotonic() - begin < seconds
        sleep(0.02)
    return monotonic() - begin


def test_what_nobody_rates_is_held(tmp_path: Path) -> None:
    """While the rates worker is frozen, a process holds what it has spent itself, and refuses by it; then nobody knows.
    Once it goes on, all is known again."""
    budgets = tmp_path / "budgets.toml"
    budgets.write_text(QUOTAS)
    impatient: dict[str, Any] = {"quota_unknown": "refuse", "quota_settle_seconds": 0.5, "quota_stale_seconds": 15.0}
    with EmbeddedBroker() as broker:
        kafka = broker.settings()
        create_topics(kafka, topic_specs(kafka.topics, partitions=1))
        with (
            running_worker(kafka) as worker,
            running_watcher(kafka, "all", budgets=budgets),
            UsageProducer(service="bot", kafka=kafka.kafka) as producer,
            QuotaGuard(service="bot", kafka=kafka.kafka, **impatient) as guard,
        ):
            until(lambda: guard.known)
            os.kill(worker.pid, signal.SIGSTOP)
            for _ in range(3):
                with guard.reserve(user_id="u1", estimate_usd="0.006") as call:
                    producer.emit(**CALL, user_id="u1")
                    call.spent(CALL)
            while guard.known:  # longer than the watcher takes to write its clock
                with pytest.raises((QuotaExceeded, QuotaUnknown)):
                    guard.check(user_id="u1", estimate_usd="0.006")
                sleep(0.1)
            with pytest.raises(QuotaUnknown):
                guard.check(user_id="u2")
            os.kill(worker.pid, signal.SIGCONT)
            until(lambda: guard.known and {s.verdict.spent for s in guard.standings(user_id="u1")} == {3 * COST, 6_000})
            assert guard.check(user_id="u2").allowed


def test_what_was_spent_is_refused(tmp_path: Path) -> None:
    """Events of one process become a standing that another refuses by; a watcher that takes over never says less."""
    budgets = tmp_path / "budgets.toml"
    budgets.write_text(QUOTAS)
    assert calculate_cost(None, CALL).usd == COST
    with EmbeddedBroker() as broker:
        kafka = broker.settings()
        create_topics(kafka, topic_specs(kafka.topics, partitions=2))
        with (
            running_worker(kafka),
            UsageProducer(service="bot", kafka=kafka.kafka) as producer,
            QuotaGuard(service="bot", kafka=kafka.kafka, quota_unknown="refuse") as guard,
        ):

            def spent() -> dict[str, Decimal | int]:
                return {state.verdict.quota: state.verdict.spent for state in guard.standings(user_id="u1")}

            with running_watcher(kafka, "all", budgets=budgets) as watcher:
                until(lambda: guard.known)
                assert guard.check(user_id="u1", estimate_usd="0.02").allowed
                for _ in range(3):
                    producer.emit(**CALL, user_id="u1")
                until(lambda: spent() == {"a user": 3 * COST, "tokens of all": 6_000})
                verdict = guard.check(user_id="u1", estimate_usd="0.002")
                assert (verdict.reason, verdict.quota) == ("soft", "tokens of all")
                with pytest.raises(QuotaExceeded) as refused:
                    guard.check(user_id="u1", estimate_usd="0.0021")
                assert (refused.value.limit, refused.value.spent) == (Decimal("0.02"), 3 * COST)
                assert refused.value.resets_at is not None
                watcher.kill()
            producer.emit(**CALL, user_id="u1")
            with running_watcher(kafka, "all", budgets=budgets):

                def has_it_all() -> bool:
                    now = spent()
                    assert now["a user"] >= 3 * COST
                    return now == {"a user": 4 * COST, "tokens of all": 8_000}

                until(has_it_all)
                assert not guard.verdict(user_id="u1").allowed
                assert guard.verdict(user_id="u2", estimate_usd="0.02").allowed
