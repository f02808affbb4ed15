"""How does one line of a topic read? For people: a time, what, how much."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

import orjson

from spendgauge.schemas import DIMENSIONS, END_SCHEMA, LEAVES

__all__ = ["readable"]

_INPUT: Final = tuple(name for name in LEAVES if name.endswith("_tokens") and not name.startswith("output"))
_OUTPUT: Final = tuple(name for name in LEAVES if name.startswith("output"))


def readable(topic: str, line: bytes) -> str:
    """Write a line of ``usage``, ``rates`` or ``rejected`` for people; one that cannot be read as it is."""
    try:
        return _WRITERS[topic](orjson.loads(line))
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError, ValueError):
        return line.decode(errors="replace")


def _usage(event: Mapping[str, Any]) -> str:
    if event.get("schema") == END_SCHEMA:
        return f"{event['closed_at']} source {event['source']} ends, next_seq {event['next_seq']}"
    taken = sum(event.get(name, 0) for name in _INPUT)
    given = sum(event.get(name, 0) for name in _OUTPUT)
    who = " ".join(f"{name}={event[name]}" for name in DIMENSIONS if event.get(name))
    status = "" if event.get("status", "ok") == "ok" else f" {event['status']} {event.get('error_type', '')}".rstrip()
    return (
        f"{event['occurred_at']} {event['provider']}/{event['model']} {taken:,} in {given:,} out{status} {who}".rstrip()
    )


def _rates(contribution: Mapping[str, Any]) -> str:
    start = datetime.fromtimestamp(contribution["pane_start"], UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    names = contribution["series"].split("+")
    key = " ".join(f"{name}={value}" for name, value in zip(names, contribution["key"], strict=False)) or "total"
    tokens = sum(contribution[name] for name in (*_INPUT, *_OUTPUT))
    calls = f"{contribution['requests']:,} {'call' if contribution['requests'] == 1 else 'calls'}"
    unpriced = f" {contribution['unpriced']:,} unpriced" if contribution["unpriced"] else ""
    return (
        f"{start} +{contribution['pane_seconds']}s {key} {calls} {tokens:,} tokens "
        f"{contribution['cost_usd']} USD{unpriced}"
    )


def _rejected(reject: Mapping[str, Any]) -> str:
    received = datetime.fromtimestamp(reject["received_at_ms"] / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    place = f"partition {reject['partition']} offset {reject['offset']} line {reject['line']}"
    return f"{received} {reject['reason']}: {reject['detail']} ({place})"


_WRITERS: Final[Mapping[str, Callable[[Mapping[str, Any]], str]]] = {
    "usage": _usage,
    "rates": _rates,
    "rejected": _rejected,
}
