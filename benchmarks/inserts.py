"""How fast does ClickHouse take columns that are ready? ``python -m benchmarks.inserts`` decodes all beforehand.

``native`` encodes ready columns as the sink does and inserts them; ``arrow`` hands them to clickhouse-connect as an
Arrow table, as a loop by hand would.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import Final

import polars as pl
from clickhouse_connect.driver.client import Client
from confluent_kafka import Message

from benchmarks.contestants.loops import consume
from benchmarks.watch import Pace
from spendgauge.schemas import ClickHouseSettings, KafkaSettings, RecordChunk
from spendgauge.schemas.prices import PriceBook
from spendgauge.sinks.clickhouse import connect
from spendgauge.sinks.rows import decode_chunks
from spendgauge.sinks.tables import USAGE_EVENTS

__all__ = ["main"]

_ROWS: Final = 100_000
"""Of one INSERT, as the sink's."""


def _ready(settings: KafkaSettings, events: int) -> pl.DataFrame:
    book, frames = PriceBook.load(), list[pl.DataFrame]()
    for messages in consume(settings.kafka, settings.topics.usage):
        chunks = list(_chunks(messages))
        frames += [rows.frame for rows in decode_chunks(chunks, book=book, topics=settings.topics).rows]
        if sum(frame.height for frame in frames) >= events:
            break
    return pl.concat(frames)


def _chunks(messages: list[Message]) -> Iterator[RecordChunk]:
    for partition in {message.partition() for message in messages}:
        mine = [message for message in messages if message.partition() == partition]
        yield RecordChunk(
            stream="bench:1",
            topic=mine[0].topic() or "",
            partition=partition or 0,
            offsets=[message.offset() or 0 for message in mine],
            timestamps_ms=[message.timestamp()[1] for message in mine],
            keys=[None] * len(mine),
            values=[message.value() for message in mine],
            headers=[()] * len(mine),
        )


def _native(client: Client, frame: pl.DataFrame) -> None:
    block = USAGE_EVENTS.encode(frame)
    client.raw_insert(USAGE_EVENTS.name, [column.name for column in USAGE_EVENTS.columns], block, fmt="Native")


def _arrow(client: Client, frame: pl.DataFrame) -> None:
    client.insert_arrow(USAGE_EVENTS.name, _table_columns(frame).to_arrow())


def _table_columns(frame: pl.DataFrame) -> pl.DataFrame:
    """Give the columns the names and types that ClickHouse reads from Arrow."""
    columns = []
    for column in USAGE_EVENTS.columns:
        value = pl.col(column.frame_name)
        if "DateTime64" in column.kind:
            value = pl.from_epoch(value, time_unit="ms").dt.replace_time_zone("UTC")
        elif "Decimal" in column.kind:
            value = value.cast(pl.Decimal(38, 0)) / pl.lit(10**12).cast(pl.Decimal(38, 0)).cast(pl.Decimal(38, 12))
        elif "Map" in column.kind:
            continue
        columns.append(value.alias(column.name))
    return frame.select(columns)


WAYS: Final[dict[str, Callable[[Client, pl.DataFrame], None]]] = {"native": _native, "arrow": _arrow}


def main() -> int:
    """Insert the whole workload; print rows and seconds."""
    parser = argparse.ArgumentParser()
    parser.add_argument("way", choices=WAYS)
    parser.add_argument("--kafka", required=True)
    parser.add_argument("--prefix", required=True)
    parser.add_argument("--clickhouse", required=True)
    parser.add_argument("--events", type=int, required=True)
    given = parser.parse_args()
    frame = _ready(KafkaSettings(kafka=given.kafka, topic_prefix=given.prefix), given.events)
    client = connect(ClickHouseSettings(clickhouse=given.clickhouse))
    started, used = time.perf_counter(), time.process_time()
    for part in frame.iter_slices(_ROWS):
        WAYS[given.way](client, part)
    print(json.dumps(asdict(Pace(frame.height, time.perf_counter() - started, time.process_time() - used))))
    client.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
