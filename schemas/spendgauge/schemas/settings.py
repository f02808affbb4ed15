"""How is a process configured? From the environment, once, into one frozen object that is passed down.

A field ``kafka`` is read from ``SPENDGAUGE_KAFKA``. A command-line flag wins over the environment, the environment
over the default.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, ValidationError

from spendgauge.schemas.errors import ConfigurationError
from spendgauge.schemas.topics import TopicNames

__all__ = ["ClickHouseSettings", "EnvironmentSettings", "KafkaSettings", "MonitorSettings", "Pairs"]

_PREFIX = "SPENDGAUGE_"
_SECRET = frozenset({"clickhouse", "kafka_options", "pseudonym_key"})
"""Settings that may hold a password: no error shows their value."""


def _pairs(value: Any) -> Any:
    """Read ``a=b,c=d`` as a mapping; a doubled comma is a comma in a value."""
    if not isinstance(value, str):
        return value
    items = [part.replace("\0", ",") for part in value.replace(",,", "\0").split(",") if part.strip()]
    bad = next((place for place, part in enumerate(items, start=1) if "=" not in part), None)
    if bad is not None:
        raise ValueError(f"part {bad} of {len(items)} is not name=value; write a comma within a value twice")
    return {name.strip(): text for name, text in (part.split("=", 1) for part in items)}


Pairs = Annotated[dict[str, str], BeforeValidator(_pairs)]
"""A mapping that the environment writes as ``a=b,c=d``."""


class EnvironmentSettings(BaseModel):
    """Settings that can be read from ``SPENDGAUGE_*`` variables."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None, **given: Any) -> Self:
        """Read the settings; values given (and not None) win over the environment.

        Raises ``ConfigurationError`` with one sentence for each field that cannot work.
        """
        environment = os.environ if environment is None else environment
        values: dict[str, Any] = {
            name: environment[_PREFIX + name.upper()]
            for name in cls.model_fields
            if environment.get(_PREFIX + name.upper())
        }
        values |= {name: value for name, value in given.items() if value is not None}
        try:
            return cls(**values)
        except ValidationError as error:
            raise ConfigurationError(" ".join(map(_sentence, error.errors()))) from None

    def environment(self) -> dict[str, str]:
        """Write the settings as the variables that ``from_environment`` reads, for a child process."""
        written: dict[str, str] = {}
        for name in type(self).model_fields:
            value = getattr(self, name)
            if isinstance(value, Mapping):
                value = ",".join(f"{k}={str(v).replace(',', ',,')}" for k, v in value.items())
            elif isinstance(value, SecretStr):
                value = value.get_secret_value()
            elif isinstance(value, tuple):
                value = ",".join(value)
            if value not in (None, ""):
                written[_PREFIX + name.upper()] = str(value)
        return written


def _sentence(fault: Any) -> str:
    reason = fault["msg"].removeprefix("Value error, ")
    if not fault["loc"]:  # about several settings: the input is all of them, passwords too
        return f"{reason}."
    name = f"{_PREFIX}{'.'.join(map(str, fault['loc'])).upper()}"
    if fault["loc"][0] in _SECRET:
        return f"{name} cannot be used: {reason}."
    return f"{name}={fault['input']!r} cannot be used: {reason}."


class KafkaSettings(EnvironmentSettings):
    """Where the broker is."""

    kafka: str = Field(default="127.0.0.1:9092", description="Bootstrap servers, host:port, separated by commas.")
    kafka_options: Pairs = Field(
        default={},
        description="librdkafka options for every client, such as security.protocol=SASL_SSL,sasl.username=me.",
    )
    topic_prefix: str = Field(default="", pattern=r"^[a-zA-Z0-9._-]*$", description="Put before every topic's name.")

    @property
    def topics(self) -> TopicNames:
        """The topics' names under this prefix."""
        return TopicNames(self.topic_prefix)


class ClickHouseSettings(EnvironmentSettings):
    """Where the database is."""

    clickhouse: str = Field(
        default="http://default@127.0.0.1:8123/spendgauge",
        description="http(s)://user:password@host:port/database of the ClickHouse HTTP interface.",
    )
    clickhouse_cluster: str = Field(
        default="",
        pattern=r"^[a-zA-Z0-9_.-]*$",
        description="The cluster on which `migrate` creates replicated tables; empty: plain tables on one server.",
    )


class MonitorSettings(EnvironmentSettings):
    """How whoever watches a process learns how it is."""

    monitor_host: str = Field(
        default="127.0.0.1",
        min_length=1,
        description="The address on which /healthz, /readyz and /metrics are answered; in a container 0.0.0.0. Nothing "
        "there is secret, and nothing can be changed.",
    )
    monitor_port: int | None = Field(
        default=None,
        ge=1,
        le=65_535,
        description="The port for these; none by default, so that several processes can share a host.",
    )
    heartbeat: Path | None = Field(
        default=None, description="A file that is touched every second while the main loop turns."
    )
