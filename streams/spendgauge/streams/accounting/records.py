"""How is what is said of sources written as records: their entries, and their gaps?"""

from collections.abc import Iterable
from zlib import crc32

import polars as pl

from spendgauge.schemas.positions import SourceGaps
from spendgauge.streams.accounting.accounts import Entry
from spendgauge.streams.packing import pack_lines
from spendgauge.streams.records import Record

__all__ = ["entry_records", "gap_records"]


def entry_records(entries: Iterable[Entry], *, partition: int) -> list[Record]:
    """Write entries of ``usage.positions``: those of one partition of ``usage.events`` lie in the same one there."""
    return [Record(partition, value, key) for key, value in entries]


def gap_records(gaps: Iterable[SourceGaps], *, partitions: int) -> list[Record]:
    """Write lines of ``usage.gaps``; a source's lines always go to the same partition, by the CRC-32 of its name."""
    lines = [(crc32(gap.source.encode()), gap.model_dump_json()) for gap in gaps]
    return pack_lines(pl.DataFrame(lines, schema={"place": pl.UInt32, "line": pl.String}, orient="row"), partitions)
