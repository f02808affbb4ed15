"""Which columns has a decoded chunk?

``UsageEvent``'s fields in order, times as milliseconds, money as picodollars, tags as canonical JSON text; then
where each event stood.
"""

from collections.abc import Iterable
from typing import Any, Final

import polars as pl

from spendgauge.schemas.chunks.rules import RULES

__all__ = ["COLUMNS", "FRAME_SCHEMA", "LINEAGE", "frame_of_rows"]

_MILLISECONDS: Final = {"occurred_at": "occurred_at_ms", "started_at": "started_at_ms"}
_PICODOLLARS: Final = {"reported_cost_usd": "reported_cost_picodollars"}
_RENAMED: Final = _MILLISECONDS | _PICODOLLARS
_TYPES: Final = {"string": pl.String(), "integer": pl.Int64(), "number": pl.Float64(), "object": pl.String()}

COLUMNS: Final = {name: _RENAMED.get(name, name) for name in RULES}
"""Each field's column."""

LINEAGE: Final = ("offset", "line", "received_at_ms")
"""The record's offset, the line's number in the record from 0, the record's broker timestamp."""

FRAME_SCHEMA: Final[dict[str, pl.DataType]] = {
    column: pl.Int64() if name in _RENAMED else _TYPES[RULES[name].kind] for name, column in COLUMNS.items()
} | dict.fromkeys(LINEAGE, pl.Int64())
"""The columns of ``DecodedChunk.frame`` and their types. Names that are not given are "", never null."""


def frame_of_rows(rows: Iterable[tuple[Any, ...]]) -> pl.DataFrame:
    """Build a frame from rows of ``FRAME_SCHEMA``'s values; no rows give an empty frame with all columns."""
    columns = list(zip(*rows, strict=True)) or [()] * len(FRAME_SCHEMA)
    return pl.DataFrame(
        [pl.Series(name, column, dtype) for (name, dtype), column in zip(FRAME_SCHEMA.items(), columns, strict=True)]
    )
