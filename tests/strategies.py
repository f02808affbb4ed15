"""What may a producer, a foreign writer or an accident put on ``usage.events``? Hypothesis strategies for all three.

``usage_events`` draws valid events, ``event_lines`` their lines in any valid spelling, ``spoiled_lines`` lines with one
or more accidents (some of them harmless), ``chunks`` many records of them. All times lie around ``NOW_MS``.
"""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any, Final

from hypothesis import strategies as st
from tests.accidents import spoiled

from spendgauge.schemas import DIMENSIONS, LEAVES, RecordChunk, UsageEvent
from spendgauge.schemas.events import MAX_FUTURE, MAX_PAST, MAX_TOKENS
from spendgauge.schemas.fields import EARLIEST, LATEST
from spendgauge.schemas.lines import event_line

__all__ = [
    "NOW_MS",
    "chunk_of",
    "chunks",
    "end_lines",
    "event_fields",
    "event_lines",
    "names",
    "record_values",
    "spoiled_lines",
    "usage_events",
]

NOW_MS: Final = 1_790_000_000_000
_NOW: Final = datetime.fromtimestamp(NOW_MS // 1000, UTC)
_NULLABLE: Final = (*DIMENSIONS, "seq", "adjusts", "started_at", "reported_total_tokens", "quality_score", "latency_ms")

_plain: Final = st.sampled_from(
    ["", "chat", "acme", "it's", "é", "😀", "gpt-5", "claude-sonnet-4-5[1m]", "null", "tags"]
)
names = st.one_of(
    *[_plain] * 4,
    st.sampled_from(["a : b", "{tenant}", ': "x"', ":x", "a:[b]", "\\", 'a"b', "\ud7ff", "a\nb", '","model":"y']),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=12),
    st.text('{}[]":,\\ \t\r\n\x00/0-1eEnulltrue', max_size=12),
)
"""Dimension values, many of them made of JSON's own characters."""

_uuids: Final = st.uuids(version=4).map(str)
_counts: Final = st.one_of(st.integers(0, 100_000), st.sampled_from([0, 1, MAX_TOKENS]))
_moments: Final = st.one_of(
    st.datetimes(
        (_NOW - MAX_PAST).replace(tzinfo=None), (_NOW + MAX_FUTURE).replace(tzinfo=None), timezones=st.just(UTC)
    ),
    st.sampled_from([_NOW, _NOW - MAX_PAST, _NOW + MAX_FUTURE]),
)
_texts: Final = dict.fromkeys((*DIMENSIONS, "operation", "request_model", "response_id", "error_type"), names)
_numbers: Final[dict[str, st.SearchStrategy[Any]]] = {
    **{name: _counts for name in LEAVES if name != "web_search_requests"},
    "web_search_requests": st.integers(0, 1_000_000),
    "reported_total_tokens": st.integers(0, 8 * MAX_TOKENS),
    "attempt": st.integers(1, 1_000_000),
    "latency_ms": st.integers(0, 2**31 - 1),
    "ttft_ms": st.integers(0, 2**31 - 1),
    "quality_score": st.floats(0, 1),
}
_others: Final[dict[str, st.SearchStrategy[Any]]] = {
    "started_at": st.datetimes(
        EARLIEST.replace(tzinfo=None), (LATEST - timedelta(microseconds=1)).replace(tzinfo=None), timezones=st.just(UTC)
    ),
    "service_tier": st.sampled_from(["standard", "batch", "flex", "priority"]),
    "usage_source": st.sampled_from(["provider", "estimated"]),
    "usage_convention": st.sampled_from(["", "exclusive", "inclusive"]),
    "status": st.sampled_from(["ok", "error", "cancelled"]),
    "tags": st.dictionaries(names.filter(bool), names, max_size=3),
    "reported_cost_usd": st.decimals(0, 999_999, places=6, allow_nan=False, allow_infinity=False),
}
_optional: Final = st.one_of(
    [st.tuples(st.just(name), strategy) for group in (_texts, _numbers, _others) for name, strategy in group.items()]
)


@st.composite
def event_fields(draw: st.DrawFn) -> dict[str, Any]:
    """Draw what ``UsageEvent(**fields)`` accepts: the required fields and a few of the others."""
    fields: dict[str, Any] = {
        "event_id": draw(_uuids),
        "occurred_at": draw(_moments),
        "provider": draw(names.filter(bool)),
        "model": draw(names.filter(bool)),
    }
    fields |= dict(draw(st.lists(_optional, max_size=6)))
    match draw(st.integers(0, 9)):
        case 0:
            fields |= {"source": draw(names.filter(bool)), "seq": draw(st.integers(0, 2**62))}
        case 1:
            fields["reasoning_tokens"] = draw(st.integers(0, fields.get("output_tokens", 0)))
        case 2 | 3 | 4:
            fields["tags"] = draw(st.dictionaries(names.filter(bool), names, min_size=1, max_size=3))
        case 5:
            fields |= _adjustment(draw(_uuids), draw(st.integers(-MAX_TOKENS, 0)))
    return fields


def _adjustment(adjusts: str, amount: int) -> dict[str, Any]:
    return {
        "kind": "adjustment",
        "adjusts": adjusts,
        "input_tokens": amount,
        "reasoning_tokens": amount,
        "reported_cost_usd": Decimal(amount).scaleb(-6),
    }


