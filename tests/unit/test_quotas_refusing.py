"""Is it told which calls were refused, without a caller ever waiting for it?"""

import logging
from typing import Any

import pytest
from confluent_kafka import KafkaError
from tests.producers import FakeClock

from spendgauge.producers.notices import Notices
from spendgauge.producers.quotas import FakeQuotaGuard, NullQuotaGuard, QuotaGuard, QuotaSettings, QuotaVerdict
from spendgauge.producers.quotas import create_guard as creating
from spendgauge.producers.quotas.refusing import Refusals
from spendgauge.schemas import ConfigurationError, QuotaRefusal

REFUSED = QuotaVerdict(allowed=False, reason="hard", quota="a user", series="user_id", key=("u1",), limit=5, spent=6)
NOW = 1_800_000_000_000


class FakeOutlet:
    """Takes so many records at a time, and acknowledges them when it is polled."""

    def __init__(self, room: int = 1_000, error: KafkaError | None = None) -> None:
        self.room, self.error = room, error
        self.deaf = False
        self.lines: list[QuotaRefusal] = []
        self._waiting: list[Any] = []

    def produce(self, topic: str, value: bytes, *, key: bytes, headers: Any, on_delivery: Any) -> None:
        """Queue a record, while there is room."""
        assert (topic, key, dict(headers)["spendgauge-schema"]) == ("cost.refusals", b"me", b"spendgauge.refusals/1")
        if len(self._waiting) >= self.room:
            raise BufferError
        self._waiting.append(on_delivery)
        self.lines += [QuotaRefusal.model_validate_json(line) for line in value.split(b"\n")]

    def poll(self, timeout: float) -> int:  # noqa: ARG002 - as the real one
        """Acknowledge all, or hear of nothing."""
        if self.deaf:
            return 0
        waiting, self._waiting = self._waiting, []
        for on_delivery in waiting:
            on_delivery(self.error, None)
        return len(waiting)

    def purge(self) -> None:
        """Give all back."""
        self.deaf = False
        self.error = KafkaError(KafkaError._PURGE_QUEUE)

    def flush(self, timeout: float) -> int:
        """Acknowledge all; nothing is left."""
        self.poll(timeout)
        return 0


@pytest.fixture
def clock() -> FakeClock:
    """A clock that moves when told."""
    return FakeClock(NOW)


def refusing(clock: FakeClock, outlet: FakeOutlet) -> Refusals:
    """Tell refusals to an outlet."""
    settings = QuotaSettings.from_environment({}, service="test")
    return Refusals(settings, "me", clock=clock, notices=Notices(clock.monotonic), connect=lambda: outlet)


def test_each_refusal_is_a_line(clock: FakeClock) -> None:
    """All refusals go out, a hundred lines a record, each with an id of its own and what was decided when."""
    outlet = FakeOutlet()
    refusals = refusing(clock, outlet)
    for number in range(250):
        refusals.add(REFUSED, NOW + number)
    refusals.turn()
    assert (refusals.told, refusals.lost) == (250, 0)
    assert len({line.refusal_id for line in outlet.lines}) == 250
    assert outlet.lines[7].refused_at.timestamp() == (NOW + 7) / 1000
    assert (outlet.lines[0].action, outlet.lines[0].limit) == ("refused", "5.000000000000")


def test_nobody_knowing_is_told_too(clock: FakeClock) -> None:
    """A call that was refused because nobody knows is a line without a limit; one let pass says warned."""
    outlet = FakeOutlet()
    refusals = refusing(clock, outlet)
    refusals.add(QuotaVerdict(allowed=False, reason="unknown"), NOW)
    refusals.add(QuotaVerdict(allowed=True, reason="soft", quota="t", unit="tokens", limit=9, spent=8), NOW)
    refusals.turn()
    unknown, soft = outlet.lines
    assert (unknown.action, unknown.reason, unknown.quota, unknown.limit) == ("refused", "unknown", "", None)
    assert (soft.action, soft.limit, soft.spent) == ("warned", "9", "8")


def test_a_fork_costs_no_refusal(clock: FakeClock) -> None:
    """What is not acknowledged when the client is let go of is sent by the next one, as the same lines."""
    outlets = [FakeOutlet(), FakeOutlet()]
    settings = QuotaSettings.from_environment({}, service="test")
    unused = iter(outlets)
    refusals = Refusals(settings, "me", clock=clock, notices=Notices(clock.monotonic), connect=lambda: next(unused))
    refusals.disconnect()
    refusals.add(REFUSED, NOW)
    outlets[0].deaf = True
    refusals.turn()
    refusals.disconnect()
    assert refusals.told == 0
    refusals.turn()
    assert (refusals.told, refusals.lost) == (1, 0)
    assert outlets[0].lines == outlets[1].lines != []


