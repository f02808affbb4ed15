"""How is a producer configured? One frozen object, from the environment or from arguments."""

import socket
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from spendgauge.producers.pseudonyms import PseudonymSettings
from spendgauge.schemas import DIMENSIONS, KafkaSettings
from spendgauge.schemas.events import MAX_RECORD_BYTES
from spendgauge.schemas.settings import Pairs

__all__ = ["DeliverySettings", "ProducerSettings"]


class DeliverySettings(PseudonymSettings, KafkaSettings):
    """How events are packed into records, how many may wait in memory, and which names are kept out."""

    compression: Literal["lz4", "zstd", "gzip", "snappy", "none"] = Field(
        default="lz4",
        description="Codec of the record batches. zstd: about a third smaller, more CPU. none: several times the "
        "bytes on the network and on the broker's disks.",
    )
    coalesce_events: int = Field(
        default=100,
        ge=1,
        le=10_000,
        description="Most events in one Kafka record. 1: a record an event, several times the work for broker and "
        "consumers. Very many: one lost record is a large gap.",
    )
    coalesce_bytes: int = Field(
        default=64 * 1024,
        ge=1,
        le=MAX_RECORD_BYTES // 2,
        description="A record that has reached this many bytes is closed. Too small: as coalesce_events 1. The upper "
        "limit keeps every record below what brokers and consumers accept.",
    )
    queue_events: int = Field(
        default=100_000,
        ge=1,
        description="Most events that wait in memory, from emit() until the broker has acknowledged them. Too few: a "
        "short outage drops events (counted, and named by the gap in seq). Too many: memory, about 1 KB an event.",
    )
    queue_bytes: int = Field(
        default=64 * 1024 * 1024,
        ge=1,
        description="Most encoded bytes that wait in memory; whichever of queue_events and queue_bytes is reached "
        "first is the bound. Too few: as queue_events.",
    )


class ProducerSettings(DeliverySettings):
    """Who emits, what ``emit`` promises, and how long an event may wait for company."""

    service: str = Field(
        default="",
        max_length=100,
        validate_default=True,
        description="The service's name: the first part of `source`, and each event's `service`. Required.",
    )
    host: str = Field(
        default_factory=socket.gethostname,
        max_length=100,
        description="Where it runs: the second part of `source`. Default: the machine's host name.",
    )
    lanes: int = Field(
        default=1,
        ge=1,
        le=256,
        description="How many sources this producer is, each with its own seq and so its own partition. 1 is enough up "
        "to what one partition takes; more spread a busy producer, and cost consumers one position each.",
    )
    linger_ms: int = Field(
        default=20,
        ge=0,
        le=60_000,
        description="How long events are collected after a record has left, in milliseconds; the first event after a "
        "pause leaves at once. 0: hardly any coalescing. Long: later figures, and more lost in a kill -9.",
    )
    exit_seconds: float = Field(
        default=5.0,
        ge=0,
        le=3600,
        description="Longest wait for acknowledgements when the process ends without close(), in seconds. 0: whatever "
        "waits is lost, or left in the spool. Long: an outage holds up every restart.",
    )
    durability: Literal["memory", "process", "disk"] = Field(
        default="memory",
        description="What is safe when emit() returns. memory: nothing yet, a kill -9 loses what waits in memory. "
        "process: the event is in the spool's page cache and survives a kill -9. disk: it is on the disk and survives "
        "a power cut; emit() waits for an fsync.",
    )
    spool_dir: str = Field(
        default="",
        description="Directory on a local disk for events that cannot wait in memory; services and processes may share "
        "it. Empty: no spool, and what does not fit into memory is dropped.",
    )
    spool_bytes: int = Field(
        default=1024**3,
        ge=256 * 1024,
        description="Most bytes that a process keeps in its spool, with what it took over from dead ones. Full: as "
        "without a spool. 1 GiB holds some two million events.",
    )
    dimensions: Pairs = Field(
        default={},
        description="Values for dimensions that an event does not give, such as environment=prod,team=search.",
    )
    totals: bool = Field(
        default=True,
        description="Whether totals() counts what this process emits, and what it costs. Off: nothing is counted, and "
        "asking is an error; it saves the producer's thread 8 µs an event.",
    )
    prices: Path | None = Field(
        default=None,
        description="A TOML file of your own prices, for totals() only: the worker and the sink are given theirs.",
    )

    @field_validator("service")
    @classmethod
    def _named(cls, service: str) -> str:
        if not service.strip():
            raise ValueError("name the service: ProducerSettings(service=...) or SPENDGAUGE_SERVICE")
        return service

    @field_validator("dimensions")
    @classmethod
    def _known(cls, dimensions: dict[str, str]) -> dict[str, str]:
        unknown = sorted(set(dimensions) - set(DIMENSIONS))
        if unknown:
            raise ValueError(f"{', '.join(unknown)} is no dimension; there are {', '.join(DIMENSIONS)}")
        too_long = sorted(name for name, value in dimensions.items() if len(value) > 256)
        if too_long:
            raise ValueError(f"the value of {', '.join(too_long)} has more than 256 characters")
        return dimensions

    @model_validator(mode="after")
    def _has_a_spool(self) -> Self:
        if self.durability != "memory" and not self.spool_dir:
            raise ValueError(
                f"SPENDGAUGE_DURABILITY={self.durability} needs SPENDGAUGE_SPOOL_DIR, a directory on a local disk"
            )
        return self

    @property
    def defaults(self) -> dict[str, Any]:
        """The fields that every event gets unless it gives its own."""
        return {"service": self.service, **self.dimensions}
