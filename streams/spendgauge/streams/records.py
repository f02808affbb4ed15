"""What goes to a partition of a topic? A record: many lines, one entry, or an alert."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final
from zlib import crc32

import polars as pl

from spendgauge.schemas.alerts import Alert
from spendgauge.schemas.records import Headers

__all__ = ["RECORD_BYTES", "Record", "alert_records", "pack_lines"]

RECORD_BYTES: Final = 512 * 1024
"""A record is closed when it would be longer. One line has at most 20 kB, so records stay far below Kafka's usual
limit of 1 MB."""


@dataclass(frozen=True)
class Record:
    """What goes to one partition of a topic: lines, or an entry and its key; no value removes the entry."""

    partition: int
    value: bytes | None
    key: bytes | None = None
    headers: Headers = ()
    """Besides those that all records of the topic have."""


def pack_lines(lines: pl.DataFrame, partitions: int) -> list[Record]:
    """Join lines (column ``line``) into records; ``place`` modulo the number of partitions says where each goes."""
    records = (
        lines.with_columns(pl.col("place") % partitions)
        .with_columns(((pl.col("line").str.len_bytes() + 1).cum_sum().over("place") // RECORD_BYTES).alias("record"))
        .group_by("place", "record", maintain_order=True)
        .agg(pl.col("line").str.join("\n"))
    )
    return [Record(place, line.encode()) for place, _, line in records.iter_rows()]


def alert_records(alerts: Iterable[Alert], *, partitions: int) -> list[Record]:
    """Write alerts, a record each, keyed by their id."""
    return [
        Record(crc32(key) % partitions, alert.model_dump_json().encode(), key)
        for alert in alerts
        for key in [alert.alert_id.encode()]
    ]
