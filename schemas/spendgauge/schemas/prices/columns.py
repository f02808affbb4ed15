"""What does each row of a frame cost?

All in whole columns: join each row to the segments of its key, keep the one segment that it falls into, multiply and
add. Sums stay in 64 bits: a rate is split into whole picodollars and the rest below one, and only frames with such a
rest pay for 128-bit arithmetic.
"""

from collections.abc import Iterable, Mapping
from typing import Final

import polars as pl

from spendgauge.schemas.events import LEAVES
from spendgauge.schemas.prices.billables import Key
from spendgauge.schemas.prices.segments import DAY_MS, Segment
from spendgauge.schemas.prices.units import INPUT_LEAVES, YOCTODOLLARS_PER_PICODOLLAR

__all__ = ["KEY_COLUMNS", "priced_frame", "segment_table"]

KEY_COLUMNS: Final = list(Key._fields)

_UNITS: Final = (*LEAVES, "reasoning_tokens", "request")
_WHOLE: Final = {unit: f"whole_{unit}" for unit in _UNITS}
_REST: Final = {unit: f"rest_{unit}" for unit in _UNITS}
_WINDOW: Final = ("from_ms", "until_ms", "day_from_ms", "day_until_ms", "over", "upto")
_TABLE_SCHEMA: Final = {
    **dict.fromkeys(KEY_COLUMNS, pl.String()),
    **dict.fromkeys(_WINDOW, pl.Int64()),
    **dict.fromkeys((*_WHOLE.values(), *_REST.values()), pl.Int64()),
    "price_version": pl.String(),
}


def segment_table(segments: Iterable[tuple[Key, Segment]]) -> pl.DataFrame:
    """Write segments as rows: the key, the window, each rate's whole picodollars and rest, the version."""
    return pl.DataFrame([_row(key, segment) for key, segment in segments], schema=_TABLE_SCHEMA, orient="row")


def priced_frame(frame: pl.DataFrame, table: pl.DataFrame) -> pl.DataFrame | None:
    """Add ``cost_picodollars`` and ``price_version``; None where the table lacks a key of the frame."""
    if frame.is_empty():
        return frame.with_columns(
            cost_picodollars=pl.lit(None, dtype=pl.Int64), price_version=pl.lit("", dtype=pl.String)
        )
    rows = frame.select(
        *KEY_COLUMNS,
        *LEAVES,
        "reasoning_tokens",
        "occurred_at_ms",
        request=((pl.col("kind") == "usage") & (pl.col("status") != "error")).cast(pl.Int64),
        size=pl.sum_horizontal(INPUT_LEAVES).abs(),
    )
    table = _touched(table, rows)
    joined = rows.join(table, on=KEY_COLUMNS, how="left", maintain_order="left")
    if joined["price_version"].null_count():
        return None
    fits = joined.filter(_in_window()) if joined.height > rows.height else joined
    known, cost = _known(fits), _cost(fits)
    return frame.with_columns(
        fits.select(
            cost_picodollars=pl.when(known).then(cost),
            price_version=pl.when(known).then("price_version").otherwise(pl.lit("")),
        )
    )


def _row(key: Key, segment: Segment) -> tuple[object, ...]:
    rates = (*segment.rates.leaves, segment.rates.reasoning, segment.rates.request)
    unknown = None if segment.version else 0  # where nothing is priced the version says so, once for all leaves
    split = [(unknown, 0) if rate is None else divmod(rate, YOCTODOLLARS_PER_PICODOLLAR) for rate in rates]
    window = (getattr(segment, name) for name in _WINDOW)
    return (*key, *window, *(whole for whole, _ in split), *(rest for _, rest in split), segment.version)


def _touched(table: pl.DataFrame, rows: pl.DataFrame) -> pl.DataFrame:
    """Leave out what no row can fall into: most frames span seconds, so that most keys keep one segment."""
    at = pl.col("occurred_at_ms")
    extremes = rows.select(at.min().alias("first"), at.max().alias("last"), pl.col("size").max())
    first, last, largest = extremes.row(0)
    touched = (pl.col("from_ms") <= last) & (pl.col("until_ms") > first) & (pl.col("over") < largest)
    if first // DAY_MS == last // DAY_MS:
        touched &= (pl.col("day_from_ms") <= last % DAY_MS) & (pl.col("day_until_ms") > first % DAY_MS)
    return table.filter(touched)


def _in_window() -> pl.Expr:
    at, of_day, size = pl.col("occurred_at_ms"), pl.col("occurred_at_ms") % DAY_MS, pl.col("size")
    return (
        (at >= pl.col("from_ms"))
        & (at < pl.col("until_ms"))
        & (of_day >= pl.col("day_from_ms"))
        & (of_day < pl.col("day_until_ms"))
        & (size > pl.col("over"))
        & (size <= pl.col("upto"))
    )


def _known(rows: pl.DataFrame) -> pl.Expr:
    """Whether a row's key has a price, and each leaf that it used has one too."""
    partly = [leaf for leaf in LEAVES if rows[_WHOLE[leaf]].null_count()]
    unpriced = [(pl.col(leaf) != 0) & pl.col(_WHOLE[leaf]).is_null() for leaf in partly]
    return ~pl.any_horizontal(pl.col("price_version") == "", *unpriced)


def _cost(rows: pl.DataFrame) -> pl.Expr:
    """Sum a row's units times their rates."""
    whole = (pl.col(unit) * pl.col(_WHOLE[unit]) for unit in _nonzero(rows, _WHOLE))
    cost = pl.sum_horizontal(pl.lit(0, pl.Int64), *whole)
    fine = _nonzero(rows, _REST)
    return _rounded(cost, fine) if fine else cost


def _nonzero(rows: pl.DataFrame, columns: Mapping[str, str]) -> list[str]:
    """List the units that cost anything at all in these columns: most frames use few, and the rest need no work."""
    found = rows.select((pl.col(column) != 0).any() for column in columns.values()).row(0)
    return [unit for unit, costs in zip(columns, found, strict=True) if costs]


def _rounded(whole: pl.Expr, fine: list[str]) -> pl.Expr:
    """Add the rests, rounded half to even once: floor, then up where more than half is left, or half of an odd."""
    per, wide = YOCTODOLLARS_PER_PICODOLLAR, pl.Int128()
    rests = pl.sum_horizontal(*(pl.col(unit).cast(wide) * pl.col(_REST[unit]).cast(wide) for unit in fine))
    floor = whole + (rests // pl.lit(per, wide)).cast(pl.Int64)
    twice = (rests % pl.lit(per, wide)).cast(pl.Int64) * 2
    return floor + ((twice > per) | ((twice == per) & (floor % 2 == 1))).cast(pl.Int64)
