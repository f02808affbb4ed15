"""How does a chunk of records become one frame, the ends of sources, and rejects?"""

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import polars as pl

from spendgauge.schemas.chunks.fast import read_lines
from spendgauge.schemas.chunks.frame import frame_of_rows
from spendgauge.schemas.chunks.records import raw_lines, reject, screen
from spendgauge.schemas.chunks.slow import Refusal, read_line
from spendgauge.schemas.compiled import Numbers
from spendgauge.schemas.ends import SourceEnd
from spendgauge.schemas.records import RecordChunk
from spendgauge.schemas.rejects import RejectedEvent

__all__ = ["DecodedChunk", "EndLine", "decode_chunk", "prepare_decoder"]


class EndLine(NamedTuple):
    """Where a source said that it ends, and after which number."""

    source: str
    next_seq: int
    offset: int
    line: int
    received_at_ms: int


@dataclass(frozen=True)
class DecodedChunk:
    """One row for each accepted event, what each source's end says, and one reject for each other line; all in the
    order of the log."""

    frame: pl.DataFrame
    rejects: list[RejectedEvent]
    ends: list[EndLine] = field(default_factory=list)


def decode_chunk(chunk: RecordChunk) -> DecodedChunk:
    """Decode all lines of all records.

    The frame's columns are ``FRAME_SCHEMA``'s, whatever the chunk holds. Blank lines are neither accepted nor
    rejected. "Now" is each record's own timestamp, so the same chunk gives the same answer at any time.
    """
    values, refused = screen(chunk)
    frame, left = read_lines(values, chunk.offsets, chunk.timestamps_ms)
    others = _read_slowly(chunk, left)
    if others.rows:
        frame = pl.concat([frame, frame_of_rows(others.rows)]).sort("offset", "line")
    rejects = others.rejects
    if refused:
        rejects += [reject(chunk, place, 0, chunk.values[place] or b"", refusal) for place, refusal in refused.items()]
        rejects.sort(key=lambda rejected: (rejected.offset, rejected.line))
    return DecodedChunk(frame, rejects, others.ends)


def prepare_decoder() -> None:
    """Have the scanner loaded, or compiled, now and not with the first chunk: while it is, others must not wait."""
    read_lines([], [], [])


class _Others(NamedTuple):
    """What the lines were that the scanner left."""

    rows: list[tuple[Any, ...]]
    rejects: list[RejectedEvent]
    ends: list[EndLine]


def _read_slowly(chunk: RecordChunk, left: Numbers) -> _Others:
    """Ask pydantic about each line that was left."""
    others = _Others([], [], [])
    for place, line, raw in raw_lines(chunk, left):
        received_at_ms = chunk.timestamps_ms[place]
        answer = read_line(raw, received_at_ms)
        if isinstance(answer, Refusal):
            others.rejects.append(reject(chunk, place, line, raw, answer))
        elif isinstance(answer, SourceEnd):
            others.ends.append(EndLine(answer.source, answer.next_seq, chunk.offsets[place], line, received_at_ms))
        else:
            others.rows.append((*answer, chunk.offsets[place], line, received_at_ms))
    return others
