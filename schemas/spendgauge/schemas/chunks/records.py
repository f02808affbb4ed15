"""Which records can be read, and what becomes of those that cannot?"""

from collections.abc import Iterator
from itertools import groupby
from typing import Final

from spendgauge.schemas.chunks.slow import Refusal
from spendgauge.schemas.compiled import Numbers
from spendgauge.schemas.events import MAX_RECORD_BYTES, USAGE_SCHEMA
from spendgauge.schemas.records import Headers, RecordChunk
from spendgauge.schemas.rejects import MAX_REJECTED_BYTES, RejectedEvent
from spendgauge.schemas.topics import SCHEMA_HEADER

__all__ = ["raw_lines", "reject", "screen"]

_SCHEMA: Final = USAGE_SCHEMA.encode()
_WHITESPACE: Final = b" \t\r\n"
_EMPTY: Final = Refusal("empty_record", "the record holds no line")


def screen(chunk: RecordChunk) -> tuple[list[bytes], dict[int, Refusal]]:
    """Give the records' values, and name the records (by their place in the chunk) that cannot be read at all.

    The value of a record that cannot be read is empty.
    """
    values = [value or b"" for value in chunk.values]
    odd = [place for place, value in enumerate(values) if value[:1] != b"{" or len(value) > MAX_RECORD_BYTES]
    refused = {place: refusal for place in odd if (refusal := _unreadable(values[place]))}
    known: Headers = ()
    for place, headers in enumerate(chunk.headers):
        if headers != known:
            refusal = _of_another_schema(headers)
            if refusal is None:
                known = headers
            elif place not in refused or values[place].isspace():
                refused[place] = refusal
    for place in refused:
        values[place] = b""
    return values, refused


def _unreadable(value: bytes) -> Refusal | None:
    if len(value) > MAX_RECORD_BYTES:
        return Refusal("too_large", f"the record has {len(value)} bytes, and at most {MAX_RECORD_BYTES} are read")
    return None if value.strip(_WHITESPACE) else _EMPTY


def _of_another_schema(headers: Headers) -> Refusal | None:
    schema = dict(headers).get(SCHEMA_HEADER, _SCHEMA)
    if schema == _SCHEMA:
        return None
    named = (schema or b"").decode(errors="replace")[:64]
    return Refusal("unreadable", f"the record's schema is {named!r}, and {USAGE_SCHEMA} is read")


def raw_lines(chunk: RecordChunk, lines: Numbers) -> Iterator[tuple[int, int, bytes]]:
    """Give place, line number and original bytes of each of these lines, which stand in order."""
    for place, group in groupby(lines.tolist(), key=lambda row: int(row[0])):
        parts = (chunk.values[place] or b"").split(b"\n")
        for _, line in group:
            yield place, line, parts[line]


def reject(chunk: RecordChunk, place: int, line: int, value: bytes, refusal: Refusal) -> RejectedEvent:
    """Build the dead letter of a line, or of a whole record (line 0 and its value)."""
    return RejectedEvent(
        stream=chunk.stream,
        topic=chunk.topic,
        partition=chunk.partition,
        offset=chunk.offsets[place],
        line=line,
        received_at_ms=chunk.timestamps_ms[place],
        reason=refusal.reason,
        detail=refusal.detail,
        key=chunk.keys[place],
        value=value[:MAX_REJECTED_BYTES],
        headers=tuple((name, content) for name, content in chunk.headers[place]),
    )
