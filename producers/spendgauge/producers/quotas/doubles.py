"""What stands in for a guard in tests of services, and where nothing is to be refused?

No network, no thread, no file.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from spendgauge.producers.quotas.amounts import Money, picodollars_up
from spendgauge.producers.quotas.board import Board
from spendgauge.producers.quotas.checks import QuotaChecks
from spendgauge.producers.quotas.settings import QuotaSettings
from spendgauge.producers.quotas.verdict import QuotaVerdict
from spendgauge.schemas import Clock, QuotaLimit, QuotaStanding
from spendgauge.schemas.moments import milliseconds_of
from spendgauge.schemas.quotas import Unit, amount_text

__all__ = ["FakeQuotaGuard", "NullQuotaGuard"]


class _OwnBoard(Board):
    """Needs no watcher to be believed."""

    def is_known(self, now_ms: int, stale_ms: int) -> bool:  # noqa: ARG002 - the overridden signature
        return self.complete


class NullQuotaGuard(QuotaChecks):
    """Knows no limit and refuses nothing: what ``SPENDGAUGE_DISABLED=1`` gives."""

    def __init__(self, service: str = "test", *, clock: Clock | None = None, **fields: Any) -> None:
        settings = QuotaSettings.from_environment({}, service=service, **fields)
        super().__init__(settings, clock=clock, board=_OwnBoard())
        self._board.complete = True


class FakeQuotaGuard(NullQuotaGuard):
    """Has the limits that a test gives it, and keeps what it was asked and answered.

        guard = FakeQuotaGuard()
        guard.limit("a user", hard="5", series="user_id", key=["*"])
        guard.spend("a user", "4.99", key=["user-7"])

    What calls cost is held for a day: there is no watcher that includes it. ``refusals`` are those told on
    ``cost.refusals`` by a real one, warnings too.
    """

    def __init__(self, service: str = "test", *, clock: Clock | None = None, **fields: Any) -> None:
        super().__init__(service, clock=clock, **{"quota_hold_seconds": 86_400, **fields})
        self.refusals: list[QuotaVerdict] = []
        self._limits: dict[str, QuotaLimit] = {}

    def limit(
        self,
        name: str,
        *,
        hard: Money | None = None,
        soft: Money | None = None,
        series: str = "total",
        key: Sequence[str] = (),
        unit: Unit = "usd",
    ) -> None:
        """Set a limit: USD, or whole tokens."""
        self._limits[name] = QuotaLimit(
            kind="limit",
            name=name,
            series=series,
            key=tuple(key),
            unit=unit,
            soft=None if soft is None else _text(soft, unit),
            hard=None if hard is None else _text(hard, unit),
            period="day",
            days=None,
            time_zone="UTC",
        )
        self._board.apply(*self._limits[name].entry())

    def spend(self, name: str, spent: Money, *, key: Sequence[str] = (), resets_at: datetime | None = None) -> None:
        """Say how much is spent of a limit in all, by a key, until a moment."""
        limit = self._limits[name]
        standing = QuotaStanding(
            kind="standing",
            name=name,
            series=limit.series,
            key=tuple(key),
            unit=limit.unit,
            spent=_text(spent, limit.unit),
            period_start=0,
            resets_at=None if resets_at is None else milliseconds_of(resets_at) // 1000,
            as_of_ms=0,
            state="ok",
            partition=0,
        )
        self._board.apply(*standing.entry())

    def set_known(self, known: bool) -> None:
        """Say whether it knows what is spent, or has lost sight of it."""
        self._board.complete = known

    def _told(self, verdict: QuotaVerdict, now_ms: int) -> QuotaVerdict:  # noqa: ARG002 - the overridden signature
        self.refusals.append(verdict)
        return verdict


def _text(amount: Money, unit: Unit) -> str:
    return amount_text(picodollars_up(amount) if unit == "usd" else int(amount), unit)
