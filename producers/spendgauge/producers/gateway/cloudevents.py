"""What does a CloudEvent's envelope say of a usage event? Its id and time, where the event has none of its own.

``data`` is the event. ``id`` becomes ``event_id``: as it is where it is a UUID, else as the UUIDv5 of ``source`` and
``id``, which together name an occurrence. ``time`` becomes ``occurred_at``. The rest of the envelope is not kept.

*Source*: CloudEvents 1.0.2, and its JSON format and HTTP protocol binding.
"""

from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import unquote
from uuid import UUID

import orjson

from spendgauge.producers.adapters.reading import stable_id
from spendgauge.producers.gateway.taking import Item

__all__ = ["binary_event", "is_binary", "structured_event"]

_MARK: Final = "ce-"
_REQUIRED: Final = ("id", "source", "type")
_MAX_ATTRIBUTE: Final = 1024


def is_binary(headers: Mapping[str, str]) -> bool:
    """Say whether a request is a CloudEvent in binary mode: the envelope is in its headers."""
    return "ce-specversion" in headers


def binary_event(headers: Mapping[str, str], data: Any) -> Item:
    """Read an event whose envelope is in ``ce-`` headers, and whose data is the body, read already."""
    envelope = {
        name: unquote(headers[_MARK + name]) for name in ("specversion", *_REQUIRED, "time") if _MARK + name in headers
    }
    return _event(envelope, data)


def structured_event(envelope: Any) -> Item:
    """Read an event whose envelope holds its data."""
    if not isinstance(envelope, dict):
        return "it is not a JSON object"
    content_type = envelope.get("datacontenttype") or "application/json"
    if not isinstance(content_type, str) or not content_type.partition(";")[0].strip().lower().endswith("json"):
        return "datacontenttype must be application/json"
    if "data_base64" not in envelope:
        return _event(envelope, envelope.get("data"))
    if "data" in envelope:
        return "data and data_base64 exclude each other"
    try:
        return _event(envelope, orjson.loads(b64decode(envelope["data_base64"], validate=True)))
    except (Base64Error, ValueError, TypeError):
        return "data_base64 must be JSON in base64"


def _event(envelope: Mapping[str, Any], data: Any) -> Item:
    if envelope.get("specversion") != "1.0":
        return "specversion must be 1.0"
    for name in _REQUIRED:
        value = envelope.get(name)
        if not isinstance(value, str) or not 0 < len(value) <= _MAX_ATTRIBUTE:
            return f"{name} must be a text of 1 to {_MAX_ATTRIBUTE} characters"
    if not isinstance(data, dict):
        return "data must be a JSON object with the fields of a usage event"
    own = {"event_id": _event_id(envelope["source"], envelope["id"]), "occurred_at": envelope.get("time")}
    return data | {name: value for name, value in own.items() if data.get(name) is None}


def _event_id(source: str, own: str) -> str:
    try:
        known = UUID(own)
    except ValueError:
        return stable_id("cloudevents", source, own)
    return str(known) if known.int and len(own) == 36 else stable_id("cloudevents", source, own)
