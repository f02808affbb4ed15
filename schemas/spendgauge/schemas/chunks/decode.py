"""How does a chunk of records become one frame and its rejects?"""

from dataclasses import dataclass
from typing import Any

import polars as pl

from spendgauge.schemas.chunks.compiled import Numbers
from spendgauge.schemas.chunks.fast import read_lines
from spendgauge.schemas.chunks.frame import frame_of_rows
from spendgauge.schemas.chunks.records import raw_lines, reject, screen
from spendgauge.schemas.chunks.slow import Refusal, read_line
from spendgauge.schemas.records import RecordChunk
from spendgauge.schemas.rejects import RejectedEvent

__all__ = ["DecodedChunk", "decode_chunk", "prepare_decoder"]


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
    values, refused = screen(chunk)
    frame, left = read_lines(values, chunk.offsets, chunk.timestamps_ms)
    rows, rejects = _read_slowly(chunk, left)
    if rows:
        frame = pl.concat([frame, frame_of_rows(rows)]).sort("offset", "line")
    if not refused and not rejects:
        return DecodedChunk(frame, rejects)
    rejects += [reject(chunk, place, 0, chunk.values[place] or b"", refusal) for place, refusal in refused.items()]
    return DecodedChunk(frame, sorted(rejects, key=lambda rejected: (rejected.offset, rejected.line)))


def prepare_decoder() -> None:
    """Have the scanner loaded, or compiled, now and not with the first chunk: while it is, others must not wait."""
    read_lines([], [], [])


def _read_slowly(chunk: RecordChunk, left: Numbers) -> tuple[list[tuple[Any, ...]], list[RejectedEvent]]:
    """Ask pydantic about each line that was left."""
    rows, rejects = [], []
    for place, line, raw in raw_lines(chunk, left):
        received_at_ms = chunk.timestamps_ms[place]
        answer = read_line(raw, received_at_ms)
        if isinstance(answer, Refusal):
            rejects.append(reject(chunk, place, line, raw, answer))
        else:
            rows.append((*answer, chunk.offsets[place], line, received_at_ms))
    return rows, rejects
