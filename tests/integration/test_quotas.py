"""Does a guard hold to what is on ``cost.quotas`` of a real broker, whatever comes in between?"""

import json
import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from time import monotonic, sleep
from typing import Any

import pytest
from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition
from tests.brokers import EmbeddedBroker, frozen
from tests.quotas import USD, limit, quota_writer, send_quotas, standing, ticked, write_quotas

from spendgauge.producers.quotas import QuotaExceeded, QuotaGuard
from spendgauge.schemas import KafkaSettings, QuotaRefusal, SystemClock, topic_specs
from spendgauge.schemas.kafka import client_options, create_topics
from spendgauge.schemas.quotas import amount_text, limit_key

pytestmark = pytest.mark.integration

CLOCK = SystemClock()


@pytest.fixture(scope="module")
def broker() -> Iterator[EmbeddedBroker]:
    """A broker for all tests of this module."""
    with EmbeddedBroker() as running:
        yield running


@pytest.fixture
def kafka(broker: EmbeddedBroker, request: pytest.FixtureRequest) -> KafkaSettings:
    """Topics of this test's own."""
    settings = broker.settings(f"{request.node.originalname[-40:]}.")
    create_topics(settings, topic_specs(settings.topics, partitions=1))
    return settings


def guarding(kafka: KafkaSettings, **fields: Any) -> QuotaGuard:
    """Start a guard."""
    return QuotaGuard(service="test", kafka=kafka.kafka, topic_prefix=kafka.topic_prefix, **fields)


def until(condition: Any, seconds: float = 15) -> None:
    """Wait until something is so."""
    deadline = monotonic() + seconds
    while not condition():
        assert monotonic() < deadline
        sleep(0.02)


class PlayedWatcher:
    """Says every tenth of a second what was spent some time before, as the pipeline does."""

    def __init__(self, kafka: KafkaSettings, lag_seconds: float) -> None:
        self.spent: list[tuple[float, int]] = []
        self._kafka = kafka
        self._lag_seconds = lag_seconds
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def pay(self, amount: int) -> None:
        """Spend picodollars now."""
        self.spent.append((monotonic(), amount))

    @property
    def total(self) -> int:
        """All that was spent, picodollars."""
        return sum(amount for _, amount in self.spent)

    def __enter__(self) -> "PlayedWatcher":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join(20)

    def _run(self) -> None:
        writer = quota_writer(self._kafka)
        while not self._over.wait(0.1):
            now_ms, now = CLOCK.now_ms(), monotonic()  # in this order: nothing is said to be read too soon
            read = sum(amount for at, amount in list(self.spent) if at <= now - self._lag_seconds)
            line = standing("a user", 0, as_of_ms=now_ms).model_copy(update={"spent": amount_text(read, "usd")})
            write_quotas(writer, self._kafka, line.entry(), ticked(now_ms).entry())


def overspend(watcher: PlayedWatcher, guards: list[QuotaGuard], *, estimate: Decimal, cost: Decimal) -> int:
    """Let 32 callers spend until each is refused for good; say by how many picodollars 10 USD were exceeded."""

    def call_until_refused(number: int) -> int:
        guard, calls = guards[number % len(guards)], 0
        deadline = monotonic() + 20
        while monotonic() < deadline:
            try:
                with guard.reserve(user_id="u1", estimate_usd=estimate) as call:
                    sleep(0.01)
                    watcher.pay(int(cost * USD))
                    call.spent(usd=cost)
                    calls += 1
            except QuotaExceeded as refused:
                if refused.reserved == 0:  # all is known to be spent, not only held
                    break
                sleep(0.05)
        return calls

    with ThreadPoolExecutor(32) as callers:
        assert sum(callers.map(call_until_refused, range(32))) == len(watcher.spent)
    return watcher.total - 10 * USD


@pytest.mark.parametrize(
    ("estimate", "cost", "most"),
    [
        ("0.20", "0.20", "0"),  # the estimate holds: not a cent too much
        ("0.20", "0.30", "3.20"),  # 32 calls under way, each 0.10 more than was said
        ("0", "0.10", "3.20"),  # nothing was said: 32 calls, each of them too much
    ],
)
def test_32_callers_of_one_process(kafka: KafkaSettings, estimate: str, cost: str, most: str) -> None:
    """However late the watcher is, one process overshoots by what its calls under way cost above their estimates.

    overshoot <= calls under way x (cost - estimate)
    """
    send_quotas(kafka, limit("a user", hard=10).entry())
    with PlayedWatcher(kafka, lag_seconds=0.7) as watcher, guarding(kafka, quota_settle_seconds=1.0) as guard:
        assert guard.wait_until_known()
        over = overspend(watcher, [guard], estimate=Decimal(estimate), cost=Decimal(cost))
    assert -Decimal(cost) * USD < over <= Decimal(most) * USD


