"""How is a usual event written in a few microseconds? With those rules of the authority that need no Python code.

``UsageEvent`` is the authority, and asking it takes most of what an ``emit`` may take: it converts ids, times and
amounts, builds an object, and looks at several fields together. Most events have nothing to convert. For those its own
rules for each field, taken from its schema, and pydantic's own writer of JSON are enough; what looks at several fields
is said here again. The line is byte for byte what ``event_line`` writes (tests/unit/test_producer_shorthand.py compares
them); where that is not sure there is none, and the authority is asked.
"""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, Final

from pydantic import ValidationError
from pydantic_core import CoreConfig, SchemaSerializer, SchemaValidator, core_schema

from spendgauge.schemas import UsageEvent
from spendgauge.schemas.events import MAX_EVENT_BYTES
from spendgauge.schemas.fields import EARLIEST, LATEST
from spendgauge.schemas.moments import EPOCH

__all__ = ["Shorthand"]

_UUID: Final = re.compile("[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}").fullmatch
_NIL: Final = "00000000-0000-0000-0000-000000000000"

_THOUSANDTHS: Final = tuple(f".{number:03d}Z" for number in range(1000))

_FIRST: Final = frozenset({"event_id", "source", "seq", "kind", "adjusts", "occurred_at", "started_at"})
"""What stands first in a line, in this order, and is written here; an adjustment is never plain."""

_CONVERTED: Final = frozenset({"reported_cost_usd"})


class Shorthand:
    """Writes plain events of those who fill in the fields ``filled`` where they are not given, or given as None."""

    def __init__(self, filled: frozenset[str]) -> None:
        self._validate, self._write = _rules(filled)
        self._useless = bool(filled & _FIRST)

    def line(self, values: dict[str, Any], *, event_id: str, source_json: str, seq: int, now_ms: int) -> bytes | None:
        """Write an event; None where it is not plain.

        *Shape*: ``values`` are the fields, with what was filled in; they are used up. ``event_id`` and ``now_ms`` stand
        for an id and a time that they do not have, and are not looked at.
        """
        own_id, at, since = (
            values.pop("event_id", None),
            values.pop("occurred_at", None),
            values.pop("started_at", None),
        )
        time = _text_now(now_ms) if at is None else _text_of(at)
        begin = "" if since is None else _text_of(since)
        if self._useless or time is None or begin is None or not (own_id is None or _is_id(own_id)):
            return None
        try:
            plain = self._validate(values)
        except ValidationError:
            return None
        if len(plain) < len(values) or (plain.get("reasoning_tokens") or 0) > (plain.get("output_tokens") or 0):
            return None
        started = f',"started_at":"{begin}"' if begin else ""
        head = (
            f'{{"event_id":"{own_id or event_id}","source":{source_json},"seq":{seq},"occurred_at":"{time}"{started},'
        )
        line = head.encode() + self._write(plain, exclude_defaults=True, exclude_none=True)[1:]
        return line if len(line) <= MAX_EVENT_BYTES else None


@lru_cache(maxsize=16)
def _rules(filled: frozenset[str]) -> tuple[Callable[[dict[str, Any]], dict[str, Any]], Callable[..., bytes]]:
    """Build a validator and a writer for the fields that are not written first, from the authority's schema.

    The validator leaves out what it does not know. None is plain where it means: not given.
    """
    whole: Any = UsageEvent.__pydantic_core_schema__
    while whole["type"] != "model-fields":
        whole = whole["schema"]
    read, write = {}, {}
    for name, field in whole["fields"].items():
        if name in _FIRST | _CONVERTED:
            continue
        rule, default = _unwrapped(field["schema"]), UsageEvent.model_fields[name]
        if default.is_required():
            read[name] = write[name] = core_schema.typed_dict_field(rule)
            continue
        either = core_schema.nullable_schema(rule)
        read[name] = core_schema.typed_dict_field(rule if name in filled else either, required=False)
        filling = core_schema.with_default_schema(either, default=default.default)
        write[name] = core_schema.typed_dict_field(filling, required=False)
    config = CoreConfig(strict=True, allow_inf_nan=False)
    validator = SchemaValidator(core_schema.typed_dict_schema(read, config=config))
    return validator.validate_python, SchemaSerializer(core_schema.typed_dict_schema(write)).to_json


def _unwrapped(schema: Any) -> Any:
    """Take the rule for a given value out of a field's schema; only an adjustment's numbers may be negative."""
    while schema["type"] in ("default", "nullable", "function-before"):
        schema = schema["schema"]
    return {**schema, "ge": max(schema["ge"], 0)} if schema["type"] == "int" else schema


def _is_id(value: Any) -> bool:
    return type(value) is str and value != _NIL and _UUID(value) is not None


def _text_of(moment: Any) -> str | None:
    if type(moment) is not datetime or moment.tzinfo is not UTC or not EARLIEST <= moment < LATEST:
        return None
    return moment.isoformat(timespec="milliseconds")[: -len("+00:00")] + "Z"


def _text_now(now_ms: int) -> str | None:
    text = _text_of_second(now_ms // 1000)
    return text + _THOUSANDTHS[now_ms % 1000] if text is not None else None


@lru_cache(maxsize=4)
def _text_of_second(seconds: int) -> str | None:
    moment = EPOCH + timedelta(seconds=seconds)
    return moment.isoformat()[: -len("+00:00")] if EARLIEST <= moment < LATEST else None
