"""How are people's names kept out? A keyed hash stands in their place before anything is written or sent.

``p:<key id>:<26 characters>``: the first 128 bits of HMAC-SHA256 over the name's UTF-8, in base32. Who has the key can
find a person (``pseudonym``); who has only the events cannot, not even by trying names. Another key is another id, so
that both kinds can be told apart.
"""

import hmac
import re
from base64 import b32encode, b64decode
from functools import lru_cache
from typing import Any, Final, Self

from pydantic import ConfigDict, Field, SecretStr, field_validator, model_validator

from spendgauge.producers.invalid import InvalidEventError
from spendgauge.schemas import DIMENSIONS
from spendgauge.schemas.settings import EnvironmentSettings

__all__ = ["PseudonymSettings", "Pseudonyms", "pseudonym"]

_KEY_BYTES: Final = 32
_DIGEST_BYTES: Final = 16
_CHARACTERS: Final = 26
_MAX_NAME: Final = 256
_REMEMBERED: Final = 4096
"""How many names' pseudonyms are kept: a user usually makes more than one call."""

_FIELDS: Final = tuple(name for name in DIMENSIONS if name != "service")
"""What may be replaced; the service's name is in each event's source too."""


class Pseudonyms:
    """Names under one key, and the fields in which they stand."""

    def __init__(self, key: bytes, key_id: str, fields: tuple[str, ...] = ()) -> None:
        self.fields = frozenset(fields)
        self._key = key
        self._prefix = f"p:{key_id}:"
        self._is_one = re.compile(f"{re.escape(self._prefix)}[a-z2-7]{{{_CHARACTERS}}}").fullmatch
        self.of = lru_cache(_REMEMBERED)(self._of)

    def replace(self, values: dict[str, Any]) -> None:
        """Put pseudonyms in the place of names; what is too long for a name is left for the schema to refuse.

        Raises ``InvalidEventError`` where a value is no text; it is not quoted.
        """
        for name in self.fields & values.keys():
            value = values[name]
            if isinstance(value, str):
                values[name] = self.of(str.__str__(value))
            elif value is not None:
                raise InvalidEventError(f"{name} must be text, so that a pseudonym can stand in its place")

    def _of(self, name: str) -> str:
        """Give the pseudonym of a name; what is one already, of this key, or what no event may hold stays as it is."""
        if not name or len(name) > _MAX_NAME or self._is_one(name):
            return name
        try:
            digest = hmac.digest(self._key, name.encode(), "sha256")
        except UnicodeEncodeError:  # half a character: no event may hold it
            return name
        return self._prefix + b32encode(digest[:_DIGEST_BYTES])[:_CHARACTERS].decode().lower()


class PseudonymSettings(EnvironmentSettings):
    """Which names are replaced, and under which key."""

    model_config = ConfigDict(hide_input_in_errors=True)

    pseudonym_key: SecretStr | None = Field(
        default=None,
        description="The secret under which names are hashed: at least 32 random bytes, as hex or base64. Not given: "
        "names stay as they are. Another one: another pseudonym for everybody.",
    )
    pseudonym_key_id: str = Field(
        default="",
        pattern=r"^[A-Za-z0-9_.-]{0,16}$",
        description="The key's name, which stands in each pseudonym: up to 16 letters, digits and `_.-`, such as 2026. "
        "Each key needs its own.",
    )
    pseudonym_fields: tuple[str, ...] = Field(
        default=("user_id",),
        description="The dimensions that hold names of people, separated by commas, such as user_id,session_id. Not "
        "among them: in clear text.",
    )

    @field_validator("pseudonym_fields", mode="before")
    @classmethod
    def _listed(cls, fields: Any) -> Any:
        return tuple(filter(None, map(str.strip, fields.split(",")))) if isinstance(fields, str) else fields

    @field_validator("pseudonym_fields")
    @classmethod
    def _replaceable(cls, fields: tuple[str, ...]) -> tuple[str, ...]:
        unknown = sorted(set(fields) - set(_FIELDS))
        if unknown:
            raise ValueError(f"{', '.join(unknown)} cannot have pseudonyms; there are {', '.join(_FIELDS)}")
        return fields

    @field_validator("pseudonym_key")
    @classmethod
    def _long_enough(cls, key: SecretStr | None) -> SecretStr | None:
        if key is not None:
            _key_bytes(key.get_secret_value())
        return key

    @model_validator(mode="after")
    def _key_and_name(self) -> Self:
        if self.pseudonym_key is not None and not self.pseudonym_key_id:
            raise ValueError("SPENDGAUGE_PSEUDONYM_KEY needs a name: set SPENDGAUGE_PSEUDONYM_KEY_ID, such as 2026")
        if self.pseudonym_key_id and self.pseudonym_key is None:
            raise ValueError(
                "SPENDGAUGE_PSEUDONYM_KEY_ID names a key that is not there: set SPENDGAUGE_PSEUDONYM_KEY, or names "
                "would be sent as they are"
            )
        return self

    @property
    def pseudonyms(self) -> Pseudonyms | None:
        """What replaces names; None where nothing does."""
        if self.pseudonym_key is None:
            return None
        return Pseudonyms(
            _key_bytes(self.pseudonym_key.get_secret_value()), self.pseudonym_key_id, self.pseudonym_fields
        )


def pseudonym(name: str, *, key: str, key_id: str) -> str:
    """Give what stands in events in place of a name, to look for it in SQL; what is a pseudonym already stays.

    ``key`` and ``key_id`` are ``SPENDGAUGE_PSEUDONYM_KEY`` and ``SPENDGAUGE_PSEUDONYM_KEY_ID``. Raises
    ``ConfigurationError`` where they cannot be.
    """
    checked = PseudonymSettings.from_environment({}, pseudonym_key=key, pseudonym_key_id=key_id)
    return Pseudonyms(_key_bytes(key), checked.pseudonym_key_id).of(name)


def _key_bytes(text: str) -> bytes:
    try:
        key = bytes.fromhex(text) if re.fullmatch("[0-9a-fA-F]+", text) else _from_base64(text)
    except ValueError:
        key = b""
    if len(key) < _KEY_BYTES:
        raise ValueError(
            f"it is not {_KEY_BYTES} bytes or more in hex or base64; make one: "
            "python -c 'import secrets; print(secrets.token_hex(32))'"
        )
    return key


def _from_base64(text: str) -> bytes:
    standard = text.rstrip("=").replace("-", "+").replace("_", "/")
    return b64decode(standard + "=" * (-len(standard) % 4), validate=True)
