"""How is the sink configured?"""

from pathlib import Path

from pydantic import Field

from spendgauge.schemas import ClickHouseSettings, KafkaSettings
from spendgauge.schemas.settings import MonitorSettings
from spendgauge.schemas.topics import DEFAULT_BLOCK_OFFSETS

__all__ = ["SinkSettings"]


class SinkSettings(KafkaSettings, ClickHouseSettings, MonitorSettings):
    """Everything a sink process is told."""

    prices: Path | None = Field(default=None, description="A TOML file of your own prices, over the catalogue's.")
    block_offsets: int = Field(
        default=DEFAULT_BLOCK_OFFSETS, gt=0, description="As the workers have it: part of a stream's name."
    )
    sink_group: str = Field(
        default="spendgauge-sink",
        min_length=1,
        description="The consumer group that all sinks share.",
    )
    session_timeout_seconds: int = Field(
        default=10,
        ge=1,
        description="A sink that is silent for so long has died, and its partitions go to another. Shorter: a pause "
        "looks like a death. Longer: a death stops its partitions for longer.",
    )
    instance_id: str = Field(
        default="",
        max_length=249,
        pattern=r"^[a-zA-Z0-9._-]*$",
        description="A name that a sink keeps when it is restarted (Kafka's static membership): back within the "
        "session timeout it has its partitions again, and the others notice nothing. Empty: it leaves its group where "
        "it stops. The embedded broker does not know such names.",
    )
    flush_seconds: float = Field(
        default=0.5,
        gt=0,
        description="How long a record may wait for company before it is inserted. Shorter: more, smaller inserts, "
        "each of them work for ClickHouse's merges. Longer: later in SQL.",
    )
    batch_rows: int = Field(
        default=100_000,
        gt=0,
        description="The most rows in one INSERT. Larger: memory here and there, and a longer wait for its neighbours.",
    )
    batch_bytes: int = Field(
        default=64 * 1024 * 1024,
        gt=0,
        description="Records are inserted once so many bytes have come; the sink holds up to five times as many.",
    )
