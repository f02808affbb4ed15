"""What is a gateway told? As other processes, by ``SPENDGAUGE_*``; its own are ``SPENDGAUGE_GATEWAY_*``."""

from pathlib import Path
from typing import Final, Literal, Self

from pydantic import Field, model_validator

from spendgauge.producers.quotas import QuotaSettings
from spendgauge.schemas.settings import MonitorSettings

__all__ = ["LOOPBACK", "GatewaySettings"]

LOOPBACK: Final = ("127.0.0.1", "localhost", "::1")
"""Addresses that only programs of this machine reach."""


class GatewaySettings(QuotaSettings, MonitorSettings):
    """Where it listens, who may send, how much; and the settings of its producer and its guard."""

    service: str = Field(
        default="gateway",
        max_length=100,
        description="The first part of the gateway's `source`; with `gateway_open` also the `service` of events that "
        "name none. With keys that is the key's name.",
    )
    durability: Literal["process", "disk"] = Field(
        default="process",
        description="What is safe when a sender is told 202. process: it survives a kill -9 of the gateway. disk: a "
        "power cut too; a request then waits for an fsync.",
    )
    totals: bool = Field(default=False, description="Nobody can ask a gateway for totals(): nothing is counted for it.")
    gateway_host: str = Field(
        default="127.0.0.1",
        min_length=1,
        description="The address to listen on. Beyond this machine: only with keys, and behind something that "
        "speaks TLS.",
    )
    gateway_port: int = Field(default=8318, ge=0, le=65_535, description="The port to listen on. 0: any free one.")
    gateway_keys: Path | None = Field(
        default=None, description="The TOML file of API keys; it is read again when it changes. Required unless open."
    )
    gateway_open: bool = Field(
        default=False, description="Take what comes without a key. Only on a loopback address, and without keys."
    )
    gateway_body_bytes: int = Field(
        default=4 * 1024 * 1024,
        ge=1024,
        description="The largest body as it is sent. Too small: a collector's batch is refused. Large: memory, "
        "gateway_concurrency times.",
    )
    gateway_unpacked_bytes: int = Field(
        default=8 * 1024 * 1024,
        ge=1024,
        description="The largest body once it is unpacked: what a gzip bomb may take. Large: memory, as before.",
    )
    gateway_items: int = Field(
        default=5_000,
        ge=1,
        description="Most events in a request, or spans of calls to models. Many: one sender holds the others up, "
        "40 µs an event.",
    )
    gateway_read_seconds: float = Field(
        default=10.0,
        gt=0,
        le=3600,
        description="How long a sender may take over a whole request, headers and body, from its first byte on. Long: "
        "slow senders hold connections. Short: large bodies over slow lines do not get through.",
    )
    gateway_concurrency: int = Field(
        default=32, ge=1, description="Most requests at a time; one more is told to come back (503)."
    )
    gateway_connections: int = Field(
        default=1_000,
        ge=1,
        description="Most connections at a time; one more is closed. At most what the system allows.",
    )
    gateway_requests_per_second: float = Field(
        default=200.0, gt=0, description="Requests that a key may make, on average; twice as many at once."
    )
    gateway_events_per_second: float = Field(
        default=10_000.0, gt=0, description="Events that a key may send, on average; twice as many at once."
    )
    gateway_stop_seconds: float = Field(
        default=5.0,
        ge=0,
        description="How long requests that are under way may take after SIGTERM; the producer then has exit_seconds.",
    )

    @model_validator(mode="after")
    def _answers_to_somebody(self) -> Self:
        if self.gateway_open and self.gateway_keys is not None:
            raise ValueError("a gateway is open or has keys (SPENDGAUGE_GATEWAY_KEYS), not both: leave one out")
        if not self.gateway_open and self.gateway_keys is None:
            raise ValueError(
                "a gateway needs keys: make one with `spendgauge gateway key NAME --keys FILE` and start with "
                "--keys FILE (SPENDGAUGE_GATEWAY_KEYS); or, for this machine alone, start with --open"
            )
        if self.gateway_open and self.gateway_host not in LOOPBACK:
            raise ValueError(
                f"without keys a gateway at {self.gateway_host} would take events from anybody: "
                f"give it keys (SPENDGAUGE_GATEWAY_KEYS), or stay at {LOOPBACK[0]}"
            )
        return self
