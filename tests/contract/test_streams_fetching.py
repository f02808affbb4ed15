"""Our reading of fetched record batches is held to aiokafka's own."""

import asyncio
from random import Random
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.structs import TopicPartition
from confluent_kafka import Producer

from spendgauge.schemas import KafkaSettings, topic_specs
from spendgauge.schemas.kafka import create_topics
from spendgauge.streams.reading.fetching import take_records

pytestmark = pytest.mark.integration

_RECORDS = 600
_HEADERS: list[list[tuple[str, str | bytes | None]]] = [[], [("h", b"1")], [("h", b"1"), ("i", None)]]
_Row = tuple[int, int, bytes | None, bytes | None, tuple[tuple[str, bytes | None], ...]]


def _fill(kafka: KafkaSettings) -> None:
    """Write batches of several sizes and codecs, with keys, headers and empty values among them."""
    draw = Random(1)
    for codec in ("none", "lz4", "zstd", "gzip"):
        producer = Producer({"bootstrap.servers": kafka.kafka, "compression.type": codec, "linger.ms": 5})
        for number in range(_RECORDS // 4):
            key = draw.choice([None, b"k", b""])
            value = draw.choice([None, b"", b"x" * draw.randrange(3_000)])
            headers = draw.choice(_HEADERS)
            producer.produce(kafka.topics.usage, value, key, partition=0, headers=headers, timestamp=1_000 + number)
            if number % 40 == 0:
                producer.flush()
        producer.flush()


async def _theirs(consumer: Any, partition: TopicPartition) -> list[_Row]:
    rows: list[_Row] = []
    while len(rows) < _RECORDS:
        fetched = (await consumer.getmany(partition, timeout_ms=1000)).get(partition, [])
        rows += [(r.offset, r.timestamp, r.key, r.value, tuple(r.headers)) for r in fetched]
    return rows


async def _ours(consumer: Any, partition: TopicPartition, *, max_bytes: int) -> list[_Row]:
    rows: list[_Row] = []
    expected = 0
    state = consumer._subscription.subscription.assignment.state_value(partition)
    while len(rows) < _RECORDS:
        result = consumer._fetcher._records.get(partition)
        if result is None:
            await consumer._fetcher._create_fetch_waiter()
            continue
        fetched = take_records(result, state, epoch=1, max_bytes=max_bytes)
        if fetched is not None:
            assert fetched.begins_at == expected
            expected = fetched.next_offset
            columns = (fetched.offsets, fetched.timestamps_ms, fetched.keys, fetched.values, fetched.headers)
            rows += [(o, t, k, v, tuple(h)) for o, t, k, v, h in zip(*columns, strict=True)]
        if not result.has_more():
            del consumer._fetcher._records[partition]
            consumer._fetcher._notify(consumer._fetcher._wait_consume_future)
    return rows


async def _both(kafka: KafkaSettings, max_bytes: int) -> tuple[list[_Row], list[_Row]]:
    partition = TopicPartition(kafka.topics.usage, 0)
    found = []
    for read in (_theirs, lambda c, p: _ours(c, p, max_bytes=max_bytes)):
        consumer = AIOKafkaConsumer(bootstrap_servers=kafka.kafka, auto_offset_reset="earliest", fetch_max_wait_ms=50)
        await consumer.start()
        try:
            consumer.assign([partition])
            consumer.seek(partition, 0)
            found.append(await asyncio.wait_for(read(consumer, partition), 30))
        finally:
            await consumer.stop()
    return found[0], found[1]


@pytest.mark.parametrize("max_bytes", [1, 100_000_000])
def test_batches_are_read_as_aiokafka_reads_them(kafka: KafkaSettings, max_bytes: int) -> None:
    """Offsets, times, keys, values and headers are the same, a batch at a time or all at once."""
    create_topics(kafka, topic_specs(kafka.topics))
    _fill(kafka)
    theirs, ours = asyncio.run(_both(kafka, max_bytes))
    assert ours == theirs
