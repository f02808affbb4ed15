"""What does a local stack consist of, and where does it keep things?"""

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from pydantic import Field

from spendgauge.schemas import ClickHouseSettings, KafkaSettings
from spendgauge.schemas.topics import DEFAULT_BLOCK_OFFSETS

__all__ = ["StackSettings", "default_data_dir"]

EMBEDDED_HOST: Final = "127.0.0.1"


def default_data_dir(environment: Mapping[str, str] | None = None) -> Path:
    """Give the directory of a stack that is not told one: ``spendgauge`` among the user's own data."""
    environment = os.environ if environment is None else environment
    home = Path(environment.get("HOME") or Path.home())
    if sys.platform == "darwin":
        return home / "Library" / "Application Support" / "spendgauge"
    return Path(environment.get("XDG_DATA_HOME") or home / ".local" / "share") / "spendgauge"


class StackSettings(KafkaSettings, ClickHouseSettings):
    """Everything ``up`` is told. An empty address means: run an embedded one."""

    data: Path = Field(
        default_factory=default_data_dir, description="Where the database, the logs and the stack's own notes are kept."
    )
    kafka: str = Field(
        default="",
        description="Bootstrap servers of your own Kafka. Empty: an embedded broker, which keeps all in memory.",
    )
    clickhouse: str = Field(
        default="",
        description="http(s)://user:password@host:port/database of your own ClickHouse. Empty: an embedded one.",
    )
    kafka_port: int = Field(
        default=9092, ge=0, le=65_535, description="The embedded broker's port on 127.0.0.1. 0: any free one."
    )
    clickhouse_port: int = Field(
        default=8123, ge=0, le=65_535, description="The embedded ClickHouse's port on 127.0.0.1. 0: any free one."
    )
    gateway_port: int = Field(
        default=8318,
        ge=0,
        le=65_535,
        description="The gateway's port on 127.0.0.1, where it takes events without keys. 0: any free one.",
    )
    store_password: str = Field(default="", description="The embedded ClickHouse's password. Empty: none is asked for.")
    workers: int = Field(
        default=1, ge=1, le=64, description="How many rates workers share the partitions. More than cores: slower."
    )
    partitions: int = Field(
        default=4, ge=1, le=10_000, description="Partitions of topics that are created: as many workers can share them."
    )
    block_offsets: int = Field(
        default=DEFAULT_BLOCK_OFFSETS, gt=0, description="As the workers have it: part of a stream's name."
    )
    prices: Path | None = Field(
        default=None, description="A TOML file of your own prices; it wins over the built-in ones."
    )
    budgets: Path | None = Field(default=None, description="A TOML file of budgets and quotas, for the watcher.")
    rules: Path | None = Field(default=None, description="A TOML file of rules, for the watcher.")
    channels: Path | None = Field(
        default=None, description="A TOML file of channels. With it a notifier runs, which sends alerts there."
    )
    drain_seconds: float = Field(
        default=30.0,
        ge=0,
        description="How long a stop waits for what was sent to reach ClickHouse. 0: not at all; an embedded broker's "
        "events that have not arrived are lost.",
    )
