"""How does each quota stand for one call? What is spent by all, and what this process holds of it."""

from collections.abc import Callable, Iterable
from typing import NamedTuple

from spendgauge.producers.quotas.board import Board
from spendgauge.producers.quotas.index import Matches, Quota, Standing
from spendgauge.producers.quotas.pending import Pending
from spendgauge.producers.quotas.settings import QuotaSettings

__all__ = ["Balances", "Hold", "Seen"]


class Seen(NamedTuple):
    """How one quota stands for one call, in picodollars or tokens."""

    quota: Quota
    key: tuple[str, ...]
    spent: int
    held: int
    resets_at_ms: int | None

    def is_beyond(self, limit: int | None, estimate: int, processes: int = 1) -> bool:
        """Whether a limit is reached or the call would go beyond it; of what is left each process has a part."""
        total = self.spent + self.held * processes
        return limit is not None and (total >= limit or total + estimate * processes > limit)


class Hold(NamedTuple):
    """What a call under way holds of one quota."""

    quota: Quota
    key: tuple[str, ...]
    amount: int


class Balances:
    """A board, and the time that makes it old. ``look`` and ``hold_all`` belong under ``board.lock``."""

    def __init__(self, board: Board, settings: QuotaSettings, now_ms: Callable[[], int]) -> None:
        self._board = board
        self._now_ms = now_ms
        self._processes = settings.quota_processes
        self._stale_ms = round(settings.quota_stale_seconds * 1000)
        self._settle_ms = round(settings.quota_settle_seconds * 1000)
        self._hold_ms = round(settings.quota_hold_seconds * 1000)

    def is_known(self, now_ms: int) -> bool:
        """Whether it is known what is spent: all was read, and no clock of the watcher is older than allowed."""
        return self._board.is_known(now_ms, self._stale_ms)

    def look(self, matches: Matches, now_ms: int) -> list[Seen]:
        """Say of each quota what is spent and what is held."""
        return [self._seen(quota, key, now_ms) for quota, key in matches]

    def look_near(self, matches: Matches, usd: int, tokens: int, now_ms: int) -> list[Seen]:
        """Say it of those alone whose limits a call may reach: mostly of none."""
        near, processes = [], self._processes
        for quota, key in matches:
            most = usd if quota.unit == "usd" else tokens
            if quota.pending:
                pending = quota.pending.get(key)
                if pending is not None:
                    most += pending.open + pending.settled
            standing = quota.standings.get(key)
            if most * processes + (0 if standing is None else standing.spent) >= quota.lowest:
                near.append(self._seen(quota, key, now_ms))
        return near

    def hold_all(self, matches: Matches, usd: int, tokens: int) -> list[Hold]:
        """Hold what a call may cost of each quota."""
        holds = []
        for quota, key in matches:
            amount = usd if quota.unit == "usd" else tokens
            if amount:
                _pending_of(quota, key).open += amount
            holds.append(Hold(quota, key, amount))
        return holds

    def end(self, holds: Iterable[Hold], picodollars: int | None, tokens: int | None, *, after_ms: int = 0) -> None:
        """Hold, from now on, what the call has cost that ends ``after_ms``; where it is not known, its estimate."""
        ended_ms = self._now_ms() + after_ms
        with self._board.lock:
            for quota, key, amount in holds:
                cost = picodollars if quota.unit == "usd" else tokens
                cost = amount if cost is None else cost
                if not (amount or cost):
                    continue
                pending = _pending_of(quota, key)
                pending.open = max(0, pending.open - amount)  # below 0 where a fork has forgotten the hold
                if cost:
                    pending.settle(cost, ended_ms)

    def sweep(self) -> None:
        """Let go of what is held no more, and of what was said of periods that are over, key after key.

        A check does the first only where a limit is near. A period's end is waited out for as long as its last costs
        may be held.
        """
        now_ms = self._now_ms()
        for quota in self._board.quotas:
            for key in list(quota.pending):
                with self._board.lock:
                    self._seen(quota, key, now_ms)
            for key in [key for key, until_ms in list(quota.warned.items()) if until_ms <= now_ms]:
                quota.warned.pop(key, None)
        self._board.sweep(now_ms - self._hold_ms)

    def _seen(self, quota: Quota, key: tuple[str, ...], now_ms: int) -> Seen:
        standing = quota.standings.get(key)
        pending = quota.pending.get(key)
        if standing is None:
            held = 0 if pending is None else self._held(quota, key, pending, now_ms)
            return Seen(quota, key, 0, held, None)
        spent, since_ms, resets_at_ms = standing.spent, standing.period_start_ms, standing.resets_at_ms
        if resets_at_ms is None:
            if not self.is_known(now_ms):
                spent = 0  # what a rolling period has forgotten meanwhile, only the watcher knows
        elif resets_at_ms <= now_ms:
            spent, since_ms, resets_at_ms = 0, resets_at_ms, None
        held = 0 if pending is None else self._held(quota, key, pending, now_ms, since_ms, standing)
        return Seen(quota, key, spent, held, resets_at_ms)

    def _held(
        self,
        quota: Quota,
        key: tuple[str, ...],
        pending: Pending,
        now_ms: int,
        since_ms: int = 0,
        standing: Standing | None = None,
    ) -> int:
        """Say what is held of this period that the standing does not have yet."""
        included_ms = self._board.fresh_ms(standing) - self._settle_ms
        held = pending.held(max(since_ms, included_ms, now_ms - self._hold_ms))
        if pending.empty:
            del quota.pending[key]
        return held


def _pending_of(quota: Quota, key: tuple[str, ...]) -> Pending:
    pending = quota.pending.get(key)
    if pending is None:
        pending = quota.pending[key] = Pending()
    return pending
