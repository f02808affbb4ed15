"""How is a rates worker run for a test? As a process that ends with the test, and is watched through what it writes."""

import subprocess
import sys
from contextlib import AbstractContextManager
from pathlib import Path
from time import monotonic
from typing import Any

from confluent_kafka import Consumer, TopicPartition
from tests.loads import FollowedRates
from tests.processes import running_app

from spendgauge.schemas import KafkaSettings

__all__ = ["FAUST", "OURS", "committed", "running_worker", "until_rated"]

OURS = (sys.executable, "-m", "spendgauge.streams")
FAUST = (sys.executable, "-m", "faust", "-A", "spendgauge.streams.worker", "worker")

_SMALL = {"block_offsets": 1000, "flush_seconds": 0.3, "session_timeout_seconds": 3}
"""The embedded broker lets a worker in after half of its session, and gives a dead one's partitions away after it."""


def running_worker(
    kafka: KafkaSettings,
    command: tuple[str, ...] = OURS,
    *,
    cwd: Path | None = None,
    errors: int = subprocess.DEVNULL,
    **settings: Any,
) -> AbstractContextManager[subprocess.Popen[bytes]]:
    """Run a worker with small blocks and quick flushes; other settings by their names."""
    return running_app(kafka, command, cwd=cwd, errors=errors, **{**_SMALL, **settings})


def until_rated(rates: FollowedRates, requests: int, *, patience_seconds: float = 120) -> int:
    """Wait until the rates hold so many requests, and a moment longer, in case they come to more; return how many."""
    deadline = monotonic() + patience_seconds
    while rates.read(quiet_seconds=0.3) < requests and monotonic() < deadline:
        pass
    return rates.read()


def committed(kafka: KafkaSettings, *, group: str = "spendgauge-rates", partitions: int = 4) -> int:
    """Add up what the workers have committed of ``usage.events``."""
    consumer = Consumer({"bootstrap.servers": kafka.kafka, "group.id": group})
    try:
        asked = [TopicPartition(kafka.topics.usage, number) for number in range(partitions)]
        return sum(max(point.offset, 0) for point in consumer.committed(asked, timeout=10))
    finally:
        consumer.close()
