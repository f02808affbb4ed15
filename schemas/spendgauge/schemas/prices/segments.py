"""Where does each price of one model hold?

A **segment** is a box in (time, time of day, input size) with one set of rates. The segments of a key (provider,
model, service tier) tile that space: every event falls into exactly one, a priced or an unpriced one.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal, localcontext
from itertools import pairwise, product
from typing import Final, NamedTuple

from spendgauge.schemas.events import LEAVES
from spendgauge.schemas.prices.billables import Key
from spendgauge.schemas.prices.catalogue import Catalogue, Offer
from spendgauge.schemas.prices.overrides import Overrides, PriceEntry
from spendgauge.schemas.prices.supplements import Supplements
from spendgauge.schemas.prices.units import TOKEN_PRICES, Rates, rates_of

__all__ = ["DAY_MS", "UNPRICED", "PriceSources", "Segment"]

DAY_MS: Final = 86_400_000
_FIRST_MS: Final = -(2**62)
_LAST_MS: Final = 2**62
_LARGEST: Final = 2**62

UNPRICED: Final = Rates((None,) * len(LEAVES), 0, 0)


@dataclass(frozen=True)
class Segment:
    """Rates, and where they hold; ``version`` says whose they are, empty where there are none."""

    from_ms: int
    until_ms: int
    """Time of the event: [from_ms, until_ms)."""
    day_from_ms: int
    day_until_ms: int
    """Time since midnight UTC: [day_from_ms, day_until_ms)."""
    over: int
    upto: int
    """Input tokens of the event: (over, upto]. A tier starts above its threshold, and holds for all tokens."""
    rates: Rates
    version: str

    def holds(self, at_ms: int, size: int) -> bool:
        """Whether an event of this time and input size falls into this segment."""
        return (
            self.from_ms <= at_ms < self.until_ms
            and self.day_from_ms <= at_ms % DAY_MS < self.day_until_ms
            and self.over < size <= self.upto
        )


class _Point(NamedTuple):
    at_ms: int
    size: int
    key: Key


class _Priced(NamedTuple):
    prices: Mapping[str, Decimal]
    sources: frozenset[str]


@dataclass(frozen=True)
class PriceSources:
    """The three places that a price can come from: the user's file, the catalogue, our additions to it."""

    catalogue: Catalogue
    supplements: Supplements
    overrides: Overrides

    def fresh(self) -> "PriceSources":
        """Drop what the library remembers of names that it was asked for."""
        return replace(self, catalogue=self.catalogue.fresh())

    def names(self, model: str) -> tuple[str, str] | None:
        """Find (provider, model) for a model that is named alone: in the catalogue, else in the user's file."""
        found = self.catalogue.names(model)
        if found is None and (provider := self.overrides.provider_of(model)):
            return provider, model
        return found

    def segments(self, key: Key) -> tuple[Segment, ...]:
        """List the segments of one key."""
        offer = self.catalogue.resolve(key.provider, key.model)
        entries = [(entry, self._like(entry, key) if entry.like else offer) for entry in self._entries(key, offer)]
        offers = [o for o in (offer, *(o for _, o in entries)) if o is not None]
        periods = {day for entry, _ in entries for day in entry.period_ms if day is not None}
        days = periods.union(*(o.days() for o in offers))
        hours = {hour for o in offers for hour in o.hours()}
        sizes = {size for o in offers for size in o.sizes()}
        boxes = product(_between(_FIRST_MS, days, _LAST_MS), _between(0, hours, DAY_MS), _between(-1, sizes, _LARGEST))
        return tuple(self._segment(key, box, offer, entries) for box in boxes)

    def _segment(
        self,
        key: Key,
        box: tuple[tuple[int, int], tuple[int, int], tuple[int, int]],
        offer: Offer | None,
        entries: list[tuple[PriceEntry, Offer | None]],
    ) -> Segment:
        """Ask for the prices at one point of the box; nothing changes inside it."""
        (start, end), (day_start, day_end), (over, upto) = box
        day = start if start > _FIRST_MS else 0 if end == _LAST_MS else end - DAY_MS
        at_ms, size = day + day_start, over + 1
        entry, base = next(((e, o) for e, o in reversed(entries) if e.active(at_ms)), (None, offer))
        point = _Point(at_ms, size, key)
        priced = self._overridden(entry, base, point) if entry else self._listed(base, point, key.service_tier)
        rates = rates_of(priced.prices) if priced and not priced.prices.keys().isdisjoint(TOKEN_PRICES) else None
        version = self._version(priced.sources) if priced and rates else ""
        return Segment(start, end, day_start, day_end, over, upto, rates or UNPRICED, version)

    def _entries(self, key: Key, offer: Offer | None) -> list[PriceEntry]:
        providers, models = {key.provider}, {key.model}
        if offer is not None:
            providers, models = {key.provider, offer.provider_id}, {key.model, offer.model_id}
        return [e for e in self.overrides.entries if e.fits(providers, models, key.service_tier)]

    def _like(self, entry: PriceEntry, key: Key) -> Offer | None:
        provider, _, model = (entry.like or "").partition("/")
        return self.catalogue.resolve(provider, model or key.model)

    def _listed(self, offer: Offer | None, point: _Point, service_tier: str) -> _Priced | None:
        """Price without the user's file: the catalogue's price in this tier, or a known share of its standard one."""
        if offer is None:
            return None
        own = offer.prices(point.at_ms, point.size, service_tier)
        if own is not None:
            return self._completed(offer, own)
        share = self.supplements.tier_share(offer.provider_id, offer.model_id, service_tier)
        standard = self._listed(offer, point, "standard")
        if share is None or standard is None:
            return None
        return _Priced(_multiplied(standard.prices, share), standard.sources | {self.supplements.version})

    def _completed(self, offer: Offer, prices: dict[str, Decimal]) -> _Priced:
        complete = self.supplements.completed(offer.provider_id, offer.model_id, prices)
        added = {self.supplements.version} if complete != prices else set()
        return _Priced(complete, frozenset({self.catalogue.version, *added}))

    def _overridden(self, entry: PriceEntry, offer: Offer | None, point: _Point) -> _Priced | None:
        """Price by an entry of the user's file: a share of the listed price, or what it names over what is listed."""
        own = frozenset({self.overrides.version})
        tier = point.key.service_tier
        if entry.multiplier is not None:
            base = self._listed(offer, point, "standard" if entry.service_tier else tier)
            share = dict.fromkeys((*TOKEN_PRICES, "web_search", "request"), entry.multiplier)
            return base and _Priced(_multiplied(base.prices, share), own | base.sources)
        base = self._listed(offer, point, tier)
        named, sources = entry.named, own
        if named and entry.service_tier is None and tier != "standard":
            ids = (offer.provider_id, offer.model_id) if offer else (point.key.provider, point.key.model)
            tier_share = self.supplements.tier_share(*ids, tier)
            if tier_share is None:
                return None
            named, sources = _multiplied(named, tier_share), own | {self.supplements.version}
        if base is None or base.prices.keys() <= named.keys():
            return _Priced(named, sources)
        return _Priced({**base.prices, **named}, sources | base.sources)

    def _version(self, sources: Iterable[str]) -> str:
        order = (self.overrides.version, self.catalogue.version, self.supplements.version)
        return " + ".join(source for source in order if source and source in sources)


def _between(first: int, cuts: set[int], last: int) -> list[tuple[int, int]]:
    return list(pairwise([first, *sorted(cut for cut in cuts if first < cut < last), last]))


def _multiplied(prices: Mapping[str, Decimal], share: Mapping[str, Decimal]) -> dict[str, Decimal]:
    with localcontext(prec=60):
        return {name: usd * share.get(name, Decimal(1)) for name, usd in prices.items()}
