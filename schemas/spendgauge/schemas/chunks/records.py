"""Which records can be read, and which lines do they hold?"""

from collections.abc import Iterator
from itertools import groupby
from typing import Final

import polars as pl

from spendgauge.schemas.chunks.slow import Refusal
from spendgauge.schemas.events import MAX_RECORD_BYTES, USAGE_SCHEMA
from spendgauge.schemas.records import Headers, RecordChunk
from spendgauge.schemas.rejects import MAX_REJECTED_BYTES, RejectedEvent
from spendgauge.schemas.topics import SCHEMA_HEADER

__all__ = ["lines_of", "raw_lines", "reject", "screen"]

_SCHEMA: Final = USAGE_SCHEMA.encode()
_WHITESPACE: Final = " \t\r"
_EMPTY: Final = Refusal("empty_record", "the record holds no line")


def screen(chunk: RecordChunk) -> dict[int, Refusal]:
    """Name the records (by their place in the chunk) that cannot be read at all, and why."""
    refused: dict[int, Refusal] = {}
    for place, value in enumerate(chunk.values):
        if not value:
            refused[place] = _EMPTY
        elif len(value) > MAX_RECORD_BYTES:
            refused[place] = Refusal(
                "too_large", f"the record has {len(value)} bytes, and at most {MAX_RECORD_BYTES} are read"
            )
    known: Headers = ()
    for place, headers in enumerate(chunk.headers):
        if headers != known:
            schema = dict(headers).get(SCHEMA_HEADER, _SCHEMA)
            if schema == _SCHEMA:
                known = headers
            else:
                named = (schema or b"").decode(errors="replace")[:64]
                refused.setdefault(
                    place, Refusal("unreadable", f"the record's schema is {named!r}, and {USAGE_SCHEMA} is read")
                )
    return refused


def lines_of(chunk: RecordChunk, refused: dict[int, Refusal]) -> pl.DataFrame:
    """Split the other records into lines: columns ``record`` (its place), ``line``, ``text``; blank lines left out.

    In ``text``, U+FFFD stands for bytes that are not UTF-8. Adds to ``refused`` the records that have blank lines only.
    """
    places = [place for place in range(len(chunk)) if place not in refused]
    records = pl.DataFrame([pl.Series("record", places, pl.Int64), _texts([chunk.values[place] for place in places])])
    if records["text"].str.contains("\n", literal=True).any():
        split = records.with_columns(pl.col("text").str.split("\n"))
        lines = split.with_columns(line=pl.int_ranges(0, pl.col("text").list.len())).explode("text", "line")
    else:
        lines = records.with_columns(line=pl.lit(0, pl.Int64))
    filled = lines.filter(pl.col("text").str.strip_chars(_WHITESPACE) != "")
    if filled.height < lines.height:
        refused.update(dict.fromkeys(set(places) - set(filled["record"]), _EMPTY))
    return filled


def _texts(values: list[bytes | None]) -> pl.Series:
    try:
        return pl.Series("text", values, pl.Binary).cast(pl.String)
    except pl.exceptions.ComputeError:  # somewhere the bytes are not UTF-8
        return pl.Series("text", [(value or b"").decode(errors="replace") for value in values], pl.String)


def raw_lines(chunk: RecordChunk, lines: pl.DataFrame) -> Iterator[tuple[int, int, bytes]]:
    """Give place, line number and original bytes of each of these lines, which stand in order."""
    for place, group in groupby(lines.select("record", "line").iter_rows(), key=lambda row: row[0]):
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
