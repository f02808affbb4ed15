"""What does genai-prices say a model costs, at a time and an input size?

The library resolves names and dates; this module asks it at the points between which its answer cannot change, so
none of its rules (overnight hours, later prices winning, fallback providers) is written a second time. Only the
bundled data is read: no network, and no snapshot that another part of the process may have installed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time
from decimal import Decimal
from importlib.metadata import version
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:  # its import costs 0.2 s, so it happens in Catalogue.load
    from genai_prices.data_snapshot import DataSnapshot
    from genai_prices.types import (
        ModelInfo,
        ModelPrice,
        PriceVariant,
        Provider,
        StartDateConstraint,
        TieredPrices,
        TimeOfDateConstraint,
    )

from spendgauge.schemas.moments import EPOCH, milliseconds_of, utc_time

__all__ = ["Catalogue", "Offer", "date_ms"]


_NAMES: Final[Mapping[str, str]] = {
    "input_mtok": "input",
    "cache_read_mtok": "cache_read",
    "cache_write_mtok": "cache_write",
    "cache_write_5m_mtok": "cache_write_5m",
    "cache_write_1h_mtok": "cache_write_1h",
    "output_mtok": "output",
    "output_reasoning_mtok": "reasoning",
    "input_audio_mtok": "input_audio",
    "output_audio_mtok": "output_audio",
    "web_searches_kcount": "web_search",
    "requests_kcount": "request",
}
"""The library's price keys that an event's leaves can use; the others (images, hours, pages) count what an event
does not hold."""

_CONTEXTS: Final[Mapping[str, Mapping[str, str]]] = {
    "batch": {"processing": "batch"},
    "flex": {"service_tier": "flex"},
    "priority": {"service_tier": "priority"},
}
"""How the library's price variants name our service tiers."""


def date_ms(day: date) -> int:
    """Return the start of a UTC day as milliseconds since 1970-01-01 UTC."""
    return milliseconds_of(datetime.combine(day, time(), UTC))


@dataclass(frozen=True)
class Offer:
    """One model at one provider, as the catalogue lists it."""

    provider_id: str
    model_id: str
    model: ModelInfo
    own: bool
    """False where the provider sells another provider's model: the library gives such a model no price variants."""

    def days(self) -> set[int]:
        """The milliseconds since 1970 at which a dated price starts, each the start of a UTC day."""
        from genai_prices.types import StartDateConstraint

        return {date_ms(c.start_date) for c in self._constraints() if isinstance(c, StartDateConstraint)}

    def hours(self) -> set[int]:
        """The milliseconds since midnight UTC at which a price by the time of day starts or ends."""
        from genai_prices.types import TimeOfDateConstraint

        daily = [c for c in self._constraints() if isinstance(c, TimeOfDateConstraint)]
        return {_time_of_day_ms(edge) for c in daily for edge in (c.start_time, c.end_time)}

    def sizes(self) -> set[int]:
        """The input sizes above which a long-context price applies."""
        return {tier.start for price in self._model_prices() for tiers in _tiered(price) for tier in tiers.tiers}

    def prices(self, at_ms: int, size: int, service_tier: str) -> dict[str, Decimal] | None:
        """List the prices at this time for a request of this many input tokens.

        None where the catalogue has none for this tier. An empty dict: the model is listed, without any price that
        an event's leaves can use.
        """
        at = utc_time(at_ms)
        context = _CONTEXTS.get(service_tier)
        if context is not None and not (self.own and any(True for _ in self._variants(at, context))):
            return None
        found = self.model.get_prices(at, context)
        return {
            ours: _at_size(price, size) for key, ours in _NAMES.items() if (price := getattr(found, key)) is not None
        }

    def _variants(self, at: datetime, context: Mapping[str, str]) -> Iterator[PriceVariant]:
        for variant in self.model.price_variants or ():
            active = variant.constraint is None or variant.constraint.active(at)
            if active and all(context.get(key) == value for key, value in variant.when.items()):
                yield variant

    def _constraints(self) -> Iterator[StartDateConstraint | TimeOfDateConstraint]:
        listed = self.model.prices if isinstance(self.model.prices, list) else []
        yield from (c.constraint for c in listed if c.constraint is not None)
        yield from (v.constraint for v in self.model.price_variants or () if v.constraint is not None)

    def _model_prices(self) -> Iterator[ModelPrice]:
        if isinstance(self.model.prices, list):
            yield from (conditional.prices for conditional in self.model.prices)
        else:
            yield self.model.prices
        yield from (variant.prices for variant in self.model.price_variants or ())


