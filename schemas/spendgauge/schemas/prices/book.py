"""What does this usage cost? One book answers for single events and for whole frames, to the last digit the same."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal, localcontext
from pathlib import Path
from threading import Lock
from typing import Final, Self

import polars as pl

from spendgauge.schemas.events import LEAVES, UsageEvent
from spendgauge.schemas.prices.catalogue import Catalogue
from spendgauge.schemas.prices.columns import KEY_COLUMNS, priced_frame, segment_table
from spendgauge.schemas.prices.overrides import Overrides, PriceEntry, is_pattern, read_overrides
from spendgauge.schemas.prices.segments import Key, PriceSources, Segment
from spendgauge.schemas.prices.supplements import Supplements
from spendgauge.schemas.prices.units import round_half_even

__all__ = ["PriceBook", "Quote"]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MAX_KEYS: Final = 4096
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


@dataclass(frozen=True)
class _Compiled:
    """What has been looked up so far. Replaced, never changed, so that threads read it without a lock."""

    segments: dict[Key, tuple[Segment, ...]]
    table: pl.DataFrame


class PriceBook:
    """Prices of the installed genai-prices, our additions to it, and the user's own file over both.

    Safe to use from several threads. A name is looked up once; afterwards pricing it takes no lock.
    """

    def __init__(self, sources: PriceSources) -> None:
        self._sources = sources
        self._lock = Lock()
        self._compiled = _Compiled({}, segment_table([]))

    @classmethod
    def load(cls, overrides: Path | None = None) -> Self:
        """Read the catalogue (0.2 s, no network) and the user's price file.

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
        """Name everything that a price of this book can come from."""
        sources = self._sources
        parts = (sources.overrides.version, sources.catalogue.version, sources.supplements.version)
        return " + ".join(part for part in parts if part)

    def price(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Add ``cost_picodollars`` (Int64; null: unpriced) and ``price_version`` ("": unpriced) to a frame of events.

        Rows and their order stay as they are; columns of these names are replaced.
        """
        priced = priced_frame(frame, self._compiled.table)
        if priced is None:
            keys = [Key(*row) for row in frame.select(KEY_COLUMNS).unique().rows()]
            priced = priced_frame(frame, self._learn(keys).table)
        if priced is None:
            raise AssertionError("a key that was just compiled is not in the price table")
        return priced

    def price_event(self, event: UsageEvent) -> int | None:
        """Return the event's cost in picodollars; None: unpriced."""
        at_ms = (event.occurred_at - _EPOCH) // timedelta(milliseconds=1)
        counts = [getattr(event, leaf) for leaf in LEAVES]
        size = abs(sum(n for leaf, n in zip(LEAVES, counts, strict=True) if leaf.startswith(("input_", "cache_"))))
        segment = self._segment(Key(event.provider, event.model, event.service_tier), at_ms, size)
        rates = segment.rates
        pairs = list(zip(counts, rates.leaves, strict=True))
        if not segment.version or any(count and rate is None for count, rate in pairs):
            return None
        cost = sum(count * rate for count, rate in pairs if rate is not None)
        cost += event.reasoning_tokens * rates.reasoning
        if event.kind == "usage" and event.status != "error":
            cost += rates.request
        return round_half_even(cost)

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

    def _segment(self, key: Key, at_ms: int, size: int) -> Segment:
        segments = self._compiled.segments.get(key) or self._learn([key]).segments[key]
        return next(segment for segment in segments if segment.holds(at_ms, size))

    def _learn(self, keys: list[Key]) -> _Compiled:
        """Compile keys that are new; start over where there are too many."""
        with self._lock:
            known = self._compiled
            if len(known.segments) + len(keys) > _MAX_KEYS:
                known = _Compiled({}, segment_table([]))
                self._sources = self._sources.fresh()
            new = {key: self._sources.segments(key) for key in keys if key not in known.segments}
            rows = segment_table((key, segment) for key, segments in new.items() for segment in segments)
            self._compiled = _Compiled(known.segments | new, pl.concat([known.table, rows]))
            return self._compiled


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
