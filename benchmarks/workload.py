"""What is measured on? A simulated day of usage, squeezed to the density of a busy service, as records on Kafka."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl
from confluent_kafka import Producer

from spendgauge.deploy.feeding.lines import event_ids, event_lines
from spendgauge.deploy.simulation.day import DAY_MS, simulate_day
from spendgauge.schemas import USAGE_SCHEMA, KafkaSettings, topic_specs
from spendgauge.schemas.clock import SystemClock
from spendgauge.schemas.kafka import client_options, create_topics
from spendgauge.schemas.topics import CONTENT_TYPE, CONTENT_TYPE_HEADER, SCHEMA_HEADER

__all__ = ["HEADERS", "PARTITIONS", "Workload", "fill", "frames", "fresh_topics", "records"]

PARTITIONS: Final = 4

_SIMULATED_TENANTS: Final = 8

HEADERS: Final[dict[str, str | bytes | None]] = {
    CONTENT_TYPE_HEADER: CONTENT_TYPE.encode(),
    SCHEMA_HEADER: USAGE_SCHEMA.encode(),
}


@dataclass(frozen=True)
class Workload:
    """How many events, how many of them a record, and how many a second of their own time."""

    events: int
    coalesced: int = 1
    events_per_second: int = 1000
    """Decides how many panes a chunk touches: a replay of a thin day touches many more than live traffic."""

    tenants: int = 0
    """So many tenants, about, and each has a source of its own, which is its records' key; 0: as simulated, where a
    service on a host is a source."""

    users: int = 0
    """So many users, as even as chance; 0: as simulated."""


def frames(workload: Workload) -> Iterator[pl.DataFrame]:
    """Yield the events as frames with ``source``, ``seq`` and ``line``, the last event being now."""
    span_ms = workload.events * 1000 // workload.events_per_second
    start_ms = SystemClock().now_ms() - span_ms
    counted = pl.DataFrame(schema={"source": pl.String, "before": pl.Int64})
    draw = np.random.default_rng(1)
    for day in simulate_day(workload.events, start_ms=0):
        squeezed = pl.col("occurred_at_ms", "started_at_ms") * span_ms // DAY_MS + start_ms
        frame = (
            day.with_columns(squeezed)
            .with_columns(_names(workload, draw, day.height))
            .drop("host")
            .join(counted, on="source", how="left", maintain_order="left")
            .with_columns(seq=pl.int_range(pl.len()).over("source") + pl.col("before").fill_null(0))
            .drop("before")
        )
        latest = frame.group_by("source").agg(before=pl.col("seq").max() + 1)
        counted = pl.concat([counted, latest]).group_by("source").agg(pl.col("before").max())
        frame = frame.insert_column(0, event_ids(frame["occurred_at_ms"], sources=frame["source"]).alias("event_id"))
        yield frame.select("source", "seq", line=event_lines(frame))


def _names(workload: Workload, draw: np.random.Generator, events: int) -> Iterator[pl.Expr]:
    """Say who sends and who calls, where it is not as simulated."""
    if workload.tenants:
        parts = max(1, workload.tenants // _SIMULATED_TENANTS)
        tenant = pl.format("{}-{}", "tenant", pl.col("user_id").fill_null("").hash() % parts)
        yield tenant
        yield tenant.alias("source")
    else:
        yield pl.format("{}/{}/bench", "service", "host").alias("source")
    if workload.users:
        yield pl.format("user-{}", pl.Series(draw.integers(workload.users, size=events))).alias("user_id")


def fresh_topics(kafka: str) -> KafkaSettings:
    """Name topics that nobody has used before: a broker of the user's own keeps what earlier runs wrote."""
    return KafkaSettings(kafka=kafka, topic_prefix=f"bench-{SystemClock().now_ms()}.")


def fill(
    settings: KafkaSettings,
    workload: Workload,
    *,
    partitions: int = PARTITIONS,
    told: Callable[[Iterable[str]], None] | None = None,
) -> int:
    """Create the topics and write the workload to ``usage.events``; return the bytes of all values.

    ``told`` gets all lines in their order, for a calculation of one's own.
    """
    create_topics(settings, topic_specs(settings.topics, partitions=partitions))
    producer = Producer(
        client_options(settings)
        | {"compression.type": "lz4", "partitioner": "murmur2_random", "linger.ms": 20, "enable.idempotence": True}
        | {"queue.buffering.max.messages": 2_000_000, "queue.buffering.max.kbytes": 2_000_000}
    )
    size = 0
    for frame in frames(workload):
        for source, value in records(frame, workload.coalesced):
            producer.produce(settings.topics.usage, value, key=source, headers=HEADERS)
            size += len(value)
        producer.poll(0)
        if told is not None:
            told(frame["line"])
    if producer.flush(120):
        raise TimeoutError("the broker did not take the workload within two minutes")
    return size


def records(frame: pl.DataFrame, coalesced: int) -> Iterator[tuple[str, bytes]]:
    """Yield key and value of each record that the frame makes, with up to ``coalesced`` events of one source."""
    if coalesced == 1:
        yield from ((source, line.encode()) for source, line in zip(frame["source"], frame["line"], strict=True))
        return
    group = frame.group_by("source", pl.col("seq") // coalesced, maintain_order=True)
    batches = group.agg(pl.col("line").str.join("\n"))
    yield from ((source, lines.encode()) for source, lines in zip(batches["source"], batches["line"], strict=True))
