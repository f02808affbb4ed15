"""How does one line of a topic read? For people: a time, what, how much."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import orjson

from spendgauge.schemas import DIMENSIONS, END_SCHEMA, LEAVES
from spendgauge.schemas.incidents import short_id
from spendgauge.schemas.moments import utc_time

__all__ = ["key_words", "moment", "readable", "rfc3339"]

_INPUT: Final = tuple(name for name in LEAVES if name.endswith("_tokens") and not name.startswith("output"))
_OUTPUT: Final = tuple(name for name in LEAVES if name.startswith("output"))


def key_words(series: str, key: Sequence[str]) -> str:
    """Write a key for people: ``feature=chat model=gpt-5``, or ``total``."""
    return " ".join(f"{name}={value}" for name, value in zip(series.split("+"), key, strict=False)) or "total"


def moment(ms: int) -> str:
    """Write a time, UTC, for people who know which year it is."""
    return f"{utc_time(ms):%b %d %H:%M}"


def rfc3339(ms: int) -> str:
    """Write a time, UTC, to the second."""
    return f"{utc_time(ms):%Y-%m-%dT%H:%M:%SZ}"


def readable(topic: str, line: bytes) -> str:
    """Write a line of a topic, named as in ``TopicNames``, for people; one that cannot be read as it is."""
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
    start = rfc3339(contribution["pane_start"] * 1000)
    key = key_words(contribution["series"], contribution["key"])
    tokens = sum(contribution[name] for name in (*_INPUT, *_OUTPUT))
    calls = f"{contribution['requests']:,} {'call' if contribution['requests'] == 1 else 'calls'}"
    unpriced = f" {contribution['unpriced']:,} unpriced" if contribution["unpriced"] else ""
    return (
        f"{start} +{contribution['pane_seconds']}s {key} {calls} {tokens:,} tokens "
        f"{contribution['cost_usd']} USD{unpriced}"
    )


def _rejected(reject: Mapping[str, Any]) -> str:
    received = rfc3339(reject["received_at_ms"])
    place = f"partition {reject['partition']} offset {reject['offset']} line {reject['line']}"
    return f"{received} {reject['reason']}: {reject['detail']} ({place})"


def _alert(step: Mapping[str, Any]) -> str:
    at, incident = rfc3339(step["evaluated_at"] * 1000), short_id(step["incident_id"])
    return f"{at} {incident} {step['severity']} {step['rule']} {step['state']}: {step['message']}"


def _refusal(refusal: Mapping[str, Any]) -> str:
    quota = f"quota {refusal['quota']!r}" if refusal["quota"] else "no quota known"
    limit = "" if refusal["limit"] is None else f" of {refusal['limit']}"
    return (
        f"{refusal['refused_at']} {refusal['action']} {key_words(refusal['series'], refusal['key'])}: {quota}, "
        f"{refusal['spent']}{limit} {refusal['unit']} spent, {refusal['estimate']} wanted"
    )


_WRITERS: Final[Mapping[str, Callable[[Mapping[str, Any]], str]]] = {
    "usage": _usage,
    "rates": _rates,
    "rejected": _rejected,
    "alerts": _alert,
    "refusals": _refusal,
}