def test_the_log_says_it_once_a_minute_and_key(clock: FakeClock, caplog: pytest.LogCaptureFixture) -> None:
    """However many calls are refused, a quota and key is one line at once, and one a minute later with the count.

    u1, u2 at 0 s: two lines; at 60 s both are due, u2's before its refusal of that second is counted.
    """
    outlet = FakeOutlet()
    refusals = refusing(clock, outlet)
    with caplog.at_level(logging.WARNING):
        for second in range(120):
            for user in ("u1", "u2"):
                refusals.add(
                    QuotaVerdict(allowed=False, reason="hard", quota="a user", series="user_id", key=(user,)), NOW
                )
            clock.seconds = float(second)
            refusals.turn()
    said = [message for message in caplog.messages if "a quota refuses calls" in message]
    assert len(said) == 4
    assert sum("u1" in message for message in said) == 2
    assert sum(int(message.split("count=")[1].split()[0]) for message in said) == 2 * 61 - 1  # one is still to be said


def test_a_storm_names_no_more_than_a_hundred_keys(clock: FakeClock, caplog: pytest.LogCaptureFixture) -> None:
    """Refusals of very many keys are lines of the topic, and not of the log."""
    outlet = FakeOutlet()
    refusals = refusing(clock, outlet)
    for user in range(500):
        refusals.add(
            QuotaVerdict(allowed=False, reason="hard", quota="a user", series="user_id", key=(f"u{user}",)), NOW
        )
    refusals.turn()
    assert len(outlet.lines) == 500
    assert len(caplog.messages) == 101
    assert "refuses calls of more keys than are named here" in caplog.messages[-1]


def test_what_does_not_fit_is_counted(clock: FakeClock, caplog: pytest.LogCaptureFixture) -> None:
    """While the broker takes nothing, 10,000 wait and the rest is lost, counted and logged; then they go out."""
    outlet = FakeOutlet(room=0)
    refusals = refusing(clock, outlet)
    for _ in range(10_003):
        refusals.add(REFUSED, NOW)
    refusals.turn()
    assert (refusals.told, refusals.lost) == (0, 3)
    assert "too many wait for the broker" in caplog.text
    outlet.room = 1_000
    refusals.turn()
    assert (refusals.told, refusals.lost) == (10_000, 3)


def test_what_cannot_be_written_stops_nothing(clock: FakeClock, caplog: pytest.LogCaptureFixture) -> None:
    """A refusal at a time that no table can hold is lost, and its neighbours are not."""
    outlet = FakeOutlet()
    refusals = refusing(clock, outlet)
    refusals.add(REFUSED, 0)
    refusals.add(REFUSED, NOW)
    refusals.turn()
    assert (refusals.told, refusals.lost) == (1, 1)
    assert "cannot be written" in caplog.text


def test_what_the_broker_refuses_is_lost(clock: FakeClock, caplog: pytest.LogCaptureFixture) -> None:
    """A record that the broker will not take is counted and logged, and does not come again."""
    refusals = refusing(clock, FakeOutlet(error=KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED)))
    refusals.add(REFUSED, NOW)
    refusals.turn()
    assert (refusals.told, refusals.lost) == (0, 1)
    assert "the broker did not take them" in caplog.text


def test_the_end_says_what_is_left(clock: FakeClock, caplog: pytest.LogCaptureFixture) -> None:
    """What could not be sent by the end is counted in the log."""
    refusals = refusing(clock, FakeOutlet(room=0))
    refusals.add(REFUSED, NOW)
    refusals.end(0.1)
    assert "refusals were not sent" in caplog.text


def test_a_guard_can_be_played() -> None:
    """The double of tests refuses by what it was given, keeps what it said, and loses sight when told."""
    with FakeQuotaGuard(quota_unknown="refuse") as guard:
        guard.limit("a user", hard=5, soft=4, series="user_id", key=["*"])
        guard.limit("tokens", hard=100, unit="tokens")
        guard.spend("a user", "4.50", key=["u1"])
        assert guard.wait_until_known()
        assert guard.check(user_id="u1").reason == "soft"
        assert guard.verdict(user_id="u1", estimate_usd=1).reason == "hard"
        with guard.reserve(estimate_tokens=60):
            assert guard.verdict(estimate_tokens=41).quota == "tokens"
        assert guard.hold(30, estimate_tokens=40).allowed
        assert not guard.hold(30, estimate_tokens=1).allowed
        assert [verdict.reason for verdict in guard.refusals] == ["soft", "hard", "hard", "hard"]
        guard.set_known(False)
        assert guard.verdict().reason == "unknown"


def test_the_environment_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    """A disabled process refuses nothing and needs no settings; otherwise a slip is an error at once."""
    monkeypatch.setenv("SPENDGAUGE_DISABLED", "1")
    with creating() as guard:
        assert isinstance(guard, NullQuotaGuard)
        assert guard.check(user_id="u1", estimate_usd=10**6).allowed
    monkeypatch.delenv("SPENDGAUGE_DISABLED")
    with pytest.raises(ConfigurationError, match="name the service"):
        creating()
    with pytest.raises(ConfigurationError, match="SPENDGAUGE_QUOTA_UNKNOWN='maybe' cannot be used"):
        creating(service="test", quota_unknown="maybe")
    with pytest.raises(ConfigurationError, match="give either settings or fields"):
        QuotaGuard(QuotaSettings.from_environment({}, service="test"), service="other")
