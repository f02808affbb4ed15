"""Who may send, and for whom? API keys in a TOML file, of which it holds only the hashes.

A key is ``sg_`` and 256 random bits. One SHA-256 of it is kept: slow hashes such as Argon2 protect what people think
up, and 2**256 keys cannot be tried out whatever a try costs; a slow hash would only cost the gateway as much for each
request, also for those without a valid key. A key is looked up by its hash, so the time that takes says nothing of
how near a guess came.
"""

import fcntl
import json
import os
import re
import secrets
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from spendgauge.producers.invalid import InvalidEventError
from spendgauge.schemas import DIMENSIONS, ConfigurationError
from spendgauge.schemas.moments import utc_time

__all__ = ["Key", "KeyFile", "KeyRing", "add_key", "read_keys"]

_PREFIX: Final = "sg_"
_RANDOM_BYTES: Final = 32
_MAX_TOKEN: Final = 128
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")

Value = Annotated[str, Field(max_length=256, pattern=r"^[^\x00-\x1f\x7f]*$")]


@dataclass(frozen=True)
class Key:
    """One sender: which dimensions its events get whatever they say, and which values they may have."""

    name: str
    fixed: Mapping[str, str]
    allowed: Mapping[str, frozenset[str]]

    def applied(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        """Give an event what the key fixes, and its name as the service where none is given.

        Raises ``InvalidEventError`` where a dimension has a value that the key may not give.
        """
        own = {**fields, **self.fixed}
        if own.get("service") in (None, ""):
            own["service"] = self.name
        for name, values in self.allowed.items():
            value = own.get(name)
            if not isinstance(value, str) or value not in values:
                raise InvalidEventError(f"{name} must have one of the values that the key {self.name} may give")
        return own


class KeyRing:
    """All keys, by their hashes."""

    def __init__(self, keys: Mapping[bytes, Key]) -> None:
        self._keys = dict(keys)

    def __len__(self) -> int:
        """How many there are."""
        return len(self._keys)

    def find(self, token: str) -> Key | None:
        """Give the key that a sender shows; None where it is none of ours."""
        if len(token) > _MAX_TOKEN:
            return None
        digest = sha256(token.encode()).digest()
        return self._keys.get(digest)


class KeyFile:
    """A file of keys that is read again when it changes; one that cannot be read changes nothing."""

    def __init__(self, path: Path) -> None:
        """Read it. Raises ``ConfigurationError`` where that cannot be done, or there is no key in it."""
        self.ring = read_keys(path)
        if not len(self.ring):
            raise ConfigurationError(f"{path} has no key; make one with `spendgauge gateway key NAME --keys {path}`")
        self._path = path
        self._stamp = _stamp(path)

    def refresh(self) -> bool:
        """Read the file if it is another than last time; say whether the keys are new.

        Raises ``ConfigurationError`` where it cannot be read, once for each change: the keys stay as they are.
        """
        stamp = _stamp(self._path)
        if stamp == self._stamp:
            return False
        self._stamp = stamp
        self.ring = read_keys(self._path)
        return True


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid")

    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    created: datetime | None = None
    set: dict[str, Value] = {}
    allow: dict[str, list[Value]] = {}


def read_keys(path: Path) -> KeyRing:
    """Read a file of keys. Raises ``ConfigurationError`` that names the key and the entry which cannot be used."""
    try:
        entries = tomllib.loads(path.read_text(encoding="utf-8")).get("keys", {})
        if not isinstance(entries, dict):
            raise ConfigurationError(f"{path}: keys must be written as [keys.NAME], once a key")
    except OSError as error:
        raise ConfigurationError(
            f"the keys in {path} cannot be read ({error.strerror}); make one with `spendgauge gateway key NAME "
            f"--keys {path}`"
        ) from None
    except ValueError as error:
        raise ConfigurationError(f"{path} is not TOML: {error}") from None
    return KeyRing(dict(_key(path, name, entry) for name, entry in entries.items()))


def add_key(
    path: Path, name: str, *, fixed: Mapping[str, str], allowed: Mapping[str, Iterable[str]], now_ms: int
) -> str:
    """Make a key, write its hash to the end of the file (created if missing, for its owner only), and give the key.

    Raises ``ConfigurationError`` where the file has a key of that name, or a name or value cannot be used.
    """
    if not _NAME.fullmatch(name):
        raise ConfigurationError(
            f"{name[:64]!r} is no name for a key; use at most 64 letters, digits, dots, dashes and underscores"
        )
    token = _PREFIX + secrets.token_urlsafe(_RANDOM_BYTES)
    entry = {
        "sha256": sha256(token.encode()).hexdigest(),
        "created": utc_time(now_ms),
        "set": dict(fixed),
        "allow": {dimension: list(values) for dimension, values in allowed.items()},
    }
    _key(path, name, entry)
    try:
        with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600), "r+", encoding="utf-8") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            before = file.read()
            if name in tomllib.loads(before).get("keys", {}):
                raise ConfigurationError(f"{path} has a key {name}; remove its entry to revoke it, or choose another")
            file.write(_written(name, entry, first=not before))
    except OSError as error:
        raise ConfigurationError(f"the keys in {path} cannot be written ({error.strerror})") from None
    except ValueError as error:
        raise ConfigurationError(f"{path} is not TOML: {error}") from None
    return token


def _written(name: str, entry: Mapping[str, Any], *, first: bool) -> str:
    lines = [
        *(["# API keys of the gateway: their hashes. An entry that is removed is a key that is revoked."] * first),
        "",
        f"[keys.{_quoted(name)}]",
        f'sha256 = "{entry["sha256"]}"',
        f"created = {entry['created'].strftime('%Y-%m-%dT%H:%M:%SZ')}",
    ]
    if entry["set"]:
        lines.append(f"set = {{ {', '.join(f'{name} = {_quoted(value)}' for name, value in entry['set'].items())} }}")
    if entry["allow"]:
        lists = (f"{name} = [{', '.join(map(_quoted, values))}]" for name, values in entry["allow"].items())
        lines.append(f"allow = {{ {', '.join(lists)} }}")
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    """Write a TOML string: without control characters it is as in JSON."""
    return json.dumps(text, ensure_ascii=False)


def _key(path: Path, name: str, entry: Any) -> tuple[bytes, Key]:
    try:
        read = _Entry.model_validate(entry)
    except ValidationError as error:
        fault = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(map(str, fault["loc"])) or "the entry"
        raise ConfigurationError(f"the key {name} in {path} cannot be used: {where}: {fault['msg']}") from None
    unknown = sorted((read.set.keys() | read.allow.keys()) - set(DIMENSIONS))
    if unknown:
        raise ConfigurationError(
            f"the key {name} in {path} names {', '.join(unknown)}, which is no dimension; "
            f"there are {', '.join(DIMENSIONS)}"
        )
    allowed = {dimension: frozenset(values) for dimension, values in read.allow.items()}
    return bytes.fromhex(read.sha256), Key(name, read.set, allowed)


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return (found.st_mtime_ns, found.st_size, found.st_ino)
