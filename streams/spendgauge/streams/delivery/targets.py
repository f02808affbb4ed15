"""What is needed to reach a channel, beside what the file says? Its address and its secrets, from where it says."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from pydantic import SecretBytes, SecretStr

from spendgauge.schemas.errors import ConfigurationError
from spendgauge.streams.delivery.channels import Channel, parse_channels
from spendgauge.streams.delivery.signing import read_secrets

__all__ = ["Target", "read_targets"]

_PARTS: Final = re.compile(r"[/:@?&=#]+")
_SHORTEST: Final = 5
"""Of a part of an address that is a secret; shorter ones are words that stand anywhere."""


@dataclass(frozen=True)
class Target:
    """A channel that can be written to; equal to another where nothing about it differs."""

    channel: Channel
    url: SecretStr
    secrets: tuple[SecretBytes, ...] = ()

    def hide(self, text: str) -> str:
        """Take out of a text whatever stands in the address, for any part of it may be the secret."""
        url = self.url.get_secret_value().partition("://")[2]
        written = [url, *_PARTS.split(url)]
        parts = {part for part in (*written, *map(unquote, written)) if len(part) >= _SHORTEST}
        for part in sorted(parts, key=len, reverse=True):
            text = text.replace(part, "***")
        return text


def read_targets(path: Path, environment: Mapping[str, str]) -> tuple[Target, ...]:
    """Read the file of the channels, and what it names.

    Raises ``ConfigurationError`` with one sentence: the file, the channel, and what to do; it shows no secret.
    """
    channels = parse_channels(_read(path, f"channels file {path}"), name=path.name)
    return tuple(_target(channel, path, environment) for channel in channels)


def _target(channel: Channel, path: Path, environment: Mapping[str, str]) -> Target:
    where = f"{path.name}, channel {channel.name!r}"
    if channel.url is not None:
        url = channel.url.get_secret_value()
    else:
        url = _variable(channel.url_env or "", environment, f"{where}: url_env").strip()
    if channel.kind == "apprise":
        return Target(channel, SecretStr(url))
    _check_address(url, where)
    if channel.secret_env is not None:
        text = _variable(channel.secret_env, environment, f"{where}: secret_env")
    else:
        text = _read(path.parent / (channel.secret_file or ""), f"{where}: secret_file {channel.secret_file}")
    try:
        return Target(channel, SecretStr(url), read_secrets(text))
    except ValueError as error:
        raise ConfigurationError(f"{where}: its secret cannot be used: {error}.") from None


def _check_address(url: str, where: str) -> None:
    try:
        parts = urlsplit(url)
        good = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        good = False
    if not good:
        raise ConfigurationError(f"{where}: its url cannot be used: write http:// or https://, a host and a path.")


def _variable(name: str, environment: Mapping[str, str], what: str) -> str:
    if not environment.get(name):
        raise ConfigurationError(f"{what} names {name}, which is not set; set it where the notifier starts.")
    return environment[name]


def _read(path: Path, what: str) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8"
        raise ConfigurationError(f"{what} cannot be read: {reason}.") from None
