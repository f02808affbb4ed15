"""How do lines of ``cost.refusals`` become rows? One a line: a call that a quota refused, or only warned of."""

from decimal import Decimal
from typing import Any, Final

import polars as pl

from spendgauge.schemas import RecordChunk
from spendgauge.schemas.moments import milliseconds_of
from spendgauge.schemas.refusals import QuotaRefusal
from spendgauge.sinks.lines import Position, Row, milliseconds, read_models

__all__ = ["REFUSALS_FRAME", "REFUSAL_AMOUNTS", "read_refusals"]

REFUSAL_AMOUNTS: Final = ("quota_limit", "spent", "reserved", "estimate")
"""The columns that are USD or tokens, as ``unit`` says. (``limit`` is a word of SQL.)"""

_TEXTS: Final = ("refusal_id", "action", "reason", "quota", "series", "unit", "source", "stream")
_NUMBERS: Final = ("refused_at_ms", "resets_at_ms", "partition", "offset", "line", "received_at_ms")

REFUSALS_FRAME: Final = pl.Schema(
    {
        **dict.fromkeys(_TEXTS, pl.String()),
        "key": pl.List(pl.String()),
        **dict.fromkeys(REFUSAL_AMOUNTS, pl.Decimal(38, 12)),
        **dict.fromkeys((*_NUMBERS, "record_offset", "record_line"), pl.Int64()),
    }
)
"""A row's columns: the refusal, and where its line stands."""


def read_refusals(chunk: RecordChunk) -> tuple[pl.DataFrame, list[Row]]:
    """Read the lines of a chunk; give a frame of the good ones, in order, and rows for those that are not."""
    read, refused = read_models(chunk, QuotaRefusal, reason="invalid_refusal")
    return pl.DataFrame([_row(chunk, at, line) for at, line in read], schema=REFUSALS_FRAME), refused


def _row(chunk: RecordChunk, at: Position, line: QuotaRefusal) -> dict[str, Any]:
    amounts = (line.limit, line.spent, line.reserved, line.estimate)
    return {
        **line.model_dump(exclude={"refused_at", "resets_at", "limit", "spent", "reserved", "estimate"}),
        **{name: text and Decimal(text) for name, text in zip(REFUSAL_AMOUNTS, amounts, strict=True)},
        "refused_at_ms": milliseconds_of(line.refused_at),
        "resets_at_ms": None if line.resets_at is None else milliseconds(line.resets_at),
        **at.columns(chunk),
    }
