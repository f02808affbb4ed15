"""May an attempt be made, and what does it hold of its quotas until it is known what it cost?

The guard is asked where the SDK builds a request, which it does for each attempt: what is raised there reaches the
caller as it is, while the SDKs repeat what fails in sending, and report it as a broken connection.
"""

import json
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from typing import Any, Final

from spendgauge.producers.adapters import EventFields
from spendgauge.producers.quotas import QuotaCall, QuotaChecks
from spendgauge.producers.quotas.amounts import Money
from spendgauge.producers.tariffs import load_tariff
from spendgauge.schemas import LEAVES, UnavailableError

__all__ = ["Estimate", "Estimates", "Reserved", "Reserving", "take_reserved"]

Estimate = Money | tuple[Money, int]
"""What an attempt may cost: USD, or USD and tokens."""

Estimates = Estimate | Callable[[Mapping[str, Any]], Estimate]
"""One for all, or a function of the request's body."""

_PLACE: Final = "spendgauge"


class Reserved:
    """What one attempt holds; settled once."""

    def __init__(self, call: QuotaCall, ending: ExitStack) -> None:
        self._call = call
        self._ending = ending
        self._settled = self.sent = False

    def settle(self, events: list[EventFields] | None) -> None:
        """Hold from now on what the attempt has cost by its events; None: nobody knows, so the estimate."""
        if self._settled:
            return
        self._settled = True
        if events is not None:
            used = any(fields.get(leaf) for fields in events for leaf in LEAVES)
            self._call.spent(events) if used else self._call.spent(usd=0, tokens=0)
        self._ending.close()

    def __del__(self) -> None:
        """Let go where a request was built and dropped; of one that was sent, its attempt says what it has cost."""
        if not self.sent:
            self.settle([])


class Reserving:
    """A guard, and what the calls of one client may cost."""

    def __init__(self, guard: QuotaChecks, estimate: Estimates) -> None:
        if not callable(estimate):
            guard.reserve(**_amounts(estimate))  # raises now what would be raised at each call
        self._guard = guard
        self._estimate = estimate
        with suppress(UnavailableError):
            load_tariff(guard.settings.prices)  # takes a moment: better now than when the first call ends

    def reserve(self, request: Any, **dimensions: Any) -> None:
        """Check an attempt, and have its request hold what it may cost. Raises what the guard and the estimate do."""
        estimate = self._estimate(json.loads(request.content)) if callable(self._estimate) else self._estimate
        ending = ExitStack()
        call = ending.enter_context(self._guard.reserve(**_amounts(estimate), **dimensions))
        request.extensions[_PLACE] = Reserved(call, ending)


def take_reserved(request: Any) -> Reserved | None:
    """Take from a request that is being sent what it holds."""
    reserved: Reserved | None = request.extensions.pop(_PLACE, None)
    if reserved is not None:
        reserved.sent = True
    return reserved


def _amounts(estimate: Estimate) -> dict[str, Any]:
    match estimate:
        case (usd, tokens):
            return {"estimate_usd": usd, "estimate_tokens": tokens}
        case usd:
            return {"estimate_usd": usd}
