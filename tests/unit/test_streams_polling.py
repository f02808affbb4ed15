"""How long may a fetch wait at the broker? What is asked of aiokafka's fetcher, by one that only takes notes."""

import asyncio
from types import SimpleNamespace
from typing import Any

from aiokafka.structs import TopicPartition

from spendgauge.schemas import KafkaSettings
from spendgauge.streams.reading.polling import Chunking, ConsumerThread

_PARTITION = TopicPartition("usage.events", 0)


def _waits_of(*records: dict[TopicPartition, Any]) -> list[int]:
    """Look for records again and again; say how long a fetch that is sent then may wait, in milliseconds."""
    chunking = Chunking(KafkaSettings(), {}, {}, max_bytes=1, linger_seconds=0.1)
    thread: Any = object.__new__(ConsumerThread)
    thread.app = SimpleNamespace(chunking=chunking)
    thread._taken_at = float("-inf")

    async def look(found: dict[TopicPartition, Any]) -> int:
        fetcher = SimpleNamespace(_records=found, _create_fetch_waiter=asyncio.get_running_loop().create_future)
        await thread._wait_for_records(fetcher, {_PARTITION}, 0.0)
        return int(fetcher._fetch_max_wait_ms)

    async def look_at_all() -> list[int]:
        return [await look(found) for found in records]

    return asyncio.run(look_at_all())


def test_a_partition_at_its_end_starves_no_other() -> None:
    """While records of one partition are taken, a fetch for the others returns soon; else it may wait for records."""
    taken = {_PARTITION: object()}
    busy, idle, other = _waits_of(taken, {}, {TopicPartition("usage.events", 1): object()})
    assert busy < idle == other == 100
