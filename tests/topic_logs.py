"""What lies in a topic, from its first record to its last?"""

from collections.abc import Iterator
from time import monotonic
from typing import Any, NamedTuple

import orjson
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, TopicPartition

from spendgauge.schemas import KafkaSettings
from spendgauge.schemas.kafka import client_options

__all__ = ["LogRecord", "compacted", "lines_of", "read_lines", "read_log"]

_ANSWER_SECONDS = 30.0


class LogRecord(NamedTuple):
    """One record, as it lies there."""

    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...]


def read_log(kafka: KafkaSettings, topic: str) -> list[LogRecord]:
    """Read all that is there now, partition by partition, each in its order."""
    options = {"group.id": "tests-never-commit", "enable.auto.commit": False, "enable.partition.eof": True}
    consumer = Consumer(client_options(kafka, **options, **{"fetch.wait.max.ms": 50, "log_level": 0}))
    try:
        partitions = consumer.list_topics(topic, timeout=_ANSWER_SECONDS).topics[topic].partitions
        consumer.assign([TopicPartition(topic, number, OFFSET_BEGINNING) for number in partitions])
        return sorted(_until_ends(consumer, len(partitions)))
    finally:
        consumer.close()


def _until_ends(consumer: Consumer, partitions: int) -> Iterator[LogRecord]:
    ended: set[int | None] = set()
    heard_at = monotonic()
    while len(ended) < partitions:
        assert monotonic() - heard_at < _ANSWER_SECONDS, f"silence for {_ANSWER_SECONDS} s before the topic's end"
        for message in consumer.consume(1_000, timeout=0.05):
            heard_at = monotonic()
            error = message.error()
            if error is None:
                yield _record(message)
            elif error.code() == KafkaError._PARTITION_EOF:
                ended.add(message.partition())
            else:
                assert error.retriable(), error.str()


def _record(message: Any) -> LogRecord:
    return LogRecord(
        message.partition(),
        message.offset(),
        message.timestamp()[1],
        message.key(),
        message.value(),
        tuple(message.headers() or ()),
    )


def read_lines(kafka: KafkaSettings, topic: str) -> list[dict[str, Any]]:
    """Read all lines of a topic of JSON lines."""
    return lines_of(read_log(kafka, topic))


def lines_of(records: list[LogRecord]) -> list[dict[str, Any]]:
    """Read the lines of records."""
    return [orjson.loads(line) for record in records for line in (record.value or b"").split(b"\n") if line]


def compacted(records: list[LogRecord]) -> dict[tuple[int, bytes | None], bytes]:
    """Keep what compaction keeps: each key's last value, and no tombstones."""
    last = {(record.partition, record.key): record.value for record in records}
    return {key: value for key, value in last.items() if value is not None}