@pytest.mark.parametrize(("processes", "most"), [(1, 3 * 10 * USD), (4, 3 * 10 * USD // 4)])
def test_32_callers_of_four_processes(kafka: KafkaSettings, processes: int, most: int) -> None:
    """Processes know of each other what the watcher has read: each may spend what it saw left, or its part of it.

    overshoot <= what the other processes spend within the delay and hold <= 3 x what was left, or 3/4 of it
    """
    send_quotas(kafka, limit("a user", hard=10).entry())
    guards = [guarding(kafka, quota_settle_seconds=1.0, quota_processes=processes) for _ in range(4)]
    try:
        with PlayedWatcher(kafka, lag_seconds=0.3) as watcher:
            assert all(guard.wait_until_known() for guard in guards)
            over = overspend(watcher, guards, estimate=Decimal("0.20"), cost=Decimal("0.20"))
    finally:
        for guard in guards:
            guard.close()
    assert -processes * USD < over <= most


def test_a_guard_follows_what_changes(kafka: KafkaSettings) -> None:
    """Limits, standings and their removal are known within moments; what cannot be read is left out."""
    now_ms = CLOCK.now_ms()
    with guarding(kafka) as guard:
        until(lambda: guard._board.complete)
        assert not guard.known
        send_quotas(kafka, (b"novel", b"{}"), limit("a user", hard=5).entry(), standing("a user", 5).entry())
        send_quotas(kafka, ticked(now_ms).entry())
        until(lambda: not guard.verdict(user_id="u1").allowed)
        assert guard.known
        send_quotas(kafka, (limit_key("a user"), None))
        until(lambda: guard.verdict(user_id="u1").allowed)


def test_a_topic_that_comes_later_is_read(broker: EmbeddedBroker) -> None:
    """A guard may start before its topic is there; calls pass or not as its settings say, until it is."""
    kafka = broker.settings("later.")
    with guarding(kafka, quota_unknown="refuse") as guard:
        sleep(1.0)
        assert guard.verdict().reason == "unknown"
        create_topics(kafka, topic_specs(kafka.topics, partitions=1))
        send_quotas(kafka, limit("all", "total", (), hard=5).entry(), ticked(CLOCK.now_ms()).entry())
        until(lambda: guard.verdict().allowed)
        assert guard.verdict(estimate_usd=6).reason == "hard"


def test_a_broker_that_is_away_is_waited_for(kafka: KafkaSettings, broker: EmbeddedBroker) -> None:
    """While the broker is frozen checks are answered as before, at once; then the guard goes on where it was."""
    send_quotas(kafka, limit("a user", hard=5).entry(), standing("a user", 5).entry(), ticked(CLOCK.now_ms()).entry())
    with guarding(kafka) as guard:
        assert guard.wait_until_known()
        with frozen(broker, 0):
            before = monotonic()
            assert not guard.verdict(user_id="u1").allowed
            assert monotonic() - before < 0.5
        send_quotas(kafka, standing("a user", 4).entry())
        until(lambda: guard.verdict(user_id="u1").allowed)


def test_refusals_are_told(kafka: KafkaSettings) -> None:
    """Each refused call is a line of cost.refusals with all that was known, and close() waits for the last of them."""
    known = (limit("a user", hard=5), standing("a user", 5, resets_at=4_000_000_000), ticked(CLOCK.now_ms()))
    send_quotas(kafka, *(line.entry() for line in known))
    with guarding(kafka) as guard:
        assert guard.wait_until_known()
        for _ in range(250):
            assert not guard.verdict(user_id="u1", estimate_usd="0.5").allowed
    told = refusals(kafka, 250)
    assert len({line.refusal_id for line in told}) == 250
    first = told[0].model_dump(exclude={"refusal_id", "refused_at", "source"})
    assert first == {
        "action": "refused",
        "reason": "hard",
        "quota": "a user",
        "series": "user_id",
        "key": ("u1",),
        "unit": "usd",
        "limit": "5.000000000000",
        "spent": "5.000000000000",
        "reserved": "0.000000000000",
        "estimate": "0.500000000000",
        "resets_at": 4_000_000_000,
    }
    assert told[0].source.startswith("test@")


def refusals(kafka: KafkaSettings, count: int) -> list[QuotaRefusal]:
    """Read so many refusals."""
    consumer = Consumer(client_options(kafka, **{"group.id": "test", "enable.auto.commit": False}))
    lines: list[QuotaRefusal] = []
    try:
        consumer.assign([TopicPartition(kafka.topics.refusals, 0, OFFSET_BEGINNING)])
        deadline = monotonic() + 20
        while len(lines) < count and monotonic() < deadline:
            message = consumer.poll(0.2)
            if message is not None and message.error() is None:
                value = message.value()
                assert isinstance(value, bytes)
                lines += [QuotaRefusal.model_validate_json(line) for line in value.split(b"\n")]
    finally:
        consumer.close()
    assert len(lines) == count
    return lines


@pytest.mark.filterwarnings("ignore:.*use of fork.*:DeprecationWarning")
def test_a_forked_child_has_a_guard_of_its_own(kafka: KafkaSettings) -> None:
    """After a fork the child holds nothing of its parent's, reads the topic itself, and ends without a hitch."""
    known = (limit("a user", hard=5), standing("a user", 0, ("u2",)), ticked(CLOCK.now_ms()))
    send_quotas(kafka, *(line.entry() for line in known))
    with guarding(kafka) as guard:
        assert guard.wait_until_known()
        with guard.reserve(user_id="u1", estimate_usd=5):
            report, tell = os.pipe()
            child = os.fork()
            if child == 0:
                free = guard.verdict(user_id="u1").allowed
                os.write(tell, json.dumps([free, guard.wait_until_known()]).encode())
                guard.close()
                os._exit(0)
            os.close(tell)
            assert os.waitpid(child, 0)[1] == 0
            with os.fdopen(report) as heard:
                assert json.loads(heard.read()) == [True, True]
            assert not guard.verdict(user_id="u1").allowed
