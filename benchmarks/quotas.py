"""How long does a check hold its caller up, with few limits and with many, and 100,000 users who have spent?"""

from collections.abc import Callable, Iterable
from time import thread_time_ns
from typing import Final

from benchmarks.report import Sheet, figure
from spendgauge.producers.quotas import QuotaChecks, QuotaSettings
from spendgauge.producers.quotas.board import Board
from spendgauge.schemas import QuotaClock, QuotaLimit, QuotaStanding, SystemClock

__all__ = ["measure_quotas"]

_USERS: Final = 100_000
_CALLS: Final = 20_000
_LIMITS: Final = (1, 10, 1_000)
_EACH: Final = (
    "user_id",
    "total",
    "team",
    "feature",
    "feature+model",
    "provider+model",
    "api_key_id",
    "agent",
    "tenant",
    "environment",
)
"""A limit for each key of these series, the first ten; the others name a value that no call has."""

_NAMED: Final = ("user_id", "team", "feature", "api_key_id", "agent")


def measure_quotas(*, rounds: int) -> Sheet:
    """Check so many calls of users by chance, each with nine dimensions and far from its limits."""
    rows = []
    for limits in _LIMITS:
        checks = _filled(limits)
        asking = (("check", _check(checks)), ("reserve, spent", _reserve(checks)), ("check after", _check(checks)))
        for what, ask in asking:
            took = min((_timed(ask) for _ in range(rounds)), key=sum)
            cells = (took[len(took) // 2], took[len(took) * 99 // 100], took[len(took) * 999 // 1000])
            rows.append((what, f"{limits:,}", f"{min(limits, len(_EACH))}", *(figure(ns / 1000) for ns in cells)))
    head = ("what", "limits", "of them of each call", "p50 µs", "p99 µs", "p99.9 µs")
    notes = (
        f"{_USERS:,} standings, {_CALLS:,} calls one after the other; processor time, the quickest of {rounds} rounds. "
        "check after: of accounts that hold what the reservations before have cost.",
    )
    return Sheet("a guard's answers", head, rows, notes)


def _filled(limits: int) -> QuotaChecks:
    board = Board()
    settings = QuotaSettings.from_environment({}, service="bench", quota_settle_seconds=0)
    now_ms = SystemClock().now_ms()
    for number in range(limits):
        board.apply(*_limit(number).entry())
    for user in range(_USERS):
        board.apply(*_standing(f"user-{user}", now_ms).entry())
    board.apply(*QuotaClock(kind="clock", partition=0, as_of_ms=now_ms).entry())
    board.complete = True
    return QuotaChecks(settings, board=board)


def _limit(number: int) -> QuotaLimit:
    series = _EACH[number] if number < len(_EACH) else _NAMED[number % len(_NAMED)]
    places = 0 if series == "total" else series.count("+") + 1
    return QuotaLimit(
        kind="limit",
        name=f"limit {number}",
        series=series,
        key=("*",) * places if number < len(_EACH) else (f"other-{number}",),
        unit="usd",
        soft="900000.000000000000",
        hard="1000000.000000000000",
        period="month",
        days=None,
        time_zone="UTC",
    )


def _standing(user: str, now_ms: int) -> QuotaStanding:
    return QuotaStanding(
        kind="standing",
        name="limit 0",
        series="user_id",
        key=(user,),
        unit="usd",
        spent="12.340000000000",
        period_start=now_ms // 1000 - 86_400,
        resets_at=now_ms // 1000 + 86_400,
        as_of_ms=now_ms,
        state="ok",
        partition=0,
    )


def _who(user: int) -> dict[str, str]:
    return {
        "user_id": f"user-{user}",
        "team": "search",
        "feature": "triage",
        "agent": "planner",
        "api_key_id": "key-1",
        "tenant": "acme",
        "environment": "production",
        "provider": "anthropic",
        "model": "claude-haiku-4-5",
    }


def _check(checks: QuotaChecks) -> Callable[[dict[str, str]], object]:
    return lambda who: checks.check(estimate_usd="0.05", estimate_tokens=0, **who)


def _reserve(checks: QuotaChecks) -> Callable[[dict[str, str]], object]:
    def ask(who: dict[str, str]) -> None:
        with checks.reserve(estimate_usd="0.05", estimate_tokens=0, **who) as call:
            call.spent(usd="0.01")

    return ask


def _timed(ask: Callable[[dict[str, str]], object]) -> list[int]:
    """Take the processor time of each call, in nanoseconds, sorted: others may use the machine."""
    took = []
    for who in _asked():
        begin = thread_time_ns()
        ask(who)
        took.append(thread_time_ns() - begin)
    return sorted(took)


def _asked() -> Iterable[dict[str, str]]:
    return (_who(number * 7_919 % _USERS) for number in range(_CALLS))
