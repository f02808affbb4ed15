"""What does a guard say of a call, and what does a caller learn of one that may not be made?"""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Final, Literal

from spendgauge.schemas import SpendgaugeError, UnavailableError
from spendgauge.schemas.money import usd
from spendgauge.schemas.quotas import Unit

__all__ = ["FINE", "Number", "QuotaExceeded", "QuotaUnknown", "QuotaVerdict", "Reason", "number"]

Number = Decimal | int
"""USD as a decimal, tokens as a whole number."""

Reason = Literal["ok", "soft", "hard", "unknown"]
"""Which limit is reached; ``unknown``: nobody knows, and that is refused."""


@dataclass(frozen=True, slots=True)
class QuotaVerdict:
    """Whether a call may be made, and which limit says so; of several, the hard one that resets last."""

    allowed: bool = True
    reason: Reason = "ok"
    """A hard limit may be reached and the call allowed: where ``quota_mode`` is ``warn``."""
    quota: str = ""
    series: str = "total"
    key: tuple[str, ...] = ()
    unit: Unit = "usd"
    limit: Number | None = None
    spent: Number = 0
    reserved: Number = 0
    estimate: Number = 0
    resets_at: datetime | None = None
    processes: int = 1
    """Of what is left this process takes so small a part."""

    @property
    def warned(self) -> bool:
        """Whether a limit is reached and the call may be made all the same."""
        return self.allowed and self.reason != "ok"

    def error(self) -> "QuotaExceeded | QuotaUnknown":
        """Make the exception that refuses the call."""
        return QuotaUnknown(self) if self.reason == "unknown" else QuotaExceeded(self)

    def sentence(self) -> str:
        """Say it to a person."""
        if self.reason == "ok":
            return "no limit is reached"
        if self.reason == "unknown":
            return (
                "nobody knows what is spent: the watcher is silent or not reached, and quota_unknown is refuse; "
                "start `spendgauge watcher`, or let calls pass with SPENDGAUGE_QUOTA_UNKNOWN=allow"
            )
        whose = f" of {' + '.join(self.key)}" if self.key else ""
        held = f" and {self._said(self.reserved)} is held for calls not counted yet" if self.reserved else ""
        wanted = f", this call may take {self._said(self.estimate)}" if self.estimate else ""
        part = f", of what is left each of {self.processes} processes has a part" if self.processes > 1 else ""
        begins = f"; it begins anew at {self.resets_at:%Y-%m-%dT%H:%M:%SZ}" if self.resets_at else ""
        return (
            f"quota {self.quota!r}{whose} has a {self.reason} limit of {self._said(self.limit or 0)}: "
            f"{self._said(self.spent)} is spent{held}{wanted}{part}{begins}"
        )

    def _said(self, amount: Number) -> str:
        if self.unit == "tokens":
            return f"{amount} tokens"
        whole, _, rest = f"{amount:f}".partition(".")
        return f"{whole}.{rest.rstrip('0').ljust(2, '0')} USD"


class QuotaExceeded(SpendgaugeError):  # noqa: N818 - it is no error of the program
    """A call would go beyond a hard limit; it was not made."""

    def __init__(self, verdict: QuotaVerdict) -> None:
        super().__init__(verdict.sentence())
        self.verdict = verdict

    @property
    def quota(self) -> str:
        """The quota's name."""
        return self.verdict.quota

    @property
    def limit(self) -> Number | None:
        """The hard limit: USD or tokens."""
        return self.verdict.limit

    @property
    def spent(self) -> Number:
        """What is known to be spent."""
        return self.verdict.spent

    @property
    def reserved(self) -> Number:
        """What this process holds for its own calls."""
        return self.verdict.reserved

    @property
    def resets_at(self) -> datetime | None:
        """When nothing is spent; None: a rolling period, or nothing was spent yet."""
        return self.verdict.resets_at


class QuotaUnknown(UnavailableError):  # noqa: N818 - as its sibling
    """Nobody knows what is spent, and ``quota_unknown`` is ``refuse``."""

    def __init__(self, verdict: QuotaVerdict) -> None:
        super().__init__(verdict.sentence())
        self.verdict = verdict


FINE: Final = QuotaVerdict()
"""No limit is reached."""


def number(amount: int, unit: Unit) -> Number:
    """Give picodollars or tokens as people read them."""
    return usd(amount) if unit == "usd" else amount
