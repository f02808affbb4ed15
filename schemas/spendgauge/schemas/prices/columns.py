"""What does each row of a frame cost?

A join looks up each row's key; one compiled pass (``summing``) does the rest. Both cost little by the call: chunks of
live traffic are small.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Final, Self

import numpy as np
import polars as pl

from spendgauge.schemas.compiled import Numbers
from spendgauge.schemas.events import LEAVES
from spendgauge.schemas.prices.billables import Key
from spendgauge.schemas.prices.segments import Segment
from spendgauge.schemas.prices.summing import SPLIT, Prices, Usages, sum_costs
from spendgauge.schemas.prices.units import INPUT_LEAVES, YOCTODOLLARS_PER_PICODOLLAR

__all__ = ["KEY_COLUMNS", "PriceTable"]

KEY_COLUMNS: Final = list(Key._fields)

_UNITS: Final = (*LEAVES, "reasoning_tokens", "request")
_IS_INPUT: Final = np.array([unit in INPUT_LEAVES for unit in _UNITS], np.int64)
_IS_DUE: Final = (pl.col("kind") == "usage") & (pl.col("status") != "error")
"""Whether the fee for a request is due."""


@dataclass(frozen=True)
class PriceTable:
    """The segments of some keys, written as columns. Never changed, so that threads read it without a lock."""

    codes: pl.DataFrame
    """Each key and its number."""
    prices: Prices
    versions: pl.Series
    """Names, by number; the first is empty: unpriced."""

    @classmethod
    def empty(cls) -> Self:
        """Begin a table; have the compiled pass loaded, or compiled, now and not with the first frame."""
        codes = pl.DataFrame(schema={"code": pl.Int64(), **dict.fromkeys(KEY_COLUMNS, pl.String())})
        prices, nothing = _prices([], first=[], versions=[""]), _column([])
        sum_costs(Usages(nothing, nothing, np.empty((len(_UNITS), 0), np.int64), _IS_INPUT), prices, nothing, nothing)
        return cls(codes, prices, pl.Series("price_version", [""]))

    def extended(self, keys: Mapping[Key, tuple[Segment, ...]]) -> Self:
        """Write the segments of further keys behind the others."""
        held, segments = self.prices, [segment for found in keys.values() for segment in found]
        versions = list(dict.fromkeys([*self.versions, *(segment.version for segment in segments)]))
        first = [*accumulate(map(len, keys.values()), initial=held.version.size)][:-1]
        new = _prices(segments, first=first, versions=versions)
        codes = [(code, *key) for code, key in enumerate(keys, len(self.codes))]
        return type(self)(
            pl.concat([self.codes, pl.DataFrame(codes, self.codes.schema, orient="row")]),
            Prices(*map(np.concatenate, zip(held, new, strict=True))),
            pl.Series("price_version", versions),
        )

    def priced(self, frame: pl.DataFrame) -> pl.DataFrame | None:
        """Add ``cost_picodollars`` and ``price_version``; None where the table lacks a key of the frame."""
        key = frame.select(KEY_COLUMNS).join(self.codes, on=KEY_COLUMNS, how="left", maintain_order="left")["code"]
        if key.null_count():
            return None
        request = _IS_DUE.cast(pl.Int64).alias("request")
        counts = frame.select(*LEAVES, "reasoning_tokens", request).to_numpy(writable=True).T
        usages = Usages(_numbers(key), _numbers(frame["occurred_at_ms"]), np.ascontiguousarray(counts), _IS_INPUT)
        costs, versions = np.empty((2, frame.height), np.int64)
        sum_costs(usages, self.prices, costs, versions)
        cost = pl.Series("cost_picodollars", costs)
        return frame.with_columns(
            cost if versions.all() else cost.set(pl.Series(versions == 0), None),
            self.versions.gather(pl.Series(versions)),
        )


def _numbers(series: pl.Series) -> Numbers:
    return series.to_numpy(writable=True)


def _prices(segments: Sequence[Segment], *, first: Sequence[int], versions: Sequence[str]) -> Prices:
    """Write segments as arrays."""
    rates = [(*segment.rates.leaves, segment.rates.reasoning, segment.rates.request) for segment in segments]
    split = np.array([[divmod(rate or 0, YOCTODOLLARS_PER_PICODOLLAR) for rate in row] for row in rates], np.int64)
    whole, rest = np.moveaxis(split.reshape(-1, len(_UNITS), 2), 2, 0)
    return Prices(
        first=_column(first),
        from_ms=_column(segment.from_ms for segment in segments),
        until_ms=_column(segment.until_ms for segment in segments),
        day_from_ms=_column(segment.day_from_ms for segment in segments),
        day_until_ms=_column(segment.day_until_ms for segment in segments),
        over=_column(segment.over for segment in segments),
        upto=_column(segment.upto for segment in segments),
        whole=np.ascontiguousarray(whole),
        upper_rest=rest // SPLIT,
        lower_rest=rest % SPLIT,
        has_rest=_column(any(row) for row in rest),
        unknown=_column([rate is None for rate in row] for row in rates).reshape(-1, len(_UNITS)),
        version=_column(versions.index(segment.version) for segment in segments),
    )


def _column(values: Iterable[object]) -> Numbers:
    return np.array(list(values), np.int64)
