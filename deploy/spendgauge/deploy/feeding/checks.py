"""Which events would consumers reject? Asked before they are sent, of the very codec that consumers use.

What is plainly in order is not asked about: ``plainly_valid`` is a quick test that errs on the safe side only.
"""

from collections.abc import Iterator, Sequence
from typing import Final

import polars as pl

from spendgauge.schemas import DIMENSIONS, LEAVES, RecordChunk
from spendgauge.schemas.chunks import decode_chunk
from spendgauge.schemas.events import MAX_EVENT_BYTES

__all__ = ["plainly_valid", "refusals"]

_LINES_PER_RECORD: Final = 100
"""With lines of at most MAX_EVENT_BYTES a record stays below the size at which it is rejected whole."""

_DAY_MS: Final = 86_400_000
_SHORT_BYTES: Final = 64
_SMALL: Final = 1_000_000
_NAMES: Final = frozenset({*DIMENSIONS, "event_id", "provider", "model", "request_model", "response_id", "error_type"})
_COUNTS: Final = frozenset({*LEAVES, "latency_ms", "ttft_ms"})


def plainly_valid(frame: pl.DataFrame, *, now_ms: int) -> pl.Series:
    """Tell which rows are events for sure; columns are as for ``event_lines``."""
    return frame.select(pl.all_horizontal(*_tests(frame, now_ms)).fill_null(value=False)).to_series()


def refusals(lines: pl.Series, *, now_ms: int) -> dict[int, str]:
    """Tell by index which lines are no events that consumers would take now, and why."""
    texts = [line.encode() for line in lines]
    found = {
        index: f"the event has {len(text)} bytes, and at most {MAX_EVENT_BYTES} are accepted"
        for index, text in enumerate(texts)
        if len(text) > MAX_EVENT_BYTES
    }
    kept = [b"" if index in found else text for index, text in enumerate(texts)]
    for reject in decode_chunk(_chunk(kept, now_ms)).rejects:
        found.setdefault(reject.offset * _LINES_PER_RECORD + reject.line, reject.detail)
    return dict(sorted(found.items()))


def _tests(frame: pl.DataFrame, now_ms: int) -> Iterator[pl.Expr]:
    yield pl.col("occurred_at_ms").is_between(now_ms - 29 * _DAY_MS, now_ms)
    yield from (pl.col(name).str.len_bytes() > 0 for name in ("provider", "model"))
    for name in frame.columns:
        column = pl.col(name)
        if name in _NAMES:
            yield column.is_null() | (column.str.len_bytes() <= _SHORT_BYTES)
        elif name in _COUNTS:
            yield column.is_null() | column.is_between(0, _SMALL)
        elif name == "started_at_ms":
            yield column.is_null() | column.is_between(0, now_ms)
        elif name == "usage_convention":
            yield column.is_null() | column.is_in(["", "inclusive", "exclusive"])
        elif name != "occurred_at_ms":
            yield column.is_null()


def _chunk(lines: Sequence[bytes], now_ms: int) -> RecordChunk:
    records = [b"\n".join(lines[at : at + _LINES_PER_RECORD]) for at in range(0, len(lines), _LINES_PER_RECORD)]
    count = len(records)
    return RecordChunk(
        stream="",
        topic="",
        partition=0,
        offsets=range(count),
        timestamps_ms=[now_ms] * count,
        keys=[None] * count,
        values=records,
        headers=[()] * count,
    )
