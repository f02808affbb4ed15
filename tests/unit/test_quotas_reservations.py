"""Is what is under way held until it is known to be spent, and no longer?"""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from functools import partial
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.producers import FakeClock
from tests.quotas import Answering, limit, standing, ticked

from spendgauge.producers.notices import Notices
from spendgauge.producers.quotas import QuotaExceeded, call
from spendgauge.producers.quotas.pending import Pending
from spendgauge.schemas import UsageEvent
from spendgauge.schemas.quotas import limit_key

NOW = 1_800_000_000_000
SETTLE_MS = 10_000
DAY_MS = 86_400_000


@pytest.fixture
def clock() -> FakeClock:
    """A clock that moves when told."""
    return FakeClock(NOW)


@pytest.fixture
def guard(clock: FakeClock) -> Iterator[Answering]:
    """Each user may spend 5 dollars; the watcher has just said so."""
    answering = Answering(clock)
    answering.take(limit("a user", hard=5), ticked(NOW))
    yield answering
    assert [
        pending.open for quota in answering.board.quotas for pending in quota.pending.values() if pending.open
    ] == []


def reserved(guard: Answering, user: str = "u1") -> Decimal | int:
    """Say what is held."""
    return guard.standings(user_id=user)[0].verdict.reserved


def test_an_estimate_is_held_until_the_call_ends(guard: Answering) -> None:
    """Calls under way count with what they may cost, each user's for itself; one that is refused holds nothing."""
    with guard.reserve(user_id="u1", estimate_usd=3) as call:
        assert call.verdict.allowed
        with pytest.raises(QuotaExceeded, match=r"0\.00 USD is spent and 3\.00 USD is held for calls not counted yet"):
            guard.reserve(user_id="u1", estimate_usd="2.01").__enter__()
        with guard.reserve(user_id="u1", estimate_usd=2), guard.reserve(user_id="u2", estimate_usd=5):
            assert (reserved(guard), reserved(guard, "u2")) == (5, 5)
        call.spent(usd="0.25")
    assert reserved(guard) == Decimal("2.25")


def test_a_cost_is_held_until_the_watcher_has_it(guard: Answering, clock: FakeClock) -> None:
    """What a call has cost is held until a clock says that all up to its end, and the way through, is included.

    ended 12:00:00            clock 12:00:10.999        clock 12:00:11
      ├── settle 10 s ────────────┤ (a second's bucket)     ▲ released
    """
    with guard.reserve(user_id="u1", estimate_usd=3) as call:
        call.spent(usd=4)
    clock.wall_ms += 5_000
    guard.take(standing("a user", 4, as_of_ms=NOW + SETTLE_MS + 999))
    assert guard.verdict(user_id="u1").reserved == 4
    guard.take(ticked(NOW + SETTLE_MS + 1000))
    assert reserved(guard) == 0
    assert guard.verdict(user_id="u1", estimate_usd=1).allowed


def test_a_key_without_a_standing_waits_for_the_slowest_clock(guard: Answering) -> None:
    """Where nothing is said of a key, any partition may have it: the cost is held until the last clock has passed."""
    guard.take(ticked(NOW, partition=1))
    with guard.reserve(user_id="u1", estimate_usd=3):
        pass
    guard.take(ticked(NOW + 60_000))
    assert reserved(guard) == 3
    guard.take(standing("a user", 3, as_of_ms=NOW))
    assert reserved(guard) == 0


def test_a_cost_is_not_held_for_ever(guard: Answering, clock: FakeClock) -> None:
    """While the watcher is silent a cost is held for quota_hold_seconds, and then let go."""
    with guard.reserve(user_id="u1", estimate_usd=3):
        pass
    clock.wall_ms += 900_000
    assert reserved(guard) == 3
    clock.wall_ms += 1_000
    assert reserved(guard) == 0


