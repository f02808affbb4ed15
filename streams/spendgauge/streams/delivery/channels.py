"""Who is told, of what, and how? ``channels.toml``, read and checked; each error is a sentence."""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, ValidationError, model_validator

from spendgauge.schemas.alerts import SEVERITIES, Alert, SentSeverity
from spendgauge.schemas.configuration import as_written, fault_of, read_toml
from spendgauge.schemas.errors import ConfigurationError
from spendgauge.schemas.silences import key_matches
from spendgauge.streams.delivery.quiet import QuietHours
from spendgauge.streams.delivery.signing import SECRET_PREFIX

__all__ = ["DELIVERY_RULE", "DELIVERY_SERIES", "Channel", "Only", "failing_channel", "parse_channels"]

DELIVERY_RULE: Final = "delivery"
"""The rule of the alert that a channel cannot be reached."""

DELIVERY_SERIES: Final = "channel"
"""Its series; its key is the channel's name."""

_SECRET: Final = frozenset({"url", "url_env", "secret_env", "secret_file"})
"""Never shown in an error: where a name belongs people paste what it stands for."""

_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")


def _variable(text: str) -> str:
    if not _VARIABLE.fullmatch(text) or text.startswith(SECRET_PREFIX):
        raise ValueError("write the name of an environment variable, such as OPS_SECRET, and there what it holds")
    return text


def _file(text: str) -> str:
    if "://" in text or text.startswith(SECRET_PREFIX):
        raise ValueError("write the name of a file, and there what it holds")
    return text


_Variable = Annotated[str, AfterValidator(_variable)]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Only(_Table):
    """One series, and of it the keys that a channel wants."""

    series: Annotated[str, Field(min_length=1)]
    key: tuple[str, ...] = ()
    """``*`` stands for any value; empty: any key."""

    def covers(self, alert: Alert) -> bool:
        """Whether an alert is about such a key."""
        return self.series == alert.series and (not self.key or key_matches(self.key, alert.key))


class Channel(_Table):
    """One ``[[channel]]``."""

    name: Annotated[str, Field(pattern=r"^[a-zA-Z0-9][a-zA-Z0-9._-]{0,62}$")]
    kind: Literal["webhook", "apprise"]
    url: SecretStr | None = None
    """A secret: with most services, whoever knows the address may write to it."""
    url_env: _Variable | None = None
    secret_env: _Variable | None = None
    secret_file: Annotated[str, Field(min_length=1), AfterValidator(_file)] | None = None
    timeout_seconds: Annotated[float, Field(ge=0.1, le=60)] = 10.0
    """How long a webhook may say nothing, and how long an apprise service may take."""
    min_severity: SentSeverity = "warn"
    rules: tuple[Annotated[str, Field(min_length=1)], ...] = ()
    """Empty: all of them."""
    only: tuple[Only, ...] = ()
    """Empty: alerts about any key."""
    quiet: QuietHours | None = None

    def covers(self, alert: Alert, *, severity: str) -> bool:
        """Whether it is to be told of an alert that was so grave; never that it itself cannot be reached."""
        return (
            SEVERITIES.index(severity) >= SEVERITIES.index(self.min_severity)
            and (not self.rules or alert.rule in self.rules)
            and (not self.only or any(one.covers(alert) for one in self.only))
            and failing_channel(alert) != self.name
        )

    def is_quiet(self, now_ms: int) -> bool:
        """Whether it is left alone now, but for pages."""
        return self.quiet is not None and self.quiet.hold(now_ms)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.url is None) == (self.url_env is None):
            raise ValueError("write either url, or url_env with the name of the environment variable that holds it")
        secrets = [name for name in ("secret_env", "secret_file") if getattr(self, name) is not None]
        if self.kind == "webhook" and len(secrets) != 1:
            raise ValueError("a webhook is signed: write either secret_env or secret_file, where its secret is")
        if self.kind == "apprise" and secrets:
            raise ValueError(f"{secrets[0]} is for webhooks only; an apprise URL holds all that its service needs")
        return self


def failing_channel(alert: Alert) -> str | None:
    """Name the channel that an alert says cannot be reached; None: it says something else."""
    if alert.rule != DELIVERY_RULE or alert.series != DELIVERY_SERIES or len(alert.key) != 1:
        return None
    return alert.key[0]


def parse_channels(text: str, *, name: str = "channels.toml") -> tuple[Channel, ...]:
    """Read a file's content.

    Raises ``ConfigurationError`` with one sentence: the file, the channel, the value, and what to do.
    """
    document = read_toml(text, name, parse_float=float)
    unknown = next((key for key in document if key != "channel"), None)
    tables = document.get("channel", [])
    if unknown is not None or not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise ConfigurationError(f"{name}: {unknown or 'channel'!r} must be written as [[channel]], once a channel.")
    channels = tuple(_read(name, index, table) for index, table in enumerate(tables))
    names = [channel.name for channel in channels]
    twice = next((one for one in names if names.count(one) > 1), None)
    if twice is not None:
        raise ConfigurationError(
            f"{name}, channel {twice!r}: the name is given twice; what was sent is kept by it, so give each its own."
        )
    return channels


def _read(name: str, index: int, table: Mapping[str, Any]) -> Channel:
    try:
        return Channel.model_validate(table)
    except ValidationError as error:
        who = repr(table["name"]) if isinstance(table.get("name"), str) else f"number {index + 1}"
        fault = fault_of(error, Channel, tables={"only": Only, "quiet": QuietHours}, shown=_shown)
        raise ConfigurationError(f"{name}, channel {who}: {fault}.") from None


def _shown(where: str, value: Any) -> str:
    return "" if where in _SECRET or "://" in repr(value) else f" = {as_written(value)}"
