"""Which lines does a chunk hold, and what does pydantic say about each?

The careful way to read lines: one at a time, so that one bad line costs nobody else. A line that cannot be read
becomes a row of ``usage_rejected``.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import polars as pl
from pydantic import BaseModel, ValidationError

from spendgauge.schemas import RecordChunk

__all__ = ["BY_SINK", "REJECTED_FRAME", "Position", "Row", "milliseconds", "raw_line", "read_models", "refused_row"]

BY_SINK: Final = "sink"

_MAX_DETAIL: Final = 500
_FAR_SECONDS: Final = 100_000_000_000
"""The tables' own checks refuse it."""

REJECTED_FRAME: Final = pl.Schema(
    {
        "topic": pl.String(),
        "stream": pl.String(),
        "partition": pl.Int64(),
        "offset": pl.Int64(),
        "line": pl.Int64(),
        "received_at_ms": pl.Int64(),
        "reason": pl.String(),
        "detail": pl.String(),
        "rejected_by": pl.String(),
        "key": pl.Binary(),
        "value": pl.Binary(),
        "headers": pl.List(pl.Struct({"name": pl.String(), "value": pl.Binary()})),
    }
)
"""The frame of ``usage_rejected``."""

Row = dict[str, Any]
M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True)
class Position:
    """Where a line stands: its record's place in the chunk, its number within the record."""

    place: int
    line: int

    def columns(self, chunk: RecordChunk) -> Row:
        """Say where the line stands: the columns of a table that keeps it, and those of its trace."""
        return {
            "stream": chunk.stream,
            "partition": chunk.partition,
            "offset": chunk.offsets[self.place],
            "line": self.line,
            "received_at_ms": chunk.timestamps_ms[self.place],
            "record_offset": chunk.offsets[self.place],
            "record_line": self.line,
        }


def milliseconds(seconds: int) -> int:
    """Give a time in milliseconds; one beyond any sane time stays so, and is a number that fits."""
    return max(-_FAR_SECONDS, min(seconds, _FAR_SECONDS)) * 1000


def read_models(chunk: RecordChunk, model: type[M], *, reason: str) -> tuple[list[tuple[Position, M]], list[Row]]:
    """Read each line as ``model``; give those that are, with their positions, and rows for those that are not.

    Blank lines are skipped; a record without any other line is refused whole.
    """
    read: list[tuple[Position, M]] = []
    refused: list[Row] = []
    for place, value in enumerate(chunk.values):
        lines = list(_lines(value))
        if not lines:
            refused.append(refused_row(chunk, Position(place, 0), reason=reason, detail="the record holds no line"))
        for number, line in lines:
            position = Position(place, number)
            try:
                read.append((position, model.model_validate_json(line)))
            except ValidationError as error:
                refused.append(refused_row(chunk, position, reason=reason, detail=_sentence(error)))
    return read, refused


def raw_line(chunk: RecordChunk, position: Position) -> bytes:
    """Give a line's original bytes."""
    lines = (chunk.values[position.place] or b"").split(b"\n")
    return lines[position.line]


def refused_row(chunk: RecordChunk, position: Position, *, reason: str, detail: str) -> Row:
    """Build the row of ``usage_rejected`` for a line that this sink cannot store."""
    place = position.place
    return {
        "topic": chunk.topic,
        "stream": chunk.stream,
        "partition": chunk.partition,
        "offset": chunk.offsets[place],
        "line": position.line,
        "received_at_ms": chunk.timestamps_ms[place],
        "reason": reason,
        "detail": detail[:_MAX_DETAIL],
        "rejected_by": BY_SINK,
        "key": chunk.keys[place],
        "value": raw_line(chunk, position),
        "headers": [{"name": name, "value": value} for name, value in chunk.headers[place]],
    }


def _lines(value: bytes | None) -> Iterator[tuple[int, bytes]]:
    for number, line in enumerate((value or b"").split(b"\n")):
        if line.strip():
            yield number, line


def _sentence(error: ValidationError) -> str:
    found = error.errors(include_url=False, include_input=False)
    first = found[0]
    where = ".".join(str(part) for part in first["loc"])
    more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
    return f"{where}: {first['msg']}{more}" if where else f"{first['msg']}{more}"
