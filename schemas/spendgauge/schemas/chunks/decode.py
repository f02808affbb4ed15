"""How does a chunk of records become one frame and its rejects?"""

from dataclasses import dataclass
from typing import Any, Final

import polars as pl

from spendgauge.schemas.chunks.checks import checked_frame
from spendgauge.schemas.chunks.fast import read_lines
from spendgauge.schemas.chunks.frame import frame_of_rows
from spendgauge.schemas.chunks.records import lines_of, raw_lines, reject, screen
from spendgauge.schemas.chunks.slow import Refusal, read_line
from spendgauge.schemas.records import RecordChunk
from spendgauge.schemas.rejects import RejectedEvent

__all__ = ["DecodedChunk", "decode_chunk"]

_FAST_FROM_LINES: Final = 192
"""Fewer lines go to pydantic at once: to read columns takes four milliseconds to begin with."""

_LINES_AT_ONCE: Final = 65_536
"""With lines of at most MAX_EVENT_BYTES, what is read at once stays below 1 GiB."""


@dataclass(frozen=True)
class DecodedChunk:
    """One row for each accepted event and one reject for each other line, both in the order of the log."""

    frame: pl.DataFrame
    rejects: list[RejectedEvent]


def decode_chunk(chunk: RecordChunk) -> DecodedChunk:
    """Decode all lines of all records.

    The frame's columns are ``FRAME_SCHEMA``'s, whatever the chunk holds. Blank lines are neither accepted nor
    rejected. "Now" is each record's own timestamp, so the same chunk gives the same answer at any time.
    """
    refused = screen(chunk)
    lines = lines_of(chunk, refused)
    fast = _read_fast(chunk, lines) if lines.height >= _FAST_FROM_LINES else None
    rows, rejects = _read_slowly(chunk, lines if fast is None else _left(lines, fast))
    if fast is None:
        frame = frame_of_rows(rows)
    else:
        frame = fast.drop("record")
        if rows:
            frame = pl.concat([frame, frame_of_rows(rows)]).sort("offset", "line")
    rejects += [reject(chunk, place, 0, chunk.values[place] or b"", refusal) for place, refusal in refused.items()]
    return DecodedChunk(frame, sorted(rejects, key=lambda rejected: (rejected.offset, rejected.line)))


def _read_fast(chunk: RecordChunk, lines: pl.DataFrame) -> pl.DataFrame:
    """Read what can be read at once: rows of ``FRAME_SCHEMA`` and ``record``."""
    lines = lines.with_columns(
        pl.Series("offset", chunk.offsets, pl.Int64).gather(lines["record"]),
        pl.Series("received_at_ms", chunk.timestamps_ms, pl.Int64).gather(lines["record"]),
    )
    return pl.concat([checked_frame(read_lines(part)) for part in lines.iter_slices(_LINES_AT_ONCE)])


def _left(lines: pl.DataFrame, fast: pl.DataFrame) -> pl.DataFrame:
    if fast.height == lines.height:
        return lines.clear()
    return lines.join(fast, on=["record", "line"], how="anti", maintain_order="left")


def _read_slowly(chunk: RecordChunk, lines: pl.DataFrame) -> tuple[list[tuple[Any, ...]], list[RejectedEvent]]:
    rows, rejects = [], []
    for place, line, raw in raw_lines(chunk, lines):
        received_at_ms = chunk.timestamps_ms[place]
        answer = read_line(raw, received_at_ms)
        if isinstance(answer, Refusal):
            rejects.append(reject(chunk, place, line, raw, answer))
        else:
            rows.append((*answer, chunk.offsets[place], line, received_at_ms))
    return rows, rejects
