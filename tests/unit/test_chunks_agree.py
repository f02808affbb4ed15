"""The fast way and pydantic give the same answer, whatever the bytes.

The reference below is a plain loop over pydantic, written without the codec's own pieces.
"""

import json
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import polars as pl
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal
from pydantic import ValidationError
from tests.accidents import concocted, scrambled
from tests.odd_lines import START
from tests.strategies import NOW_MS, chunk_of, chunks, event_lines, spoiled_lines

from spendgauge.schemas import RecordChunk, SourceEnd, UsageEvent
from spendgauge.schemas.chunks import FRAME_SCHEMA, DecodedChunk, decode_chunk

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DAY_MS = 86_400_000


def _milliseconds(time: datetime) -> int:
    since = time - _EPOCH
    return since.days * _DAY_MS + since.seconds * 1000 + since.microseconds // 1000


def _verdict(raw: bytes, received_at_ms: int) -> str | dict[str, Any] | SourceEnd:
    """Say why the line is rejected, or give its row, or the end that it is."""
    if len(raw) > 8192:
        return "too_large"
    with suppress(ValidationError):
        return SourceEnd.model_validate_json(raw)
    try:
        event = UsageEvent.model_validate_json(raw)
    except ValidationError as error:
        return "invalid_json" if error.errors()[0]["type"] == "json_invalid" else "invalid_event"
    row: dict[str, Any] = {}
    for name, value in event.model_dump().items():
        if name in {"occurred_at", "started_at"}:
            row[f"{name}_ms"] = None if value is None else _milliseconds(value)
        elif name == "reported_cost_usd":
            row["reported_cost_picodollars"] = None if value is None else int(value * 10**12)
        elif name == "tags":
            row["tags"] = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
        else:
            row[name] = value
    if row["occurred_at_ms"] < received_at_ms - 30 * _DAY_MS:
        return "too_old"
    return "in_the_future" if row["occurred_at_ms"] > received_at_ms + 300_000 else row


def _whole(value: bytes | None, headers: dict[str, bytes | None]) -> str | None:
    """Say why the record is rejected as a whole, if it is."""
    if value is None or not value:
        return "empty_record"
    if len(value) > 1024 * 1024:
        return "too_large"
    if headers.get("spendgauge-schema", b"spendgauge.usage/1") != b"spendgauge.usage/1":
        return "unreadable"
    return None if value.strip(b" \t\r\n") else "empty_record"


def _reference(
    chunk: RecordChunk,
) -> tuple[pl.DataFrame, list[tuple[int, int, str, bytes]], list[tuple[str, int, int, int, int]]]:
    rows: list[dict[str, Any]] = []
    rejects: list[tuple[int, int, str, bytes]] = []
    ends: list[tuple[str, int, int, int, int]] = []
    records = zip(chunk.offsets, chunk.timestamps_ms, chunk.values, chunk.headers, strict=True)
    for offset, received_at_ms, value, headers in records:
        if reason := _whole(value, dict(headers)):
            rejects.append((offset, 0, reason, (value or b"")[: 256 * 1024]))
            continue
        for line, raw in enumerate((value or b"").split(b"\n")):
            verdict = _verdict(raw, received_at_ms) if raw.strip(b" \t\r") else {}
            if isinstance(verdict, SourceEnd):
                ends.append((verdict.source, verdict.next_seq, offset, line, received_at_ms))
            elif isinstance(verdict, str):
                rejects.append((offset, line, verdict, raw))
            elif verdict:
                rows.append(verdict | {"offset": offset, "line": line, "received_at_ms": received_at_ms})
    return pl.DataFrame(rows, schema=FRAME_SCHEMA), rejects, ends


def _assert_agreement(chunk: RecordChunk) -> DecodedChunk:
    decoded = decode_chunk(chunk)
    frame, rejects, ends = _reference(chunk)
    assert_frame_equal(decoded.frame, frame, check_exact=True)
    assert [(r.offset, r.line, r.reason, r.value) for r in decoded.rejects] == rejects
    assert decoded.ends == ends
    return decoded


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(chunks())
def test_any_chunk_is_read_as_pydantic_reads_it(chunk: RecordChunk) -> None:
    """Whatever the records hold, the same rows are accepted, the same ends told, and the same lines rejected for the
    same reasons."""
    _assert_agreement(chunk)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(st.lists(event_lines(), max_size=3), spoiled_lines(), st.lists(event_lines(), max_size=3))
def test_a_spoiled_line_is_judged_alone(before: list[bytes], line: bytes, after: list[bytes]) -> None:
    """Whatever one line holds, it gets pydantic's verdict, and every valid neighbour is accepted."""
    decoded = _assert_agreement(chunk_of([b"\n".join([*before, line, *after])]))
    assert decoded.frame.height >= len(before) + len(after)
    assert all(reject.line == len(before) for reject in decoded.rejects)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(st.lists(event_lines(), min_size=1, max_size=8))
def test_every_spelling_of_a_valid_event_is_accepted(lines: list[bytes]) -> None:
    """Spaces, escapes, order, explicit nulls and defaults, offsets and upper case change nothing of an event."""
    decoded = _assert_agreement(chunk_of([b"\n".join(lines)], received_at_ms=NOW_MS))
    assert decoded.frame.height == len(lines)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(st.lists(event_lines(), min_size=3, max_size=6), st.integers(0, 2**32))
def test_many_scrambled_lines_are_judged_alone(lines: list[bytes], seed: int) -> None:
    """Where most lines have random edits, each still gets pydantic's verdict; records hold ten lines each."""
    made = scrambled(lines, count=300, seed=seed)
    _assert_agreement(chunk_of([b"\n".join(made[at : at + 10]) for at in range(0, len(made), 10)]))


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**32))
def test_wrong_members_cannot_make_up_for_each_other(seed: int) -> None:
    """Where several members of a line are wrong in different ways, it still gets pydantic's verdict."""
    _assert_agreement(chunk_of(list(concocted(START, count=400, seed=seed))))
