"""What does a call hold of its quotas, from its beginning until it is known what it cost?"""

from collections.abc import Mapping
from threading import Lock
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

from spendgauge.producers.notices import Notices
from spendgauge.producers.quotas.amounts import Money, Usages, cost_of, picodollars_up, whole_tokens
from spendgauge.producers.quotas.balances import Hold
from spendgauge.producers.quotas.verdict import FINE, QuotaVerdict
from spendgauge.schemas import SystemClock

if TYPE_CHECKING:
    from spendgauge.producers.quotas.checks import QuotaChecks

__all__ = ["QuotaCall"]

_notices: Final = Notices(SystemClock().monotonic)


class QuotaCall:
    """One call that is checked when its block begins; what ``QuotaChecks.reserve`` gives."""

    def __init__(self, checks: "QuotaChecks", who: Mapping[str, str], picodollars: int, tokens: int) -> None:
        self.verdict: QuotaVerdict = FINE
        """What was said when the block began: whether a limit is reached that does not stop it."""
        self._checks = checks
        self._asked = (who, picodollars, tokens)
        self._under_way = Lock()
        self._holds: list[Hold] = []
        self._picodollars: int | None = None
        self._tokens: int | None = None

    def spent(self, usage: Usages | None = None, /, *, usd: Money | None = None, tokens: int | None = None) -> None:
        """Say what the call has cost: by what it used (as adapters give it), or in USD, in tokens, or both.

        What is not said, or has no price, stays at its estimate. It raises nothing, for the call is made, and its
        answer must not be lost: what cannot be read, or is said outside the block, is logged, and the estimate stays.
        Said again, the last word counts.
        """
        if not self._under_way.locked():
            _notices.report("what a call has cost was said outside its block; its estimate stays")
            return
        try:
            if usage is not None:
                self._picodollars, self._tokens = cost_of(usage, self._checks.settings.prices)
            cost = None if usd is None else picodollars_up(usd)
            count = None if tokens is None else whole_tokens(tokens)
        except Exception as error:  # noqa: BLE001 - whatever was given: the caller has an answer to bring home
            _notices.report("what a call has cost cannot be read; its estimate stays", reason=str(error)[:400])
            return
        self._picodollars = self._picodollars if cost is None else cost
        self._tokens = self._tokens if count is None else count

    def __enter__(self) -> Self:
        """Check the call; raises ``QuotaExceeded`` or ``QuotaUnknown`` where it may not be made.

        Raises ``RuntimeError`` inside its own block: one reservation holds one call at a time.
        """
        if not self._under_way.acquire(blocking=False):
            raise RuntimeError("this reservation holds a call already; make one for each call, with guard.reserve()")
        try:
            self._picodollars = self._tokens = None
            self.verdict, self._holds = self._checks.begin(*self._asked)
            if not self.verdict.allowed:
                raise self.verdict.error()
        except BaseException:
            self._under_way.release()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Hold what the call has cost, until it is known to be spent."""
        holds, self._holds = self._holds, []
        self._checks.end(holds, self._picodollars, self._tokens)
        self._under_way.release()
