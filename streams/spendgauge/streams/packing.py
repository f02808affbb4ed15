"""How do many lines become few records?

A module of its own, for it alone needs Polars: a process that only writes alerts starts without.
"""

from typing import Final

import polars as pl

from spendgauge.streams.records import Record

__all__ = ["RECORD_BYTES", "pack_lines"]

RECORD_BYTES: Final = 512 * 1024
"""A record is closed when it would be longer. One line has at most 20 kB, so records stay far below Kafka's usual
limit of 1 MB."""


def pack_lines(lines: pl.DataFrame, partitions: int) -> list[Record]:
    """Join lines (column ``line``) into records; ``place`` modulo the number of partitions says where each goes."""
    records = (
        lines.with_columns(pl.col("place") % partitions)
        .with_columns(((pl.col("line").str.len_bytes() + 1).cum_sum().over("place") // RECORD_BYTES).alias("record"))
        .group_by("place", "record", maintain_order=True)
        .agg(pl.col("line").str.join("\n"))
    )
    return [Record(place, line.encode()) for place, _, line in records.iter_rows()]
