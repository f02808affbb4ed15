"""How are contributions and rejects written as records?

As JSON lines, many to a record. The lines of one series and key always go to the same partition of ``cost.rates``,
whatever process writes them: whoever follows a key reads one partition. Lines are put together column-wise by Polars;
a test compares them with ``RateContribution``.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Final
from zlib import crc32

import polars as pl

from spendgauge.schemas.money import PICODOLLARS_PER_USD
from spendgauge.schemas.rates import MEASURES, SeriesSpec
from spendgauge.schemas.rejects import RejectedEvent
from spendgauge.schemas.wire import compact_json
from spendgauge.streams.packing import pack_lines
from spendgauge.streams.rating.blocks import Contributions
from spendgauge.streams.records import Record

__all__ = ["rate_records", "rates_partition", "reject_records"]

_LINES_AT_ONCE: Final = 8_192
"""About 4 MB of text, which exists in three copies while it is put together."""


def rates_partition(series: str, key: Sequence[str], partitions: int) -> int:
    """Say to which partition of ``cost.rates`` a series' key belongs.

    CRC-32 of the series' name and the key as compact JSON, modulo the number of partitions.
    """
    return crc32((series + compact_json(list(key))).encode()) % partitions


def rate_records(
    contributions: Iterable[Contributions], *, specs: Sequence[SeriesSpec], partitions: int
) -> Iterator[list[Record]]:
    """Write contributions as records of ``cost.rates``, some thousand lines at a time to bound the memory it takes."""
    for one in contributions:
        for totals in one.totals.iter_slices(_LINES_AT_ONCE):
            yield pack_lines(_lines(replace(one, totals=totals), specs), partitions)


def reject_records(rejects: Iterable[RejectedEvent], *, partitions: int) -> list[Record]:
    """Write rejects as records of ``usage.rejected``, each in the partition that its number in usage.events gives."""
    lines = pl.DataFrame(
        [(reject.partition, reject.model_dump_json()) for reject in rejects],
        schema={"place": pl.UInt32, "line": pl.String},
        orient="row",
    )
    return pack_lines(lines, partitions)


def _lines(contributions: Contributions, specs: Sequence[SeriesSpec]) -> pl.DataFrame:
    """Write each total as one JSON line, with the hash of its series and key as ``place``."""
    names = pl.Series([spec.name for spec in specs], dtype=pl.String)
    seconds = pl.Series([f',"pane_seconds":{spec.pane_seconds}' for spec in specs], dtype=pl.String)
    number = pl.col("series")
    tail = f'"stream":{json.dumps(contributions.stream)},"partition":{contributions.partition},' + (
        f'"block":{contributions.block},"edition":{contributions.edition},"version":{contributions.version}'
    )
    measures = [
        pl.concat_str(pl.lit(f',"{name}":'), pl.col(name).cast(pl.String)) for name in MEASURES if name != MEASURES[-1]
    ]
    return contributions.totals.select(
        pl.Series(
            [
                crc32(named.encode())
                for named in contributions.totals.select(pl.lit(names).gather(number) + pl.col("key")).to_series()
            ],
            dtype=pl.UInt32,
        ).alias("place"),
        pl.concat_str(
            pl.lit('{"series":"'),
            pl.lit(names).gather(number),
            pl.lit('","key":'),
            pl.col("key"),
            pl.lit(',"pane_start":'),
            pl.col("pane_start").cast(pl.String),
            pl.lit(seconds).gather(number),
            pl.lit("," + tail),
            *measures,
            pl.lit(',"cost_usd":"'),
            _usd_text(pl.col("cost_picodollars")),
            pl.lit('"}'),
        ).alias("line"),
    )


def _usd_text(picodollars: pl.Expr) -> pl.Expr:
    """Write picodollars as ``money.usd_text`` does."""
    size = picodollars.abs()
    sign = pl.when(picodollars < 0).then(pl.lit("-")).otherwise(pl.lit(""))
    whole = (size // PICODOLLARS_PER_USD).cast(pl.String)
    fraction = (size % PICODOLLARS_PER_USD).cast(pl.String).str.zfill(12)
    return pl.concat_str(sign, whole, pl.lit("."), fraction)
