"""What may other rooms import, and what does it cost?"""

import subprocess
import sys

import spendgauge.schemas
from spendgauge.schemas import TopicNames, topic_specs

EXPORTED = """
ALERTS_SCHEMA DEFAULT_SERIES DIMENSIONS END_SCHEMA GAPS_SCHEMA LEAVES MEASURES QUOTAS_SCHEMA RATES_SCHEMA
REFUSALS_SCHEMA REJECTED_SCHEMA USAGE_SCHEMA Alert ClickHouseSettings Clock ConfigurationError Contributor
KafkaSettings PriceFileError QuotaClock QuotaLimit QuotaLine QuotaRefusal QuotaStanding RateContribution RecordChunk
RejectedEvent SeqGap SeriesSpec SourceEnd SourceGaps SpendgaugeError SystemClock TopicNames TopicSpec UnavailableError
UsageEvent topic_specs
"""


def test_the_exported_names_are_these() -> None:
    """A name appears or disappears on purpose only."""
    assert spendgauge.schemas.__all__ == EXPORTED.split()
    assert [name for name in EXPORTED.split() if not hasattr(spendgauge.schemas, name)] == []


def test_the_schemas_are_light() -> None:
    """Importing the schemas and the producer's line writer loads none of the heavy libraries."""
    heavy = ["polars", "pyarrow", "faust", "aiokafka", "clickhouse_connect", "chdb", "genai_prices", "orjson"]
    code = f"import sys, spendgauge.schemas, spendgauge.schemas.lines; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"


def test_topics_carry_their_prefix() -> None:
    """Every topic is named under the prefix, once, and usage events take the broker's clock."""
    specs = {spec.name: spec for spec in topic_specs(TopicNames("dev."), partitions=6, retention_days=2)}
    assert set(specs) == {
        "dev.usage.events",
        "dev.usage.rejected",
        "dev.usage.positions",
        "dev.usage.gaps",
        "dev.cost.rates",
        "dev.cost.watch",
        "dev.cost.alerts",
        "dev.cost.quotas",
        "dev.cost.refusals",
        "dev.cost.silences",
        "dev.cost.deliveries",
    }
    assert specs["dev.usage.events"].partitions == 6
    assert specs["dev.usage.events"].config["message.timestamp.type"] == "LogAppendTime"
    assert specs["dev.usage.positions"].partitions == specs["dev.usage.events"].partitions
    assert specs["dev.usage.positions"].config["cleanup.policy"] == "compact"
    assert specs["dev.cost.rates"].config["retention.ms"] == "172800000"
    assert specs["dev.cost.watch"].partitions == specs["dev.cost.rates"].partitions
    compacted = {name for name, spec in specs.items() if spec.config["cleanup.policy"] == "compact"}
    assert compacted == {
        f"dev.{name}" for name in ("usage.positions", "cost.watch", "cost.quotas", "cost.silences", "cost.deliveries")
    }