def test_a_period_takes_its_costs_along(guard: Answering, clock: FakeClock) -> None:
    """A call counts in the period in which it ended: those of the old one are let go when the new one begins."""
    guard.take(standing("a user", 1, resets_at=NOW // 1000 + 100))
    with guard.reserve(user_id="u1", estimate_usd=1) as long:
        with guard.reserve(user_id="u1", estimate_usd=2):
            pass
        clock.wall_ms += 100_000
        with guard.reserve(user_id="u1", estimate_usd=1):
            pass
        assert reserved(guard) == 2
        long.spent(usd=0)
    assert reserved(guard) == 1


def test_what_is_not_said_stays_at_its_estimate(guard: Answering) -> None:
    """A call that fails, or whose cost nobody tells, knows or can read, counts with its estimate, and goes on."""
    with pytest.raises(KeyError), guard.reserve(user_id="u1", estimate_usd=1):
        raise KeyError
    with guard.reserve(user_id="u1", estimate_usd=1) as call:
        call.spent({"provider": "nobody", "model": "unheard-of", "output_tokens": 7})
    with guard.reserve(user_id="u1", estimate_usd=1) as call:
        call.spent({"provider": "anthropic", "model": "claude-haiku-4-5", "output_tokens": -7})
    assert reserved(guard) == 3


@pytest.mark.parametrize(
    "said",
    [
        {"usd": 0.012},
        {"usd": "-5"},
        {"usd": "five"},
        {"usd": object()},
        {"tokens": -1},
        {"tokens": 1.5},
        {"tokens": "7"},
    ],
)
def test_an_answer_is_not_lost_for_a_wrong_cost(
    guard: Answering, said: Any, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a paid call nothing is raised whatever its cost is said to be: it is logged, and the estimate stays."""
    monkeypatch.setattr(call, "_notices", Notices(FakeClock(NOW).monotonic))
    guard.take(limit("tokens", hard=1000, unit="tokens"))
    with guard.reserve(user_id="u1", estimate_usd=1, estimate_tokens=9) as reservation:
        reservation.spent(**said)
    assert [state.verdict.reserved for state in guard.standings(user_id="u1")] == [1, 9]
    assert "what a call has cost cannot be read; its estimate stays" in caplog.text


def test_a_cost_is_said_inside_the_block(
    guard: Answering, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is said after the block, when the estimate counts already, is logged, and counts for no later call."""
    monkeypatch.setattr(call, "_notices", Notices(FakeClock(NOW).monotonic))
    reservation = guard.reserve(user_id="u1", estimate_usd=1)
    with reservation:
        pass
    reservation.spent(usd=3)
    with reservation:
        pass
    assert reserved(guard) == 2
    assert caplog.text.count("what a call has cost was said outside its block; its estimate stays") == 1


def test_one_reservation_holds_one_call(guard: Answering) -> None:
    """A block cannot begin inside itself: that is a sentence, holds nothing, and the block ends as always."""
    reservation = guard.reserve(user_id="u1", estimate_usd=1)
    with reservation:
        with pytest.raises(RuntimeError, match="this reservation holds a call already; make one for each call"):
            reservation.__enter__()
        assert reserved(guard) == 1
        reservation.spent(usd=2)
    assert reserved(guard) == 2


@pytest.mark.parametrize(
    ("seconds", "error"),
    [(float("nan"), ValueError), (float("inf"), ValueError), (-30, ValueError), (86_401, ValueError), ("9", TypeError)],
)
def test_a_time_that_cannot_be_holds_nothing(guard: Answering, seconds: Any, error: type[Exception]) -> None:
    """How long a call may take is looked at before anything is held for it."""
    with pytest.raises(error):
        guard.hold(seconds, user_id="u1", estimate_usd=1)
    assert reserved(guard) == 0


def test_a_long_hold_keeps_no_short_one(guard: Answering) -> None:
    """A call that is held for ten minutes does not keep what others have cost meanwhile."""
    guard.hold(600, user_id="u1", estimate_usd=1)
    with guard.reserve(user_id="u1", estimate_usd=3):
        pass
    assert reserved(guard) == 4
    guard.take(ticked(NOW + SETTLE_MS + 1000))
    assert reserved(guard) == 1


def test_a_usage_is_priced(guard: Answering) -> None:
    """What an adapter makes of an answer is enough: it is priced as calculate_cost does, and its tokens counted."""
    guard.take(limit("tokens", hard=1000, unit="tokens"))
    usage = {"provider": "anthropic", "model": "claude-haiku-4-5", "input_tokens": 100, "output_tokens": 300}
    event = UsageEvent.model_validate(
        {**usage, "event_id": "0190c5b0-3d6e-7c41-9f0e-2a6f1d0b7e55", "occurred_at": "2026-01-31T12:00:00Z"}
    )
    with guard.reserve(user_id="u1", estimate_usd=1, estimate_tokens=900) as call:
        call.spent([usage, event])
    usd, tokens = (state.verdict.reserved for state in guard.standings(user_id="u1"))
    assert (usd, tokens) == (Decimal("0.0032"), 800)


def test_processes_share_what_is_left(clock: FakeClock) -> None:
    """One of four processes holds at most a quarter of what is left, and warns at soft limits as before."""
    guard = Answering(clock, quota_processes=4)
    guard.take(limit("a user", soft=3, hard=10), standing("a user", 2, as_of_ms=NOW), ticked(NOW))
    with guard.reserve(user_id="u1", estimate_usd=1):
        assert guard.verdict(user_id="u1", estimate_usd="1.01").reason == "hard"
        with pytest.raises(QuotaExceeded, match="of what is left each of 4 processes has a part"):
            guard.check(user_id="u1", estimate_usd="1.01")
        assert guard.verdict(user_id="u1", estimate_usd=1).reason == "soft"


def test_without_an_estimate_calls_know_nothing_of_each_other(guard: Answering) -> None:
    """A call without an estimate holds nothing while it runs, and its cost from then on."""
    with guard.reserve(user_id="u1") as first, guard.reserve(user_id="u1") as second:
        assert reserved(guard) == 0
        first.spent(usd=3)
        second.spent(usd=3)
    with pytest.raises(QuotaExceeded):
        guard.check(user_id="u1")


def test_a_block_may_be_used_again(guard: Answering) -> None:
    """A reservation is made when its block begins, each time, and ended once."""
    call = guard.reserve(user_id="u1", estimate_usd=2)
    with call:
        call.spent(usd=1)
    with call:
        pass
    assert reserved(guard) == 3
    with call:
        pass
    with pytest.raises(QuotaExceeded):
        call.__enter__()


def test_parallel_callers_share_what_is_left(guard: Answering) -> None:
    """Of 64 threads that come at once just as many get through as their estimates fit into what is left."""
    at_once, let_go = threading.Barrier(32), threading.Event()

    def ask(_: int) -> bool:
        at_once.wait(20)
        try:
            with guard.reserve(user_id="u1", estimate_usd="0.30"):
                return let_go.wait(20)
        except QuotaExceeded:
            if sum(not verdict.allowed for verdict in guard.told) == 16:
                let_go.set()
            return False

    with ThreadPoolExecutor(32) as threads:
        passed = sum(threads.map(ask, range(32)))
    assert passed == 16  # of 5 USD, at 0.30 each
    assert reserved(guard) == Decimal("4.80")


def test_keys_that_nobody_asks_for_are_forgotten(guard: Answering) -> None:
    """What is held no more takes no memory, also of keys that are never asked for again."""
    for user in range(20):
        with guard.reserve(user_id=f"u{user}", estimate_usd=1):
            pass
    guard.take(ticked(NOW + SETTLE_MS + 1000))
    guard._balances.sweep()
    assert [len(quota.pending) for quota in guard.board.quotas] == [0]


def test_keys_of_past_days_take_no_memory(guard: Answering, clock: FakeClock) -> None:
    """Sessions that come for a day and never again leave nothing: neither standings, nor holds, nor warnings."""
    guard.take(limit("a day", soft=1, hard=5, period="day"))
    guard.take(limit("a week", "session_id", soft=1, hard=5, period="rolling", days=7))
    week = partial(standing, "a week", series="session_id")
    for day in range(20):
        clock.wall_ms = NOW + day * DAY_MS
        guard.take(ticked(clock.wall_ms))
        for number in range(20):
            key = (f"{day}-{number}",)
            guard.take(standing("a day", 2, key, resets_at=NOW // 1000 + (day + 1) * 86_400), week(2, key))
            guard.take(week(0, (f"{day - 7}-{number}",)))
            with guard.reserve(user_id=key[0], estimate_usd=1), guard.reserve(session_id=key[0], estimate_usd=1):
                pass
        clock.wall_ms += 1_000_000
        guard._balances.sweep()
    days, weeks = (quota for quota in guard.board.quotas if quota.limit.name != "a user")
    assert (len(days.standings), len(days.warned)) == (20, 20)
    assert (len(weeks.standings), len(weeks.warned)) == (7 * 20, 7 * 20)
    assert [len(quota.pending) for quota in guard.board.quotas] == [0, 0, 0]


def test_a_period_is_forgotten_when_its_costs_are(guard: Answering, clock: FakeClock) -> None:
    """A standing is dropped when its period is over for as long as costs are held: verdicts are as before."""
    guard.take(standing("a user", 5, resets_at=NOW // 1000 + 100, as_of_ms=NOW))
    clock.wall_ms += 99_999
    guard._balances.sweep()
    assert not guard.verdict(user_id="u1").allowed
    with guard.reserve(user_id="u2", estimate_usd=5):
        clock.wall_ms += 900_000
        guard._balances.sweep()
        assert len(guard.board.quotas[0].standings) == 1
        clock.wall_ms += 1
        guard._balances.sweep()
        assert len(guard.board.quotas[0].standings) == 0
        assert guard.verdict(user_id="u1", estimate_usd=5).allowed
        assert not guard.verdict(user_id="u2").allowed


def test_a_removed_quota_takes_no_memory(guard: Answering) -> None:
    """A quota that stays removed from one sweep to the next is forgotten; one that comes back meanwhile is not."""
    guard.take(standing("a user", 5), standing("before its limit", 5))
    for _ in range(2):
        guard.board.apply(limit_key("a user"), None)
        guard._balances.sweep()
        guard.take(limit("a user", hard=5))
        guard._balances.sweep()
        assert not guard.verdict(user_id="u1").allowed
    assert guard.board._standings.keys() == {("a user", "user_id", "usd")}
    guard.board.apply(limit_key("a user"), None)
    guard._balances.sweep()
    guard._balances.sweep()
    assert not guard.board._standings
    assert not guard.board._pending


def test_standings_may_be_read_before_their_limits(clock: FakeClock) -> None:
    """While the topic is read for the first time, which may take long, nothing is forgotten."""
    guard = Answering(clock)
    for line in (ticked(NOW), standing("a user", 5)):
        guard.board.apply(*line.entry())
    for _ in range(3):
        guard._balances.sweep()
    guard.take(limit("a user", hard=5))
    assert not guard.verdict(user_id="u1").allowed


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(-5_000, 5_000), st.integers(1, 9)), max_size=30), st.integers(0, 100_000))
def test_an_account_releases_what_ended_before(steps: list[tuple[int, int]], until_ms: int) -> None:
    """What ended after a moment is held, what ended more than a second before it is not, told in whatever order."""
    pending, now_ms, ended = Pending(), 0, []
    for step_ms, amount in steps:
        now_ms += step_ms
        pending.settle(amount, now_ms)
        ended.append((now_ms, amount))
    held = pending.held(until_ms)
    assert sum(amount for at, amount in ended if at >= until_ms) <= held
    assert held <= sum(amount for at, amount in ended if at > until_ms - 1000)
