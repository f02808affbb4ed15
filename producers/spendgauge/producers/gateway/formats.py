"""What is in a body of usage? Items, by its content type: JSON, NDJSON or CloudEvents."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, Final

import orjson

from spendgauge.producers.gateway.cloudevents import binary_event, is_binary, structured_event
from spendgauge.producers.gateway.replies import RefusedError
from spendgauge.producers.gateway.taking import Item

__all__ = ["CLOUDEVENT", "CLOUDEVENTS", "JSON", "NDJSON", "media_type", "read_items"]

JSON: Final = "application/json"
NDJSON: Final = "application/x-ndjson"
CLOUDEVENT: Final = "application/cloudevents+json"
CLOUDEVENTS: Final = "application/cloudevents-batch+json"
_NAMES: Final = {"application/ndjson": NDJSON, "application/jsonl": NDJSON, "application/x-jsonlines": NDJSON}


def media_type(headers: Mapping[str, str]) -> str:
    """Give a request's content type without its parameters, by the name that is known here."""
    given = headers.get("content-type", "").partition(";")[0].strip().lower()
    return _NAMES.get(given, given)


def read_items(headers: Mapping[str, str], body: bytes, *, most: int) -> list[Item]:
    """Take a body apart, no further than one item beyond ``most``; an item that is no object is the reason why.

    Raises ``RefusedError`` where the content type is another, the body is not JSON as a whole, or holds nothing.
    """
    kind = media_type(headers)
    if kind not in _READERS:
        raise RefusedError(415, f"the content-type must be one of {', '.join(_READERS)}")
    if kind == JSON and is_binary(headers):
        return [binary_event(headers, _parsed(body))]
    items = list(islice(_READERS[kind](body), most + 1))
    if not items:
        raise RefusedError(400, "the body holds no event")
    return items


def _json(body: bytes) -> list[Item]:
    value = _parsed(body)
    if isinstance(value, dict):
        return [value]
    if not isinstance(value, list):
        raise RefusedError(400, "the body must be a JSON object, or an array of them")
    return [_object(item) for item in value]


def _lines(body: bytes) -> Iterator[Item]:
    return (_line(line) for line in body.split(b"\n") if line.strip())


def _cloudevent(body: bytes) -> list[Item]:
    return [structured_event(_parsed(body))]


def _cloudevents(body: bytes) -> Iterator[Item]:
    value = _parsed(body)
    if not isinstance(value, list):
        raise RefusedError(400, "a batch of CloudEvents must be a JSON array")
    return map(structured_event, value)


_READERS: Final[dict[str, Callable[[bytes], Iterable[Item]]]] = {
    JSON: _json,
    NDJSON: _lines,
    CLOUDEVENT: _cloudevent,
    CLOUDEVENTS: _cloudevents,
}


def _line(line: bytes) -> Item:
    try:
        return _object(orjson.loads(line))
    except ValueError as error:
        return f"it is not JSON: {_where(error)}"


def _object(value: Any) -> Item:
    return value if isinstance(value, dict) else "it is not a JSON object"


def _parsed(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except ValueError as error:
        raise RefusedError(400, f"the body is not JSON: {_where(error)}") from None


def _where(error: ValueError) -> str:
    """Say what is wrong, and where; never what stands there."""
    return str(error).partition(":")[0] + (f" at byte {error.pos}" if isinstance(error, orjson.JSONDecodeError) else "")
