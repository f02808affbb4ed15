"""How does an event leave a service?

    with create_producer(service="support-bot") as producer:
        producer.emit(provider="anthropic", model="claude-sonnet-4-5", input_tokens=120, output_tokens=345)

``emit`` never blocks and never raises. Importing this has no effect and pulls neither Faust, ClickHouse nor Polars.
"""

from spendgauge.producers.bulk import BulkSource, BulkWriter
from spendgauge.producers.doubles import NullProducer, RecordingProducer
from spendgauge.producers.emitter import ProducerStats, UsageEmitter
from spendgauge.producers.factory import create_producer
from spendgauge.producers.invalid import InvalidEventError, InvalidRow
from spendgauge.producers.producer import UsageProducer
from spendgauge.producers.settings import DeliverySettings, ProducerSettings

__all__ = [
    "BulkSource",
    "BulkWriter",
    "DeliverySettings",
    "InvalidEventError",
    "InvalidRow",
    "NullProducer",
    "ProducerSettings",
    "ProducerStats",
    "RecordingProducer",
    "UsageEmitter",
    "UsageProducer",
    "create_producer",
]
