"""How is a call refused before it is made, because what it would be paid from is spent?

    settings    what a guard is told
    amounts     USD and usage as picodollars and tokens
    board       what is known of limits and standings; ``follower`` reads it from ``cost.quotas``
    pending     what this process holds that is not known to be spent yet
    balances    both together: how a quota stands for a call
    verdict     what is said of a call, and how it is refused
    checks      check, reserve, standings; ``call``: a reservation
    refusing    the log, and ``cost.refusals``
    guard       the thread behind it; ``factory``, ``doubles``

See ``docs/quotas.md``.
"""

from spendgauge.producers.quotas.call import QuotaCall
from spendgauge.producers.quotas.checks import QuotaChecks, QuotaState
from spendgauge.producers.quotas.doubles import FakeQuotaGuard, NullQuotaGuard
from spendgauge.producers.quotas.factory import create_guard
from spendgauge.producers.quotas.guard import QuotaGuard
from spendgauge.producers.quotas.settings import QuotaSettings
from spendgauge.producers.quotas.verdict import QuotaExceeded, QuotaUnknown, QuotaVerdict

__all__ = [
    "FakeQuotaGuard",
    "NullQuotaGuard",
    "QuotaCall",
    "QuotaChecks",
    "QuotaExceeded",
    "QuotaGuard",
    "QuotaSettings",
    "QuotaState",
    "QuotaUnknown",
    "QuotaVerdict",
    "create_guard",
]
