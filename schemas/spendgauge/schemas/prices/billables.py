"""What of an event decides its price, and what does it come to at given rates?

The one place where a single event's cost is summed; ``columns`` does the same for whole frames.
"""

from operator import attrgetter
from typing import Final, NamedTuple

from spendgauge.schemas.events import LEAVES, UsageEvent
from spendgauge.schemas.moments import milliseconds_of
from spendgauge.schemas.prices.units import INPUT_LEAVES, Rates, round_half_even

__all__ = ["Billable", "Key"]

_counts_of: Final = attrgetter(*LEAVES)
_INPUTS: Final = tuple(LEAVES.index(leaf) for leaf in INPUT_LEAVES)


class Key(NamedTuple):
    """What a price is looked up by, as the event spells it."""

    provider: str
    model: str
    service_tier: str


class Billable(NamedTuple):
    """All of an event that its price depends on."""

    key: Key
    at_ms: int
    counts: tuple[int, ...]
    """Ordered as LEAVES."""
    reasoning_tokens: int
    requests: int
    """How often the fee for a request is due: not for a failed request, and not for a correction."""

    @classmethod
    def of(cls, event: UsageEvent) -> "Billable":
        """Take it from an event."""
        return cls(
            Key(event.provider, event.model, event.service_tier),
            milliseconds_of(event.occurred_at),
            _counts_of(event),
            event.reasoning_tokens,
            int(event.kind == "usage" and event.status != "error"),
        )

    @property
    def size(self) -> int:
        """The input tokens of all leaves, which choose the long-context tier."""
        counts = self.counts
        return abs(sum([counts[index] for index in _INPUTS]))

    def without_price(self, rates: Rates) -> list[str]:
        """Name the leaves that were used and have no price."""
        return [
            leaf for leaf, count, rate in zip(LEAVES, self.counts, rates.leaves, strict=True) if count and rate is None
        ]

    def cost(self, rates: Rates) -> int | None:
        """Sum counts times rates, rounded once to picodollars; None where a leaf that was used has no price."""
        total = self.reasoning_tokens * rates.reasoning + self.requests * rates.request
        for count, rate in zip(self.counts, rates.leaves, strict=True):
            if count:
                if rate is None:
                    return None
                total += count * rate
        return round_half_even(total)
