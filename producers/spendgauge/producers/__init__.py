"""How does an event leave a service?

    with create_producer(service="support-bot") as producer:
        producer.emit(provider="anthropic", model="claude-sonnet-4-5", input_tokens=120, output_tokens=345)

``emit`` never blocks and never raises. Importing this has no effect and pulls neither Faust, ClickHouse nor Polars.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from spendgauge.producers.bulk import BulkSource, BulkWriter
from spendgauge.producers.context import usage_context
from spendgauge.producers.doubles import NullProducer, RecordingProducer
from spendgauge.producers.emitter import ProducerStats, UsageEmitter
from spendgauge.producers.factory import create_producer
from spendgauge.producers.invalid import InvalidEventError, InvalidRow
from spendgauge.producers.producer import UsageProducer
from spendgauge.producers.pseudonyms import PseudonymSettings, pseudonym
from spendgauge.producers.settings import DeliverySettings, ProducerSettings
from spendgauge.producers.totals import ModelTotals, UsageTotals

if TYPE_CHECKING:
    from spendgauge.producers.adapters.estimates import estimate_tokens
    from spendgauge.producers.cost import CallCost, calculate_cost
    from spendgauge.producers.quotas import QuotaExceeded, QuotaGuard, create_guard
    from spendgauge.producers.wrappers import track

__all__ = [
    "BulkSource",
    "BulkWriter",
    "CallCost",
    "DeliverySettings",
    "InvalidEventError",
    "InvalidRow",
    "ModelTotals",
    "NullProducer",
    "ProducerSettings",
    "ProducerStats",
    "PseudonymSettings",
    "QuotaExceeded",
    "QuotaGuard",
    "RecordingProducer",
    "UsageEmitter",
    "UsageProducer",
    "UsageTotals",
    "calculate_cost",
    "create_guard",
    "create_producer",
    "estimate_tokens",
    "pseudonym",
    "track",
    "usage_context",
]

_HOMES: Final = {
    "CallCost": "cost",
    "QuotaExceeded": "quotas",
    "QuotaGuard": "quotas",
    "calculate_cost": "cost",
    "create_guard": "quotas",
    "estimate_tokens": "adapters.estimates",
    "track": "wrappers",
}


def __getattr__(name: str) -> Any:
    """Import a name when it is asked for: a service that only emits loads neither prices nor adapters."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
