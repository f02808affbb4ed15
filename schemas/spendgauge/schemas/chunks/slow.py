"""What does pydantic say about one line? The authority, one line at a time."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

import orjson
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from spendgauge.schemas.ends import END_SCHEMA, SourceEnd
from spendgauge.schemas.events import MAX_EVENT_BYTES, MAX_FUTURE, MAX_PAST, UsageEvent
from spendgauge.schemas.moments import milliseconds_of
from spendgauge.schemas.money import picodollars
from spendgauge.schemas.rejects import MAX_DETAIL_CHARACTERS, RejectReason

__all__ = ["MAX_FUTURE_MS", "MAX_PAST_MS", "Refusal", "read_line", "tags_text"]

_MILLISECOND: Final = timedelta(milliseconds=1)
_SHOWN_ERRORS: Final = 3
_SHOWN_CHARACTERS: Final = 40

_END_NAME: Final = END_SCHEMA.partition("/")[0] + "/"
_BEGINS_AN_END: Final = re.compile(rb'\s*{\s*"schema"\s*:\s*"' + re.escape(_END_NAME.encode()))
"""How our producer and most others write a source's end; such a line can be nothing else."""

MAX_PAST_MS: Final = MAX_PAST // _MILLISECOND
MAX_FUTURE_MS: Final = MAX_FUTURE // _MILLISECOND


@dataclass(frozen=True)
class Refusal:
    """Why a line is neither a usage event nor a source's end."""

    reason: RejectReason
    detail: str


def read_line(line: bytes, received_at_ms: int) -> tuple[Any, ...] | SourceEnd | Refusal:
    """Read one line into the values of ``FRAME_SCHEMA`` up to the lineage, or as a source's end, or say why not."""
    if len(line) > MAX_EVENT_BYTES:
        return Refusal("too_large", f"the line has {len(line)} bytes, and an event at most {MAX_EVENT_BYTES}")
    if _BEGINS_AN_END.match(line):
        return _read_end(line)
    try:
        event = UsageEvent.model_validate_json(line)
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False)
        return _read_end(line) if _names_an_end(found) else _refusal(found, "a usage event")
    occurred_at_ms = milliseconds_of(event.occurred_at)
    return _untimely(occurred_at_ms, received_at_ms) or _row(event, occurred_at_ms)


def tags_text(tags: dict[str, str]) -> str:
    """Write tags as JSON with sorted names and no spaces; ``{}`` for none."""
    return orjson.dumps(tags, option=orjson.OPT_SORT_KEYS).decode()


def _read_end(line: bytes) -> SourceEnd | Refusal:
    try:
        return SourceEnd.model_validate_json(line)
    except ValidationError as error:
        why = _refusal(error.errors(include_url=False, include_context=False), "it")
        return Refusal(why.reason, _cut(f"a source's end: {why.detail}", MAX_DETAIL_CHARACTERS))


def _names_an_end(found: Sequence[ErrorDetails]) -> bool:
    """Say whether what is no event says that it is a source's end, wherever in the line, however spelt."""
    return any(item["loc"] == ("schema",) and str(item["input"]).startswith(_END_NAME) for item in found)


def _row(event: UsageEvent, occurred_at_ms: int) -> tuple[Any, ...]:
    values = dict(event)
    values["occurred_at"] = occurred_at_ms
    if event.started_at is not None:
        values["started_at"] = milliseconds_of(event.started_at)
    if event.reported_cost_usd is not None:
        values["reported_cost_usd"] = picodollars(event.reported_cost_usd)
    values["tags"] = tags_text(event.tags)
    return tuple(values.values())


def _untimely(occurred_at_ms: int, received_at_ms: int) -> Refusal | None:
    late_ms = received_at_ms - occurred_at_ms
    if late_ms > MAX_PAST_MS:
        return Refusal(
            "too_old",
            f"occurred_at is {timedelta(milliseconds=late_ms).days} days before the record's timestamp, "
            f"and may be at most {MAX_PAST.days} days before it",
        )
    if -late_ms > MAX_FUTURE_MS:
        return Refusal(
            "in_the_future",
            f"occurred_at is {-late_ms // 1000} seconds after the record's timestamp, "
            f"and may be at most {MAX_FUTURE // timedelta(seconds=1)} seconds after it",
        )
    return None


def _refusal(found: Sequence[ErrorDetails], what: str) -> Refusal:
    if found[0]["type"] == "json_invalid":
        return Refusal("invalid_json", found[0]["msg"].replace("Invalid JSON", "not JSON in UTF-8"))
    sentences = [_sentence(item, what) for item in found[:_SHOWN_ERRORS]]
    if len(found) > _SHOWN_ERRORS:
        sentences.append(f"and {len(found) - _SHOWN_ERRORS} more")
    return Refusal("invalid_event", _cut("; ".join(sentences), MAX_DETAIL_CHARACTERS))


def _sentence(item: ErrorDetails, what: str) -> str:
    """Say what is wrong with one field; an unknown field's value is not shown, for it may be a prompt."""
    where = ".".join(_cut(str(part)) for part in item["loc"])
    message = item["msg"].removeprefix("Value error, ")
    if item["type"] == "extra_forbidden":
        return f"{where} is not a field of {what}"
    if item["type"] == "missing":
        return f"{where} is missing"
    if item["type"] == "value_error" or not where:
        return f"{where}: {message}" if where else message
    value = item["input"]
    shown = f" {_cut(repr(value))}" if value is None or isinstance(value, bool | int | float | str) else ""
    return f"{where}{shown}: {message[0].lower()}{message[1:]}"


def _cut(text: str, characters: int = _SHOWN_CHARACTERS) -> str:
    return text if len(text) <= characters else f"{text[: characters - 3]}..."
