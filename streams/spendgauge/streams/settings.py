"""How is a process configured that reads as a member of a group, and how a rates worker?"""

from pathlib import Path

from pydantic import Field

from spendgauge.schemas.settings import KafkaSettings, MonitorSettings
from spendgauge.schemas.topics import DEFAULT_BLOCK_OFFSETS

__all__ = ["MemberSettings", "WorkerSettings"]


class MemberSettings(KafkaSettings, MonitorSettings):
    """What each member of a group needs to know."""

    partitions: int = Field(
        default=4,
        ge=1,
        le=10_000,
        description="Partitions of the topics where this worker must create them: as many workers can share the load.",
    )
    session_timeout_seconds: float = Field(
        default=10.0,
        ge=1,
        le=300,
        description="How long a silent worker keeps its partitions. Smaller: a dead worker is replaced sooner, and a "
        "slow one is taken for dead. The embedded broker lets a worker join after half of it.",
    )
    instance_id: str = Field(
        default="",
        max_length=249,
        pattern=r"^[a-zA-Z0-9._-]*$",
        description="A name that a worker keeps when it is restarted (Kafka's static membership): back within the "
        "session timeout it has its partitions again, and the others notice nothing. Empty: it leaves its group where "
        "it stops. The embedded broker does not know such names.",
    )
    fetch_bytes: int = Field(
        default=4 * 1024 * 1024,
        ge=1024 * 1024,
        le=64 * 1024 * 1024,
        description="The most of one partition that one fetch brings (compressed). Larger: fewer, larger chunks, more "
        "memory. Not below 1 MiB, the largest record.",
    )
    chunk_bytes: int = Field(
        default=4 * 1024 * 1024,
        ge=64 * 1024,
        le=64 * 1024 * 1024,
        description="How much of one partition is handled at once (unpacked). Larger: less work an event, more memory.",
    )
    linger_seconds: float = Field(
        default=0.1,
        ge=0,
        le=1,
        description="How long a small fetch waits for company. Larger: less work when little happens, later rates.",
    )


class WorkerSettings(MemberSettings):
    """What one worker needs to know; read from ``SPENDGAUGE_*``."""

    rates_group: str = Field(
        default="spendgauge-rates",
        min_length=1,
        description="The consumer group. Workers of one group share the partitions; another group counts all again.",
    )
    block_offsets: int = Field(
        default=DEFAULT_BLOCK_OFFSETS,
        ge=1,
        le=1_048_576,
        description="Offsets in a block, for the topic's life. Larger: fewer contributions, a longer rebuild after a "
        "crash. The limit keeps a block's token sums within 64 bits.",
    )
    series: str = Field(
        default="",
        description="Which series, and their panes' seconds, as total:10,feature+model:10,user_id:60; empty: the "
        "default ones. Each series costs time and records.",
    )
    prices: Path | None = Field(
        default=None, description="A TOML file of your own prices; it wins over the built-in ones."
    )
    flush_seconds: float = Field(
        default=1.0,
        gt=0,
        le=60,
        description="How often contributions are written. Smaller: fresher rates, more of them.",
    )
