"""What does a caller learn of a call that may not be made?

QuotaExceeded       a hard limit is reached: whose, how much of it is spent, and when it begins anew
QuotaUnknown        nobody knows what is spent, and such calls are to be refused
"""

from datetime import datetime
from typing import TYPE_CHECKING

from spendgauge.schemas import SpendgaugeError, UnavailableError

if TYPE_CHECKING:
    from spendgauge.producers.quotas.verdict import Number, QuotaVerdict

__all__ = ["QuotaExceeded", "QuotaUnknown"]


class QuotaExceeded(SpendgaugeError):  # noqa: N818 - the name that the issue gives it
    """A call would go beyond a hard limit; it was not made."""

    def __init__(self, verdict: "QuotaVerdict") -> None:
        super().__init__(verdict.sentence())
        self.verdict = verdict

    @property
    def quota(self) -> str:
        """The quota's name."""
        return self.verdict.quota

    @property
    def limit(self) -> "Number | None":
        """The hard limit: USD or tokens."""
        return self.verdict.limit

    @property
    def spent(self) -> "Number":
        """What is known to be spent."""
        return self.verdict.spent

    @property
    def reserved(self) -> "Number":
        """What this process holds for its own calls."""
        return self.verdict.reserved

    @property
    def resets_at(self) -> datetime | None:
        """When nothing is spent; None: a rolling period, or nothing was spent yet."""
        return self.verdict.resets_at


class QuotaUnknown(UnavailableError):  # noqa: N818 - as its sibling
    """Nobody knows what is spent, and ``quota_unknown`` is ``refuse``."""

    def __init__(self, verdict: "QuotaVerdict") -> None:
        super().__init__(verdict.sentence())
        self.verdict = verdict
