"""What is on the wire? All that the rooms must agree on: events, contributions, gaps, rejects, alerts, topics, money.

Light on purpose: the base install has pydantic and nothing heavier. ``schemas.chunks`` (the chunk codec),
``schemas.monitor`` (what processes tell over HTTP) and the price book of ``schemas.prices`` need the extras ``streams``
or ``sinks`` and are imported by name.
"""

from spendgauge.schemas.alerts import ALERTS_SCHEMA, Alert, Contributor
from spendgauge.schemas.clock import Clock, SystemClock
from spendgauge.schemas.ends import END_SCHEMA, SourceEnd
from spendgauge.schemas.errors import ConfigurationError, PriceFileError, SpendgaugeError, UnavailableError
from spendgauge.schemas.events import DIMENSIONS, LEAVES, USAGE_SCHEMA, UsageEvent
from spendgauge.schemas.positions import GAPS_SCHEMA, SeqGap, SourceGaps
from spendgauge.schemas.quotas import QUOTAS_SCHEMA, QuotaClock, QuotaLimit, QuotaLine, QuotaStanding
from spendgauge.schemas.rates import DEFAULT_SERIES, MEASURES, RATES_SCHEMA, RateContribution, SeriesSpec
from spendgauge.schemas.records import RecordChunk
from spendgauge.schemas.refusals import REFUSALS_SCHEMA, QuotaRefusal
from spendgauge.schemas.rejects import REJECTED_SCHEMA, RejectedEvent
from spendgauge.schemas.settings import ClickHouseSettings, KafkaSettings
from spendgauge.schemas.topics import TopicNames, TopicSpec, topic_specs

__all__ = [
    "ALERTS_SCHEMA",
    "DEFAULT_SERIES",
    "DIMENSIONS",
    "END_SCHEMA",
    "GAPS_SCHEMA",
    "LEAVES",
    "MEASURES",
    "QUOTAS_SCHEMA",
    "RATES_SCHEMA",
    "REFUSALS_SCHEMA",
    "REJECTED_SCHEMA",
    "USAGE_SCHEMA",
    "Alert",
    "ClickHouseSettings",
    "Clock",
    "ConfigurationError",
    "Contributor",
    "KafkaSettings",
    "PriceFileError",
    "QuotaClock",
    "QuotaLimit",
    "QuotaLine",
    "QuotaRefusal",
    "QuotaStanding",
    "RateContribution",
    "RecordChunk",
    "RejectedEvent",
    "SeqGap",
    "SeriesSpec",
    "SourceEnd",
    "SourceGaps",
    "SpendgaugeError",
    "SystemClock",
    "TopicNames",
    "TopicSpec",
    "UnavailableError",
    "UsageEvent",
    "topic_specs",
]
