"""How long until a killed worker's successor is caught up? ``kill -9`` where every block is half full."""

from collections.abc import Callable
from typing import Final

from confluent_kafka import Consumer, TopicPartition

from benchmarks.follow import FollowedRates
from benchmarks.load import Load, write
from benchmarks.machines import stay_beside_servers
from benchmarks.report import Sheet, figure
from benchmarks.worker import COALESCED, new_topics, worker
from benchmarks.workload import PARTITIONS
from spendgauge.schemas import KafkaSettings, SystemClock
from spendgauge.schemas.kafka import client_options
from spendgauge.schemas.topics import DEFAULT_BLOCK_OFFSETS

__all__ = ["measure_restart"]

_GROUP: Final = "restarted"
_SESSION_SECONDS: Final = 6
_NEW_RECORDS: Final = 160
"""What comes while nobody works: the successor must rate it as well."""

_PATIENCE_SECONDS: Final = 240
_clock: Final = SystemClock()


def measure_restart(kafka: str, *, progress: Callable[[str], None]) -> Sheet:
    """Kill a worker half-way through its blocks, start another at once, and wait until it has rated all."""
    stay_beside_servers()
    rows = []
    for coalesced in (1, COALESCED):
        settings = new_topics(kafka)
        rebuilt, first, all_rated = _kill(settings, Load(coalesced=coalesced), coalesced)
        rows.append((str(coalesced), f"{rebuilt:,}", f"{rebuilt * coalesced:,}", figure(first), figure(all_rated)))
        progress(f"{coalesced} a record: caught up after {all_rated:.1f} s")
    head = ("events a record", "records read again", "events read again", "s to the first new figure", "s to lag 0")
    waited = f"The broker waits {_SESSION_SECONDS} s (`session_timeout_seconds`) before it gives a dead worker's "
    return Sheet("kill -9 in the middle of every block", head, rows, (f"{waited}partitions away; that is included.",))


def _kill(settings: KafkaSettings, load: Load, coalesced: int) -> tuple[int, float, float]:
    """Say how many records the successor had to read again, and the seconds from the kill to its figures."""
    records = PARTITIONS * DEFAULT_BLOCK_OFFSETS // 2
    write(settings, load, records=records, partitions=PARTITIONS)
    rates = FollowedRates(settings)
    try:
        with worker(settings, group=_GROUP, session_timeout_seconds=_SESSION_SECONDS) as process:
            _until(lambda: rates() >= records * coalesced and _committed(settings) >= records)
            process.kill()
        killed = _clock.monotonic()
        rebuilt = sum(offset % DEFAULT_BLOCK_OFFSETS for offset in _offsets(settings))
        write(settings, load, records=_NEW_RECORDS, partitions=PARTITIONS)
        with worker(settings, group=_GROUP, session_timeout_seconds=_SESSION_SECONDS):
            _until(lambda: rates() > records * coalesced)
            first = _clock.monotonic() - killed
            _until(lambda: rates() >= (records + _NEW_RECORDS) * coalesced)
            return rebuilt, first, _clock.monotonic() - killed
    finally:
        rates.close()


def _until(reached: Callable[[], bool]) -> None:
    deadline = _clock.monotonic() + _PATIENCE_SECONDS
    while not reached():
        if _clock.monotonic() > deadline:
            raise TimeoutError(f"a worker did not rate or commit what there is within {_PATIENCE_SECONDS} s")
        _clock.sleep(0.05)


def _committed(settings: KafkaSettings) -> int:
    return sum(_offsets(settings))


def _offsets(settings: KafkaSettings) -> list[int]:
    consumer = Consumer(client_options(settings) | {"group.id": _GROUP})
    try:
        asked = [TopicPartition(settings.topics.usage, number) for number in range(PARTITIONS)]
        return [max(found.offset, 0) for found in consumer.committed(asked, timeout=10)]
    finally:
        consumer.close()
