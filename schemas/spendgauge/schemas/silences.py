"""What do people say of alerts? That some shall not be told, and that somebody is at it: what is on ``cost.silences``.

The topic is compacted and has one partition. A key is compact JSON, a list with the kind first:

* ``["silence", "<silence_id>"]``: a ``Silence``. What it matches is told nobody until it ends.
* ``["ack", "<incident_id>"]``: an ``Acknowledgement``. Of that incident nothing is told again but what is graver, and
  its end.

A record without a value removes what was said under its key.
"""

from collections.abc import Sequence
from typing import Annotated, Final, Protocol

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from spendgauge.schemas.fields import Milliseconds
from spendgauge.schemas.wire import WireModel, compact_json

__all__ = [
    "ACKNOWLEDGEMENT_SCHEMA",
    "ANY",
    "SILENCE_SCHEMA",
    "Acknowledgement",
    "Named",
    "Silence",
    "acknowledgement_key",
    "key_matches",
    "matches",
    "read_word",
    "silence_key",
]

SILENCE_SCHEMA: Final = "spendgauge.silence/1"
ACKNOWLEDGEMENT_SCHEMA: Final = "spendgauge.acknowledgement/1"

ANY: Final = "*"
"""Stands for each value of a dimension."""

_Who = Annotated[str, Field(min_length=1, max_length=256)]
_Why = Annotated[str, Field(max_length=500)]


class Named(Protocol):
    """What a silence looks at: an alert, or the incident that an alert began."""

    @property
    def rule(self) -> str:
        """As in an alert."""

    @property
    def series(self) -> str:
        """As in an alert."""

    @property
    def key(self) -> tuple[str, ...]:
        """As in an alert."""


class Silence(WireModel):
    """Alerts that shall not be told; what is left out matches all."""

    silence_id: _Who = Field(description="Its name.")
    rule: str = Field(default="", max_length=256, description="As in an alert; empty: any rule.")
    series: str = Field(default="", max_length=256, description="As in an alert; empty: any series.")
    key: tuple[str, ...] = Field(
        default=(),
        max_length=16,
        description="As in an alert, * for any value of a dimension; empty: any key.",
    )
    until: Milliseconds = Field(description="When it ends: what is still up then is told then.")
    by: _Who = Field(description="Who said so.")
    reason: _Why = Field(default="", description="Why.")
    created_at: Milliseconds = Field(description="When it was said.")


class Acknowledgement(WireModel):
    """Somebody is at an incident."""

    incident_id: Annotated[str, Field(min_length=1)] = Field(description="As in an alert.")
    by: _Who = Field(description="Who is at it.")
    at: Milliseconds = Field(description="When it was said.")
    reason: _Why = Field(default="", description="What else there is to say.")


def matches(silence: Silence, alert: Named) -> bool:
    """Whether an alert is one of those that a silence is about; whether it has ended is not asked."""
    return (
        silence.rule in {"", alert.rule}
        and silence.series in {"", alert.series}
        and (not silence.key or key_matches(silence.key, alert.key))
    )


def key_matches(pattern: Sequence[str], key: Sequence[str]) -> bool:
    """Whether a key is one of those that a pattern stands for: as many values, each the same or ``*``."""
    return len(pattern) == len(key) and all(ours in {ANY, theirs} for ours, theirs in zip(pattern, key, strict=True))


def silence_key(silence_id: str) -> bytes:
    """Write the key of a silence."""
    return compact_json(["silence", silence_id]).encode()


def acknowledgement_key(incident_id: str) -> bytes:
    """Write the key of an acknowledgement."""
    return compact_json(["ack", incident_id]).encode()


def read_word(key: bytes | None, value: bytes | None) -> Silence | Acknowledgement | None:
    """Read one record; None for what says nothing: a removal, or a record that this version does not know."""
    try:
        kind, name = _KEY.validate_json(key or b"")
        word = _KINDS[kind].model_validate_json(value or b"")
    except (KeyError, ValidationError):
        return None
    own = word.silence_id if isinstance(word, Silence) else word.incident_id
    return word if own == name else None


_KEY: Final[TypeAdapter[tuple[str, str]]] = TypeAdapter(tuple[str, str], config=ConfigDict(strict=True))
_KINDS: Final[dict[str, type[Silence] | type[Acknowledgement]]] = {"silence": Silence, "ack": Acknowledgement}
