"""Which guard does this process get? The one its environment asks for."""

from typing import Any

from spendgauge.producers.factory import is_disabled
from spendgauge.producers.quotas.checks import QuotaChecks
from spendgauge.producers.quotas.doubles import NullQuotaGuard
from spendgauge.producers.quotas.guard import QuotaGuard
from spendgauge.producers.quotas.settings import QuotaSettings

__all__ = ["create_guard"]


def create_guard(**fields: Any) -> QuotaChecks:
    """Create a guard from ``SPENDGAUGE_*`` variables and fields of ``QuotaSettings``; fields given here win.

    Where ``SPENDGAUGE_DISABLED`` is 1 it refuses nothing. Raises ``ConfigurationError`` where a setting cannot work; a
    broker that is away is no error.
    """
    if is_disabled():
        return NullQuotaGuard("disabled")
    return QuotaGuard(QuotaSettings.from_environment(**fields))
