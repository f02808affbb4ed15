"""How do lines of ``usage.gaps`` become rows? One a line: where a source stood, and what it lacked then."""

from typing import Any, Final

import polars as pl

from spendgauge.schemas import RecordChunk
from spendgauge.schemas.positions import SourceGaps
from spendgauge.sinks.lines import Position, Row, read_models

__all__ = ["GAPS_FRAME", "read_gaps"]

_OF_EACH_GAP: Final = ("first_seq", "last_seq", "opened_offset", "opened_at_ms")

GAPS_FRAME: Final = pl.Schema(
    {
        "source": pl.String(),
        "stream": pl.String(),
        **dict.fromkeys(("partition", "version", "next_seq"), pl.Int64()),
        **{f"gap_{name}": pl.List(pl.Int64()) for name in _OF_EACH_GAP},
        **dict.fromkeys(("repeats", "shared", "record_offset", "record_line"), pl.Int64()),
    }
)
"""A row's columns: the source's standing, and where its line stands."""


def read_gaps(chunk: RecordChunk) -> tuple[pl.DataFrame, list[Row]]:
    """Read the lines of a chunk; give a frame of the good ones, in order, and rows for those that are not."""
    read, refused = read_models(chunk, SourceGaps, reason="invalid_gaps")
    return pl.DataFrame([_row(chunk, at, line) for at, line in read], schema=GAPS_FRAME), refused


def _row(chunk: RecordChunk, at: Position, line: SourceGaps) -> dict[str, Any]:
    return {
        **line.model_dump(exclude={"gaps", "shared"}),
        **{f"gap_{name}": [getattr(gap, name) for gap in line.gaps] for name in _OF_EACH_GAP},
        "shared": int(line.shared),
        "record_offset": chunk.offsets[at.place],
        "record_line": at.line,
    }
