"""What does this one call cost, and what would a token? Prices asked one by one, in plain Python.

``book`` asks for whole frames; both read the same segments.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, localcontext
from pathlib import Path
from threading import Lock
from typing import Final, Self

from spendgauge.schemas.events import LEAVES, UsageEvent
from spendgauge.schemas.prices.billables import Billable, Key
from spendgauge.schemas.prices.catalogue import Catalogue
from spendgauge.schemas.prices.overrides import Overrides, PriceEntry, is_pattern, read_overrides
from spendgauge.schemas.prices.segments import PriceSources, Segment
from spendgauge.schemas.prices.supplements import Supplements

__all__ = ["MAX_KEYS", "Quote", "Tariff"]

MAX_KEYS: Final = 4096
"""How many (provider, model, tier) are kept compiled; names are the callers' to invent, memory is not."""


@dataclass(frozen=True)
class Quote:
    """What one unit costs, for a person to read."""

    provider: str
    model: str
    usd_per_mtok: dict[str, Decimal | None]
    """Leaf to USD per million tokens; None: no price is known."""
    usd_per_web_search: Decimal | None
    usd_per_request: Decimal
    price_version: str
    """Empty: unpriced."""


class Tariff:
    """Prices of the installed genai-prices, our additions to it, and the user's own file over both.

    Safe to use from several threads. A name is looked up once; afterwards pricing it takes no lock.
    """

    def __init__(self, sources: PriceSources) -> None:
        self._sources = sources
        self._lock = Lock()
        self._compiled: Mapping[Key, tuple[Segment, ...]] = {}  # replaced, never changed: it is read without the lock

    @classmethod
    def load(cls, overrides: Path | None = None) -> Self:
        """Read the catalogue (0.1 s, no network) and the user's price file.

        Raises ``PriceFileError`` where the file cannot be used.
        """
        supplements = Supplements.load()
        catalogue = Catalogue.load(supplements.aliases)
        own = read_overrides(overrides) if overrides is not None else Overrides()
        for entry in own.entries:
            _check_names(own, entry, catalogue)
        return cls(PriceSources(catalogue, supplements, own))

    @property
    def version(self) -> str:
        """Name everything that a price can come from."""
        sources = self._sources
        parts = (sources.overrides.version, sources.catalogue.version, sources.supplements.version)
        return " + ".join(part for part in parts if part)

    def cost(self, billable: Billable) -> int | None:
        """Return the cost in picodollars; None: unpriced."""
        segment = self._segment(billable.key, billable.at_ms, billable.size)
        return billable.cost(segment.rates) if segment.version else None

    def price_event(self, event: UsageEvent) -> int | None:
        """Return the event's cost in picodollars; None: unpriced."""
        return self.cost(Billable.of(event))

    def price_version(self, billable: Billable) -> str:
        """Name what prices it; empty: unpriced."""
        segment = self._segment(billable.key, billable.at_ms, billable.size)
        return "" if billable.without_price(segment.rates) else segment.version

    def unpriced_because(self, billable: Billable) -> str:
        """Say in a sentence why it has no cost; empty where it has one."""
        key = billable.key
        segment = self._segment(key, billable.at_ms, billable.size)
        if segment.version:
            missing = billable.without_price(segment.rates)
            return f"{key.provider} has no known price for the {', '.join(missing)} of {key.model}" if missing else ""
        if any(other.version for other in self.segments([key])[key]):
            return f"{key.model} of {key.provider} has no known price at this time"
        usual = key._replace(service_tier="standard")
        if any(other.version for other in self.segments([usual])[usual]):
            return f"{key.model} of {key.provider} has no known price in the service tier {key.service_tier}"
        if self._sources.catalogue.resolve(key.provider, key.model) is not None:
            return f"{key.model} of {key.provider} is listed, but without a price that an event's counts can use"
        return f"no price is known for a model {key.model} of {key.provider}: give it one in your price file"

    def names(self, model: str) -> tuple[str, str] | None:
        """Find (provider, model) for a model that is named alone, as ``gpt-5`` or ``openai/gpt-5``; None: unknown.

        Who sells a model at prices of their own (Bedrock, Azure) cannot be told from its name.
        """
        with self._lock:
            return self._sources.names(model)

    def quote(self, key: Key, *, at_ms: int, input_tokens: int = 0) -> Quote:
        """Return the unit prices that an event of this time and input size would get."""
        segment = self._segment(key, at_ms, input_tokens)
        leaves = dict(zip(LEAVES, segment.rates.leaves, strict=True))
        search = leaves.pop("web_search_requests")
        return Quote(
            key.provider,
            key.model,
            {leaf: None if rate is None else _usd(rate, 10**6) for leaf, rate in leaves.items()},
            None if search is None else _usd(search),
            _usd(segment.rates.request),
            segment.version,
        )

    def segments(self, keys: list[Key]) -> Mapping[Key, tuple[Segment, ...]]:
        """Return the segments of these keys, and of others; compile those that are new, start over with too many."""
        with self._lock:
            known = self._compiled
            new = [key for key in keys if key not in known]
            if len(known) + len(new) > MAX_KEYS:
                known, new = {}, keys
                self._sources = self._sources.fresh()
            self._compiled = {**known, **{key: self._sources.segments(key) for key in new}}
            return self._compiled

    def _segment(self, key: Key, at_ms: int, size: int) -> Segment:
        segments = self._compiled.get(key) or self.segments([key])[key]
        if len(segments) == 1:  # as most models have
            return segments[0]
        return next(segment for segment in segments if segment.holds(at_ms, size))


def _usd(yoctodollars: int, units: int = 1) -> Decimal:
    """Write a rate as USD for this many units, without trailing zeros."""
    with localcontext(prec=60):
        amount = Decimal(yoctodollars * units).scaleb(-24)
        return amount.quantize(Decimal(1)) if amount == amount.to_integral_value() else amount.normalize()


def _check_names(own: Overrides, entry: PriceEntry, catalogue: Catalogue) -> None:
    """Refuse an entry that leans on a catalogue price which is not there: a slip of the pen would price nothing."""
    if entry.like is not None:
        provider, _, model = entry.like.partition("/")
        found = catalogue.resolve(provider, model) is not None if model else catalogue.has_provider(provider)
        if not found:
            own.reject(entry, f"like = {entry.like!r} is not in {catalogue.version}; write it as the catalogue does")
    elif entry.multiplier is not None and not _listed(entry, catalogue):
        own.reject(
            entry,
            f"there is no price to multiply by {entry.multiplier}: {catalogue.version} does not list these names; "
            "correct them, or give usd_per_mtok instead",
        )


def _listed(entry: PriceEntry, catalogue: Catalogue) -> bool:
    """Whether the catalogue knows the names of an entry, as far as they are names and not patterns."""
    if is_pattern(entry.provider):
        return True
    if is_pattern(entry.model):
        return catalogue.has_provider(entry.provider)
    return catalogue.resolve(entry.provider, entry.model) is not None