def usage_events() -> st.SearchStrategy[UsageEvent]:
    """Draw valid events."""
    return event_fields().filter(lambda fields: fields.get("adjusts") != fields["event_id"]).map(_event)


def _event(fields: dict[str, Any]) -> UsageEvent:
    return UsageEvent(**fields)


@st.composite
def event_lines(draw: st.DrawFn) -> bytes:
    """Draw the line of a valid event: as the producer writes it, or in a foreign writer's spelling."""
    event = draw(usage_events())
    if draw(st.booleans()):
        return event_line(event)
    document = event.model_dump(mode="json", exclude_defaults=draw(st.booleans()))
    for name in draw(st.sets(st.sampled_from(["event_id", "occurred_at", "started_at"]))):
        if document.get(name) is not None:
            document[name] = draw(_spellings(name))(document[name])
    document |= {name: None for name in draw(st.sets(st.sampled_from(_NULLABLE))) if name not in document}
    if draw(st.booleans()):
        document = {name: document[name] for name in draw(st.permutations(list(document)))}
    return _written(draw, document)


@st.composite
def end_lines(draw: st.DrawFn) -> bytes:
    """Draw the line of a source's end, in any spelling."""
    document = {
        "schema": "spendgauge.end/1",
        "source": draw(names.filter(bool)),
        "next_seq": draw(st.integers(0, 2**62 + 1)),
        "closed_at": draw(_spellings("closed_at"))("2026-09-21T14:13:20.000Z"),
    }
    return _written(draw, {name: document[name] for name in draw(st.permutations(list(document)))})


def _written(draw: st.DrawFn, document: object) -> bytes:
    separators = draw(st.sampled_from([*[(",", ":")] * 3, *[(", ", ": ")] * 3, (" ,\t", " : "), (",\r", ":  ")]))
    text = json.dumps(document, ensure_ascii=draw(st.booleans()), separators=separators)
    before, after = draw(st.sampled_from([("", ""), (" ", ""), ("", "\r"), ("\t", " ")]))
    return f"{before}{text}{after}".encode()


def _spellings(name: str) -> st.SearchStrategy[Callable[[str], str]]:
    if name == "event_id":
        return st.just(str.upper)
    return st.sampled_from([_as_offset, _as_plain_utc, _as_nanoseconds, _without_fraction])


def _as_offset(text: str) -> str:
    return datetime.fromisoformat(text).astimezone(timezone(timedelta(hours=5, minutes=30))).isoformat()


def _as_plain_utc(text: str) -> str:
    return datetime.fromisoformat(text).isoformat()


def _as_nanoseconds(text: str) -> str:
    return text.replace("Z", "999999Z")


def _without_fraction(text: str) -> str:
    return text[:19] + "+00:00"


def spoiled_lines() -> st.SearchStrategy[bytes]:
    """Draw lines after some accidents: most of them bad, some still valid."""
    return spoiled(st.one_of(event_lines(), event_lines(), end_lines()))


@st.composite
def record_values(draw: st.DrawFn) -> bytes | None:
    """Draw a record's value: some lines, blank ones among them, ended by a newline or not; or none at all."""
    if draw(st.integers(0, 19)) == 0:
        return draw(st.sampled_from([None, b"", b"\n", b" \r\n\t", b"\xff\n", b"\xc2\xa0\n"]))
    line = st.one_of(event_lines(), event_lines(), end_lines(), spoiled_lines(), st.sampled_from([b"", b" ", b"\r"]))
    return b"\n".join(draw(st.lists(line, min_size=1, max_size=3))) + draw(st.sampled_from([b"", b"\n", b"\r\n"]))


@st.composite
def chunks(draw: st.DrawFn) -> RecordChunk:
    """Draw consecutive records of one partition, offsets with holes, some of another schema or time."""
    values = draw(st.lists(record_values(), max_size=3))
    headers = st.sampled_from(
        [
            (),
            (("spendgauge-schema", b"spendgauge.usage/1"),),
            (("x", None),),
            (("spendgauge-schema", b"spendgauge.usage/2"),),
        ]
    )
    shifts = st.sampled_from([0, 0, 0, 1, -1, 86_400_000, -300_000, 31 * 86_400_000])
    chunk = chunk_of(values)
    return RecordChunk(
        stream=chunk.stream,
        topic=chunk.topic,
        partition=chunk.partition,
        offsets=[offset * 3 for offset in chunk.offsets],
        timestamps_ms=[NOW_MS + draw(shifts) for _ in values],
        keys=[draw(st.sampled_from([None, b"", b"a", b"\xff"])) for _ in values],
        values=values,
        headers=[draw(headers) for _ in values],
    )


def chunk_of(values: list[bytes | None], *, received_at_ms: int = NOW_MS) -> RecordChunk:
    """Put values into a chunk as the producer would have sent them, from offset 0."""
    count = len(values)
    headers = (("content-type", b"application/x-ndjson"), ("spendgauge-schema", b"spendgauge.usage/1"))
    return RecordChunk(
        stream="topic-id:16384",
        topic="usage.events",
        partition=3,
        offsets=list(range(count)),
        timestamps_ms=[received_at_ms] * count,
        keys=[b"a-source"] * count,
        values=values,
        headers=[headers] * count,
    )
