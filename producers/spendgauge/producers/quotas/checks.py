"""May this call be made? Answered from memory, whoever filled it: the guard's thread, or a test."""

from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import Any, Final, NamedTuple, Self

from spendgauge.producers.context import as_written, within
from spendgauge.producers.quotas.amounts import Money, milliseconds, picodollars_up, whole_tokens
from spendgauge.producers.quotas.balances import Balances, Hold, Seen
from spendgauge.producers.quotas.board import Board
from spendgauge.producers.quotas.call import QuotaCall
from spendgauge.producers.quotas.settings import QuotaSettings
from spendgauge.producers.quotas.verdict import FINE, Number, QuotaVerdict, Reason, number
from spendgauge.schemas import DIMENSIONS, Clock, SystemClock
from spendgauge.schemas.moments import utc_time

__all__ = ["QuotaChecks", "QuotaState"]

_NAMES: Final = frozenset({"provider", "model", *DIMENSIONS})
_DAY_MS: Final = 86_400_000
_UNSEEN_MS: Final = 3_600_000
"""How often a key is warned of that nothing is known of: nor is when its period ends."""


class QuotaState(NamedTuple):
    """How one quota stands that a call falls under."""

    verdict: QuotaVerdict
    """What a call that costs nothing would hear of this quota alone."""
    soft: Number | None
    hard: Number | None


