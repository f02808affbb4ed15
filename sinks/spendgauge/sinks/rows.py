"""How do chunks of records become rows of the tables?

Pure: the same chunks and the same price book give the same rows. What cannot become a row of its own table becomes a
row of ``usage_rejected``; rejected usage events are left to the workers, who put them on ``usage.rejected``.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import polars as pl

from spendgauge.schemas import RecordChunk, RejectedEvent, TopicNames
from spendgauge.schemas.chunks import decode_chunk
from spendgauge.schemas.prices import PriceBook
from spendgauge.sinks.alerts import read_alerts
from spendgauge.sinks.contributions import read_contributions
from spendgauge.sinks.gaps import read_gaps
from spendgauge.sinks.lines import REJECTED_FRAME, Position, Row, read_models, refused_row
from spendgauge.sinks.refusals import read_refusals
from spendgauge.sinks.tables import (
    COST_ALERTS,
    COST_RATES,
    COST_REFUSALS,
    SOURCE_GAPS,
    TABLES,
    USAGE_EVENTS,
    USAGE_REJECTED,
    Table,
)

__all__ = ["SANE_MS", "TRACE", "Decoded", "Rows", "decode_chunks", "refused_rows"]

TRACE: Final = ("chunk", "record_offset", "record_line")
"""Where a row's line stands: the chunk's place in the batch, the record's offset, the line's number in the record."""

SANE_MS: Final = (1_577_836_800_000, 4_102_444_800_000)
"""[2020, 2100), as the tables' own checks have it. A sick clock must not cost a search for each of its rows."""

Reader = Callable[[RecordChunk], tuple[pl.DataFrame, list[Row]]]
"""Gives a frame of a chunk's good lines, and rows for the others."""

_MAX_LINE: Final = 2**32 - 1
_MAX_MS: Final = 2**62


@dataclass(frozen=True)
class Rows:
    """Rows for one table; the frame has the table's columns and ``TRACE``."""

    table: Table
    frame: pl.DataFrame


@dataclass(frozen=True)
class Decoded:
    """What a batch of chunks gives."""

    rows: tuple[Rows, ...]
    rejected_events: int
    """Lines of ``usage.events`` that are no events; the workers dead-letter them."""
    ends: int
    """Lines that say that a source ends: nothing is stored of them."""


def decode_chunks(chunks: Sequence[RecordChunk], *, book: PriceBook, topics: TopicNames) -> Decoded:
    """Decode and price a batch. *shape*: tables without rows are left out; rows stand in the order of the chunks."""
    frames: dict[Table, list[pl.DataFrame]] = {table: [] for table in TABLES}
    readers = _readers(topics)
    rejected_events = ends = 0
    for number, chunk in enumerate(chunks):
        refused: list[Row] = []
        if chunk.topic == topics.usage:
            decoded = decode_chunk(chunk)
            rejected_events += len(decoded.rejects)
            ends += len(decoded.ends)
            frame = _events(chunk, book.price(decoded.frame))
            frames[USAGE_EVENTS].append(_kept(chunk, _traced(frame, number), USAGE_EVENTS, refused))
        elif chunk.topic in readers:
            table, read = readers[chunk.topic]
            frame, refused = read(chunk)
            frames[table].append(_kept(chunk, _traced(frame, number), table, refused))
        else:
            refused = _rejected(chunk)
        frames[USAGE_REJECTED].append(_traced(_rejected_frame(refused), number))
    rows = (Rows(table, pl.concat(parts)) for table, parts in frames.items() if parts)
    return Decoded(tuple(found for found in rows if found.frame.height), rejected_events, ends)


def refused_rows(chunks: Sequence[RecordChunk], frame: pl.DataFrame, *, detail: str) -> Rows:
    """Build the rows of ``usage_rejected`` for rows that ClickHouse refuses to store."""
    refused = [_refusal(chunks[number], (offset, line), detail) for number, offset, line in frame.select(TRACE).rows()]
    return Rows(USAGE_REJECTED, _traced(_rejected_frame(refused), 0))


def _events(chunk: RecordChunk, priced: pl.DataFrame) -> pl.DataFrame:
    return priced.with_columns(
        pl.lit(chunk.stream).alias("stream"),
        pl.lit(chunk.partition, pl.Int64).alias("partition"),
        pl.col("offset").alias("record_offset"),
        pl.col("line").alias("record_line"),
    )


def _readers(topics: TopicNames) -> Mapping[str, tuple[Table, Reader]]:
    """Say which table the lines of a topic belong to, and who reads them."""
    return {
        topics.rates: (COST_RATES, _contributions),
        topics.gaps: (SOURCE_GAPS, read_gaps),
        topics.alerts: (COST_ALERTS, read_alerts),
        topics.refusals: (COST_REFUSALS, read_refusals),
    }


def _contributions(chunk: RecordChunk) -> tuple[pl.DataFrame, list[Row]]:
    frame, refused = read_contributions(chunk)
    offsets = pl.Series("record_offset", chunk.offsets, pl.Int64)
    return frame.with_columns(offsets.gather(frame["place"])).drop("place"), refused


def _kept(chunk: RecordChunk, frame: pl.DataFrame, table: Table, refused: list[Row]) -> pl.DataFrame:
    """Keep the rows whose time is sane; refuse the others here, in one pass."""
    if not table.month_of:
        return frame
    sane = frame[table.month_of].is_between(*SANE_MS, closed="left")
    if sane.all():
        return frame
    name = table.month_of.removesuffix("_ms")
    for offset, line, time_ms in frame.filter(~sane).select(*TRACE[1:], table.month_of).iter_rows():
        refused.append(_refusal(chunk, (offset, line), f"{name} {time_ms} ms since 1970 is not within [2020, 2100)"))
    return frame.filter(sane)


def _refusal(chunk: RecordChunk, at: tuple[int, int], detail: str) -> Row:
    offset, line = at
    return refused_row(chunk, Position(chunk.offsets.index(offset), line), reason="refused", detail=detail)


def _rejected(chunk: RecordChunk) -> list[Row]:
    read, rows = read_models(chunk, RejectedEvent, reason="invalid_reject")
    for position, event in read:
        if event.line <= _MAX_LINE and abs(event.received_at_ms) < _MAX_MS:
            rows.append(_reject_row(event))
        else:
            detail = f"line {event.line} or received_at_ms {event.received_at_ms} is beyond what a table holds"
            rows.append(refused_row(chunk, position, reason="invalid_reject", detail=detail))
    return rows


def _reject_row(event: RejectedEvent) -> Row:
    return {
        **event.model_dump(exclude={"headers"}),
        "rejected_by": "rates",
        "headers": [{"name": name, "value": value} for name, value in event.headers],
    }


def _rejected_frame(rows: list[Row]) -> pl.DataFrame:
    """Rows of ``usage_rejected`` need no trace: they carry their bytes."""
    frame = pl.DataFrame(rows, schema=REJECTED_FRAME)
    return frame.with_columns(record_offset=pl.col("offset"), record_line=pl.col("line"))


def _traced(frame: pl.DataFrame, number: int) -> pl.DataFrame:
    return frame.with_columns(chunk=pl.lit(number, pl.Int64))
