"""How is each kind of field read and written: ids, times, counts, names, money, bytes?

Each type states its JSON Schema too, so that other languages refuse what pydantic refuses.
"""

import re
from base64 import b64decode, b64encode
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BeforeValidator, Field, PlainSerializer, WithJsonSchema

__all__ = [
    "EARLIEST",
    "LATEST",
    "MAX_TOKENS",
    "Base64",
    "Count",
    "EventId",
    "Milliseconds",
    "Name",
    "TimeZone",
    "Total",
    "Usd",
    "UsdText",
]

MAX_TOKENS: Final = 100_000_000
"""The most tokens of one kind in one event. With prices up to 1,000 USD per million tokens an event stays
below 1e18 picodollars, which is what a 64-bit integer and ``Decimal(18, 12)`` can hold."""

EARLIEST: Final = datetime(2020, 1, 1, tzinfo=UTC)
LATEST: Final = datetime(2100, 1, 1, tzinfo=UTC)
"""Times lie in [EARLIEST, LATEST), which is what the tables hold: an event is never counted in the rates and then
refused by the database."""

_UUID_PATTERN: Final = "[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}"
_TIME_PATTERN: Final = (
    r"(2019|20[2-9][0-9]|2100)-[0-9]{2}-[0-9]{2}T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{1,9})?"
    "(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])"
)
_USD_PATTERN: Final = r"-?[0-9]{1,6}(\.[0-9]{1,12})?"
_USD_TEXT_PATTERN: Final = r"-?[0-9]{1,26}\.[0-9]{12}"
_UUID = re.compile(_UUID_PATTERN)
_RFC3339 = re.compile(_TIME_PATTERN.replace("(2019|20[2-9][0-9]|2100)", "[0-9]{4}"))
_USD = re.compile(_USD_PATTERN)
_NIL = "00000000-0000-0000-0000-000000000000"


def _shown(value: Any) -> str:
    """Show the value in an error, cut short: what stands in a wrong field may be anything, even a prompt."""
    text = repr(value)
    return text if len(text) <= 48 else f"{text[:45]}..."


def _canonical_uuid(value: Any) -> Any:
    if isinstance(value, UUID):
        value = str(value)
    if not isinstance(value, str):
        return value
    if not _UUID.fullmatch(value):
        raise ValueError(f"{_shown(value)} is not a UUID such as 0190c5b0-3d6e-7c41-9f0e-2a6f1d0b7e55")
    if value == _NIL:
        raise ValueError("the nil UUID is no id: all events that carry it would count as one")
    return value.lower()


def _utc_milliseconds(value: Any) -> Any:
    """Read an RFC 3339 time and cut it to whole milliseconds, UTC.

    Bare numbers are refused: whether they are seconds or milliseconds is a guess that goes wrong silently.
    """
    if isinstance(value, str):
        if not _RFC3339.fullmatch(value):
            raise ValueError(f"{_shown(value)} is not an RFC 3339 time with a zone, such as 2026-01-31T12:00:00.000Z")
        value = datetime.fromisoformat(value)
    if not isinstance(value, datetime):
        return value
    if value.tzinfo is None:
        raise ValueError(f"{value.isoformat()} has no time zone; use an aware datetime in UTC")
    if not EARLIEST <= value < LATEST:
        raise ValueError(f"{value.isoformat()} is not within [2020, 2100); look at the clock that gave it")
    utc = value.astimezone(UTC)
    return utc.replace(microsecond=utc.microsecond // 1000 * 1000)


def _utc_text(value: datetime) -> str:
    return value.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _usd_text_only(value: Any) -> Any:
    text = f"{value:f}" if isinstance(value, Decimal) else value
    if not (isinstance(text, str) and _USD.fullmatch(text)):
        raise ValueError(
            f"{_shown(value)} is not an amount in USD; write a decimal string such as "
            '"0.0105", below a million, at most twelve decimals'
        )
    return Decimal(text)


def _empty_is_not_given(value: Any) -> Any:
    return "" if value is None else value


def _time_zone(value: Any) -> str:
    try:
        return ZoneInfo(value).key
    except (ValueError, OSError, TypeError, ZoneInfoNotFoundError):
        raise ValueError("write the name of a time zone, such as Europe/Zurich or UTC") from None


def _from_base64(value: Any) -> Any:
    return b64decode(value, validate=True) if isinstance(value, str) else value


EventId = Annotated[
    str,
    BeforeValidator(_canonical_uuid),
    WithJsonSchema({"type": "string", "pattern": f"^{_UUID_PATTERN}$", "not": {"const": _NIL}}),
]
"""A UUID, kept in lower case; never the nil UUID."""

Milliseconds = Annotated[
    datetime,
    BeforeValidator(_utc_milliseconds),
    PlainSerializer(_utc_text, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "format": "date-time", "pattern": f"^{_TIME_PATTERN}$"}),
]
"""An aware UTC time in [2020, 2100), cut to whole milliseconds."""

Count = Annotated[int, Field(ge=-MAX_TOKENS, le=MAX_TOKENS)]
"""Negative only in an adjustment."""

Total = Annotated[int, Field(ge=-(2**63), le=2**63 - 1)]
"""A sum that fits a 64-bit integer."""

Name = Annotated[
    str,
    Field(max_length=256),
    BeforeValidator(_empty_is_not_given),
    WithJsonSchema({"type": ["string", "null"], "maxLength": 256}),
]
"""A dimension's value; null and the empty string both mean: not given."""

Usd = Annotated[
    Decimal,
    BeforeValidator(_usd_text_only),
    PlainSerializer(lambda amount: f"{amount:f}", return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "pattern": f"^{_USD_PATTERN}$"}),
]
"""An amount as a caller writes it."""

UsdText = Annotated[str, Field(pattern=f"^{_USD_TEXT_PATTERN}$")]
"""An exact amount as we write it (``money.usd_text``): twelve decimals, and what ``Decimal(38, 12)`` holds."""

TimeZone = Annotated[str, BeforeValidator(_time_zone)]
"""The name of a time zone that this machine knows."""

Base64 = Annotated[
    bytes,
    BeforeValidator(_from_base64),
    PlainSerializer(lambda value: b64encode(value).decode("ascii"), return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "contentEncoding": "base64"}),
]
"""Bytes in Python, standard base64 text in JSON."""