class QuotaChecks:
    """Answers checks and keeps account of calls under way. Any thread may ask; nothing waits for the network."""

    def __init__(self, settings: QuotaSettings, *, clock: Clock | None = None, board: Board | None = None) -> None:
        self.settings = settings
        self._clock = clock or SystemClock()
        self._now_ms = self._clock.now_ms
        self._board = board or Board()
        self._balances = Balances(self._board, settings, self._now_ms)
        self._defaults: Mapping[str, str] = settings.defaults
        self._pseudonyms = settings.pseudonyms
        self._refuses = settings.quota_mode == "refuse"
        self._processes = settings.quota_processes
        self._must_know = settings.quota_unknown == "refuse"

    @property
    def known(self) -> bool:
        """Whether it is known what is spent: all was read, and no clock of the watcher is older than allowed."""
        return self._balances.is_known(self._now_ms())

    def check(self, *, estimate_usd: Money = 0, estimate_tokens: int = 0, **dimensions: str | None) -> QuotaVerdict:
        """Say whether a call may be made that is expected to cost so much; nothing is held for it.

        ``dimensions`` are those that its event will have, with ``provider`` and ``model``; what ``usage_context`` and
        the settings say is filled in, as it is in the event, and integers and UUIDs are read as text. Raises
        ``QuotaExceeded`` at a hard limit, ``QuotaUnknown`` where nobody knows and ``quota_unknown`` is ``refuse``,
        ``TypeError`` for what is no dimension or no value of one, and ``ValueError`` for an estimate that is no amount.
        """
        verdict = self.verdict(estimate_usd=estimate_usd, estimate_tokens=estimate_tokens, **dimensions)
        if not verdict.allowed:
            raise verdict.error()
        return verdict

    def verdict(self, *, estimate_usd: Money = 0, estimate_tokens: int = 0, **dimensions: str | None) -> QuotaVerdict:
        """Say the same as ``check``, where the answer is no as well."""
        return self._judge(self._who(dimensions), picodollars_up(estimate_usd), whole_tokens(estimate_tokens))

    def reserve(self, *, estimate_usd: Money = 0, estimate_tokens: int = 0, **dimensions: str | None) -> QuotaCall:
        """Check a call when the block begins, and hold what it may cost until it is known to be spent.

            with guard.reserve(user_id="user-7", estimate_usd="0.05") as call:
                answer = ask()
                call.spent(usd="0.012")

        Raises as ``check``, when the block begins. Calls that run at the same time know of each other what they
        estimate: without an estimate, nothing.
        """
        return QuotaCall(self, self._who(dimensions), picodollars_up(estimate_usd), whole_tokens(estimate_tokens))

    def hold(
        self, seconds: float, *, estimate_usd: Money = 0, estimate_tokens: int = 0, **dimensions: str | None
    ) -> QuotaVerdict:
        """Check a call that ends within so many seconds, and hold its estimate until then and until it is spent.

        For those who cannot say when it has ended, and at what cost. Raises nothing where the answer is no, and
        ``ValueError`` for more than a day.
        """
        usd, tokens, after_ms = picodollars_up(estimate_usd), whole_tokens(estimate_tokens), milliseconds(seconds)
        verdict, holds = self.begin(self._who(dimensions), usd, tokens)
        self._balances.end(holds, usd, tokens, after_ms=after_ms)
        return verdict

    def standings(self, **dimensions: str | None) -> list[QuotaState]:
        """Say how each quota stands that such a call falls under: to show it, not to decide by it."""
        who = self._who(dimensions)
        with self._board.lock:
            return [self._state(seen) for seen in self._balances.look(self._board.matching(who), self._now_ms())]

    def begin(self, who: Mapping[str, str], picodollars: int, tokens: int) -> tuple[QuotaVerdict, list[Hold]]:
        """Check a call and, where it may be made, hold what it may cost, in one step; ``end`` must follow."""
        holds: list[Hold] = []
        return self._judge(who, picodollars, tokens, holds), holds

    def end(self, holds: Iterable[Hold], picodollars: int | None, tokens: int | None) -> None:
        """Hold, from now on, what the call has cost; where that is not known, its estimate."""
        self._balances.end(holds, picodollars, tokens)

    def wait_until_known(self, timeout_seconds: float = 10.0) -> bool:  # noqa: ARG002 - for those who wait
        """Say whether it is known what is spent."""
        return self.known

    def close(self, timeout_seconds: float = 5.0) -> None:
        """End what runs behind it; it still answers from what it knew."""

    def __enter__(self) -> Self:
        """Use it as a context manager."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        self.close()

    def _judge(self, who: Mapping[str, str], usd: int, tokens: int, holds: list[Hold] | None = None) -> QuotaVerdict:
        now_ms = self._now_ms()
        if self._must_know and not self._balances.is_known(now_ms):
            return self._told(QuotaVerdict(allowed=not self._refuses, reason="unknown"), now_ms)
        hard: Seen | None = None
        soft: Seen | None = None
        with self._board.lock:
            matches = self._board.matching(who)
            for seen in self._balances.look_near(matches, usd, tokens, now_ms):
                quota = seen.quota
                estimate = usd if quota.unit == "usd" else tokens
                if seen.is_beyond(quota.hard, estimate, self._processes):
                    hard = seen if hard is None else max(hard, seen, key=_resets)
                elif seen.is_beyond(quota.soft, estimate):
                    soft = soft or seen
            if holds is not None and (hard is None or not self._refuses):
                holds += self._balances.hold_all(matches, usd, tokens)
            if hard is not None:
                return self._told(self._verdict(hard, "hard", usd, tokens), now_ms)
            return FINE if soft is None else self._warned(soft, usd, tokens, now_ms)

    def _warned(self, seen: Seen, usd: int, tokens: int, now_ms: int) -> QuotaVerdict:
        """Warn, and tell of it once a quota, key and period; of a rolling one once in its days."""
        verdict, days = self._verdict(seen, "soft", usd, tokens), seen.quota.limit.days
        if seen.quota.warned.get(seen.key, 0) > now_ms:
            return verdict
        seen.quota.warned[seen.key] = seen.resets_at_ms or now_ms + (days * _DAY_MS if days else _UNSEEN_MS)
        return self._told(verdict, now_ms)

    def _state(self, seen: Seen) -> QuotaState:
        quota = seen.quota
        hard_is_reached = seen.is_beyond(quota.hard, 0, self._processes)
        reason: Reason = "hard" if hard_is_reached else "soft" if seen.is_beyond(quota.soft, 0) else "ok"
        soft, hard = (None if limit is None else number(limit, quota.unit) for limit in (quota.soft, quota.hard))
        return QuotaState(self._verdict(seen, reason, 0, 0), soft, hard)

    def _verdict(self, seen: Seen, reason: Reason, usd: int, tokens: int) -> QuotaVerdict:
        quota, unit = seen.quota, seen.quota.unit
        limit = quota.soft if reason == "soft" or quota.hard is None else quota.hard
        return QuotaVerdict(
            allowed=reason != "hard" or not self._refuses,
            reason=reason,
            quota=quota.limit.name,
            series=quota.limit.series,
            key=seen.key,
            unit=unit,
            limit=None if limit is None else number(limit, unit),
            spent=number(seen.spent, unit),
            reserved=number(seen.held, unit),
            estimate=number(usd if unit == "usd" else tokens, unit),
            resets_at=None if seen.resets_at_ms is None else utc_time(seen.resets_at_ms),
            processes=self._processes,
        )

    def _told(self, verdict: QuotaVerdict, now_ms: int) -> QuotaVerdict:  # noqa: ARG002 - for those who tell somebody
        """Tell of a call that was refused or warned of."""
        return verdict

    def _who(self, dimensions: dict[str, Any]) -> dict[str, str]:
        """Say what the call's event will say of whom it is for."""
        if not dimensions.keys() <= _NAMES:
            unknown = min(dimensions.keys() - _NAMES)
            raise TypeError(f"{unknown} is no dimension of a usage event; use one of {', '.join(sorted(_NAMES))}")
        for value in dimensions.values():
            if type(value) is not str:
                dimensions = _written(dimensions)
                break
        who: dict[str, Any] = {**self._defaults, **within(dimensions)}
        if self._pseudonyms is not None:
            self._pseudonyms.replace(who)
        return who


def _written(dimensions: Mapping[str, Any]) -> dict[str, Any]:
    """Write values as their event has them; None is not given."""
    told = {name: as_written(value) for name, value in dimensions.items() if value is not None}
    for name, value in told.items():
        if not isinstance(value, str):
            kind = type(value).__name__
            raise TypeError(f"{name} is of type {kind}, which no event can hold; give text, an integer or a UUID")
    return {name: str.__str__(value) for name, value in told.items()}


def _resets(seen: Seen) -> int:
    return seen.resets_at_ms or 0
