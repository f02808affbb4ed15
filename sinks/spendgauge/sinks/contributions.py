"""How do lines of ``cost.rates`` become rows? Many at once, where they are written exactly as our worker writes.

The fast way proves itself: what Polars read, written again, must be the same bytes. Then nothing was guessed,
converted or left out, and only the values' limits remain to be checked. Any other chunk goes line by line to pydantic,
which is the authority.
"""

from collections.abc import Sequence
from itertools import chain, repeat
from typing import Any, Final

import polars as pl

from spendgauge.schemas import RateContribution, RecordChunk
from spendgauge.schemas.positions import MAX_EDITION
from spendgauge.sinks.lines import Row, read_models

__all__ = ["CONTRIBUTION_FRAME", "read_contributions", "read_contributions_fast"]

_TEXTS: Final = ("series", "stream", "cost_usd")
_WIRE: Final = pl.Schema(
    {
        name: pl.List(pl.String()) if name == "key" else pl.String() if name in _TEXTS else pl.Int64()
        for name in RateContribution.model_fields
    }
)
_USD: Final = r"^-?[0-9]{1,26}\.[0-9]{12}$"
_FAR_SECONDS: Final = 100_000_000_000
"""Beyond any sane time, and still a number of milliseconds that fits: the table's own check refuses it."""

CONTRIBUTION_FRAME: Final = pl.Schema(
    {
        **{name: dtype for name, dtype in _WIRE.items() if name not in ("pane_start", "cost_usd")},
        "pane_start_ms": pl.Int64(),
        "cost_usd": pl.Decimal(38, 12),
        "place": pl.Int64(),
        "record_line": pl.Int64(),
    }
)
"""A row's columns: the contribution's, and where its line stands."""


def read_contributions(chunk: RecordChunk) -> tuple[pl.DataFrame, list[Row]]:
    """Read the lines of a chunk; give a frame of the good ones, in order, and rows for those that are not."""
    fast = read_contributions_fast(chunk.values)
    if fast is not None:
        return fast, []
    read, refused = read_models(chunk, RateContribution, reason="invalid_contribution")
    rows = [(*(getattr(line, name) for name in _WIRE), at.place, at.line) for at, line in read]
    return _finished(_frame_of_rows(rows)), refused


def read_contributions_fast(values: Sequence[bytes | None]) -> pl.DataFrame | None:
    """Read lines that are exactly as our worker writes them; None where any is not, or breaks a limit."""
    if not values or not all(values):
        return None
    records = [(value or b"").removesuffix(b"\n") for value in values]
    data = b"\n".join(records)
    try:
        frame = pl.read_ndjson(data, schema=_WIRE)
    except pl.exceptions.PolarsError:
        return None
    if frame.write_ndjson().encode().removesuffix(b"\n") != data or not _keeps_limits(frame):
        return None
    sizes = [record.count(b"\n") + 1 for record in records]
    return _finished(
        frame.with_columns(
            pl.Series("place", list(chain.from_iterable(map(repeat, range(len(sizes)), sizes))), pl.Int64),
            pl.Series("record_line", list(chain.from_iterable(map(range, sizes))), pl.Int64),
        )
    )


def _keeps_limits(frame: pl.DataFrame) -> bool:
    """Whether each row is what ``RateContribution`` accepts, given that its fields have the right types."""
    column = pl.col
    dimensions = (
        pl.when(column("series") == "total")
        .then(0)
        .otherwise(column("series").str.count_matches("+", literal=True) + 1)
    )
    sound = (
        pl.all_horizontal(pl.all().is_not_null())
        & (column("series") != "")
        & (column("stream") != "")
        & column("pane_seconds").is_between(1, 31 * 86_400)
        & (column("pane_start") % column("pane_seconds") == 0)
        & column("partition").is_between(0, 2**31 - 1)
        & pl.all_horizontal(pl.col("block", "version", "requests", "errors", "unpriced") >= 0)
        & column("edition").is_between(0, MAX_EDITION)
        & (column("version") < 2**48)
        & (column("key").list.len() == dimensions)
        & (column("key").list.len() <= 16)
        & ~column("key").list.eval(pl.element().is_null()).list.any()
        & column("cost_usd").str.contains(_USD)
    )
    return bool(frame.select(sound.all()).item())


def _finished(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.with_columns(
        pl.col("cost_usd").str.to_decimal(scale=12),
        pane_start_ms=pl.col("pane_start").clip(-_FAR_SECONDS, _FAR_SECONDS) * 1000,
    ).select(CONTRIBUTION_FRAME.names())


def _frame_of_rows(rows: list[tuple[Any, ...]]) -> pl.DataFrame:
    schema = {**_WIRE, "place": pl.Int64(), "record_line": pl.Int64()}
    columns = list(zip(*rows, strict=True)) or [()] * len(schema)
    return pl.DataFrame(
        [
            pl.Series(name, list(map(list, column)) if name == "key" else column, dtype)
            for (name, dtype), column in zip(schema.items(), columns, strict=True)
        ]
    )