@dataclass(frozen=True)
class Catalogue:
    """The bundled data of one version of genai-prices. Not thread-safe: the library's own lookups keep caches."""

    version: str
    _snapshot: DataSnapshot
    _aliases: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def load(cls, aliases: Mapping[str, str]) -> Catalogue:
        """Read the installed library's bundled data (0.2 s); ``aliases``: provider names that it does not know."""
        from genai_prices.data import providers
        from genai_prices.data_snapshot import DataSnapshot

        snapshot = DataSnapshot(providers=providers, from_auto_update=False)
        return cls(f"genai-prices {version('genai-prices')}", snapshot, aliases)

    def fresh(self) -> Catalogue:
        """Return the same data without the library's memory of the names that it was asked for."""
        return replace(self, _snapshot=replace(self._snapshot, _lookup_cache={}))

    def has_provider(self, provider: str) -> bool:
        """Whether any listed provider answers to this name."""
        return self._provider_id(provider) is not None

    def names(self, model: str) -> tuple[str, str] | None:
        """Find (provider, model) for a model that is named alone, with its provider before a slash or without."""
        prefix, slash, rest = model.partition("/")
        if slash and self.resolve(prefix, rest) is not None:
            return prefix, rest
        try:
            provider = self._snapshot.find_provider(model.lower(), None, None).id
        except LookupError:
            return None
        return (provider, model) if self.resolve(provider, model) is not None else None

    def resolve(self, provider: str, model: str) -> Offer | None:
        """Find what the library finds for these names; None where it finds nothing.

        Beyond the library: a model written as a path, ``anthropic/claude-x`` at anthropic itself or Google's
        ``models/gemini-x``, is looked up by its last part where the whole is unknown.
        """
        provider = self._aliases.get(provider.lower(), provider)
        found = self._find(provider, model)
        path, slash, name = model.rpartition("/")
        if found or not slash or not name:
            return found
        own_path = path.endswith("models") or self._provider_id(path) == self._provider_id(provider)
        return self._find(provider, name) if own_path else None

    def _find(self, provider: str, model: str) -> Offer | None:
        try:
            seller, listed = self._snapshot.find_provider_model(model, None, provider, None)
        except LookupError:
            return None
        return Offer(seller.id, listed.id, listed, any(listed is own for own in seller.models))

    def _provider_id(self, name: str) -> str | None:
        try:
            seller: Provider = self._snapshot.find_provider(None, self._aliases.get(name.lower(), name), None)
        except LookupError:
            return None
        return seller.id


def _tiered(price: ModelPrice) -> Iterator[TieredPrices]:
    for key in _NAMES:
        value = getattr(price, key)
        if value is not None and not isinstance(value, Decimal):
            yield value


def _at_size(price: Decimal | TieredPrices, size: int) -> Decimal:
    """Pick the tier: the highest whose start the input exceeds; it then applies to all tokens of the request."""
    if isinstance(price, Decimal):
        return price
    return next((tier.price for tier in reversed(price.tiers) if size > tier.start), price.base)


def _time_of_day_ms(edge: time) -> int:
    moment = datetime.combine(EPOCH.date(), edge)
    utc = moment.replace(tzinfo=UTC) if edge.tzinfo is None else moment.astimezone(UTC)
    return milliseconds_of(utc) % 86_400_000
