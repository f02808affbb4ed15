"""What does genai-prices itself say an event costs? A second route to every figure of the price book."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from decimal import ROUND_HALF_EVEN, Decimal, localcontext
from functools import cache
from itertools import product
from typing import Any

import polars as pl
from genai_prices import Usage, calc_price
from genai_prices import types as library
from genai_prices.data import providers
from genai_prices.data_snapshot import DataSnapshot

from spendgauge.schemas import LEAVES, UsageEvent

__all__ = [
    "ANOTHER_ID",
    "MS",
    "NOW",
    "Case",
    "call",
    "cases",
    "contexts",
    "edges",
    "frame_of",
    "has_price",
    "library_cost",
    "usage_of",
]

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
MS = timedelta(milliseconds=1)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
EVENT_ID = "01936d5e-0000-7000-8000-000000000000"
ANOTHER_ID = "01936d5e-0000-7000-8000-000000000001"

contexts: dict[str, dict[str, str] | None] = {
    "standard": None,
    "batch": {"processing": "batch"},
    "flex": {"service_tier": "flex"},
    "priority": {"service_tier": "priority"},
}


@dataclass(frozen=True, repr=False)
class Case:
    """A model of the catalogue, and a name that the library resolves to it."""

    provider: str
    model: str
    info: library.ModelInfo

    def __repr__(self) -> str:
        return f"{self.provider}/{self.model}"


@cache
def cases() -> tuple[Case, ...]:
    """List every model of every provider."""
    snapshot = DataSnapshot(providers=providers, from_auto_update=False)
    return tuple(Case(p.id, _name_of(snapshot, p.id, m), m) for p in providers for m in p.models)


def _name_of(snapshot: DataSnapshot, provider_id: str, model: library.ModelInfo) -> str:
    for name in (model.id, *_names(model.match)):
        try:
            if snapshot.find_provider_model(name, None, provider_id, None)[1] is model:
                return name
        except LookupError:
            continue
    raise AssertionError(f"no name leads to {provider_id}/{model.id}")


def _names(match: Any) -> Iterator[str]:
    """Write names that a match clause accepts."""
    if isinstance(match, library.ClauseOr):
        for clause in match.or_:
            yield from _names(clause)
    elif isinstance(match, library.ClauseAnd):
        yield from ("".join(parts) for parts in product(*(tuple(_names(clause)) for clause in match.and_)))
    elif not isinstance(match, library.ClauseRegex):
        yield from vars(match).values()


def edges(info: library.ModelInfo) -> tuple[list[datetime], list[int]]:
    """List the times and the input sizes at which something about a model's price changes."""
    conditional = info.prices if isinstance(info.prices, list) else []
    constraints = [c.constraint for c in conditional] + [v.constraint for v in info.price_variants or ()]
    prices = [c.prices for c in conditional] + [v.prices for v in info.price_variants or ()]
    if isinstance(info.prices, library.ModelPrice):
        prices.append(info.prices)
    times = []
    for constraint in constraints:
        if isinstance(constraint, library.StartDateConstraint):
            times.append(datetime.combine(constraint.start_date, time(), UTC))
        elif constraint is not None:
            times += [datetime.combine(NOW, edge) for edge in (constraint.start_time, constraint.end_time)]
    tiered = [p for price in prices for p in vars(price).values() if isinstance(p, library.TieredPrices)]
    return sorted(set(times)), sorted({tier.start for price in tiered for tier in price.tiers})


def call(provider: str, model: str, *, at: datetime = NOW, **fields: Any) -> UsageEvent:
    """Build an event."""
    return UsageEvent(event_id=EVENT_ID, provider=provider, model=model, occurred_at=at, **fields)


def frame_of(events: Iterable[UsageEvent]) -> pl.DataFrame:
    """Write events as the columns that pricing reads."""
    names = ("provider", "model", "service_tier", "kind", "status", *LEAVES, "reasoning_tokens")
    rows = [
        {**{name: getattr(event, name) for name in names}, "occurred_at_ms": (event.occurred_at - EPOCH) // MS}
        for event in events
    ]
    texts = {name: pl.String() for name in names[:5]}
    numbers = {name: pl.Int64() for name in (*names[5:], "occurred_at_ms")}
    return pl.DataFrame(rows, schema={**texts, **numbers})


def usage_of(event: UsageEvent) -> Usage:
    """Turn disjoint leaves into the library's inclusive totals: each total is the sum of the leaves below it."""
    written = event.cache_write_5m_tokens + event.cache_write_1h_tokens
    return Usage(
        input_tokens=event.input_tokens + event.cache_read_tokens + written + event.input_audio_tokens,
        input_audio_tokens=event.input_audio_tokens,
        cache_read_tokens=event.cache_read_tokens,
        cache_audio_read_tokens=0,
        cache_write_tokens=written,
        cache_write_5m_tokens=event.cache_write_5m_tokens,
        cache_write_1h_tokens=event.cache_write_1h_tokens,
        output_tokens=event.output_tokens + event.output_audio_tokens,
        output_audio_tokens=event.output_audio_tokens,
        output_reasoning_tokens=event.reasoning_tokens,
        web_searches=event.web_search_requests,
    )


def library_cost(event: UsageEvent) -> tuple[int, library.ModelPrice]:
    """Let the library price an event: picodollars, its exact Decimal rounded half to even, and the price it used."""
    with localcontext(prec=80):
        result = calc_price(
            usage_of(event),
            event.model,
            provider_id=event.provider,
            genai_request_timestamp=event.occurred_at,
            price_context=contexts[event.service_tier],
        )
        return int((result.total_price * Decimal(10**12)).to_integral_value(ROUND_HALF_EVEN)), result.model_price


def has_price(price: library.ModelPrice, *keys: str) -> bool:
    """Whether the library has any of these prices."""
    return any(getattr(price, key) is not None for key in keys)
