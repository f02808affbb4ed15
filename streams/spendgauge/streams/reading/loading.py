"""What does a compacted topic hold now? Its partitions, read from the start to the end, without a group."""

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from spendgauge.schemas.errors import UnavailableError
from spendgauge.schemas.kafka import reader_options
from spendgauge.schemas.records import Headers
from spendgauge.schemas.settings import KafkaSettings
from spendgauge.streams.accounting.entries import Entries, read_entries

__all__ = ["Log", "LogRecord", "load_entries", "load_logs"]

_POLL_SECONDS: Final = 0.05
_SILENT_SECONDS: Final = 5.0
"""So long nothing at all may come; how long all takes depends on how much there is."""

_AT_ONCE: Final = 1_000

_OPTIONS: Final = {
    "auto.offset.reset": "earliest",
    "fetch.wait.max.ms": 20,
    "log_level": 0,
}


@dataclass(frozen=True, slots=True)
class LogRecord:
    """One record."""

    key: bytes | None
    value: bytes | None
    headers: Headers


@dataclass(frozen=True)
class Log:
    """What one partition holds."""

    records: list[LogRecord]
    end: int
    """The offset that the next record will have."""


def load_entries(settings: KafkaSettings, topic: str, partitions: Collection[int]) -> dict[int, Entries]:
    """Read what each of these partitions of ``usage.positions`` holds; as ``load_logs``."""
    logs = load_logs(settings, topic, partitions)
    return {number: read_entries((one.key, one.value) for one in log.records) for number, log in logs.items()}


def load_logs(settings: KafkaSettings, topic: str, partitions: Collection[int]) -> dict[int, Log]:
    """Read what each of these partitions holds; blocks until all are read to their end.

    Raises ``UnavailableError`` where the broker does not give it.
    """
    if not partitions:
        return {}
    consumer = Consumer(reader_options(settings, "kept", **_OPTIONS))
    try:
        # Offset 0, for to ask where a log begins takes librdkafka half a second; where that is later, it begins there.
        consumer.assign([TopicPartition(topic, number, 0) for number in partitions])
        return _read_all(consumer, set(partitions))
    except KafkaException as error:
        raise UnavailableError(
            f"topic {topic} cannot be read at {settings.kafka} ({error.args[0].str()}); "
            "create the topics with `spendgauge topics create`"
        ) from None
    finally:
        consumer.close()


def _read_all(consumer: Consumer, unread: set[int]) -> dict[int, Log]:
    records: dict[int, list[LogRecord]] = defaultdict(list)
    logs: dict[int, Log] = {}
    silent_seconds = 0.0
    while unread:
        messages = consumer.consume(_AT_ONCE, _POLL_SECONDS)
        silent_seconds = 0.0 if messages else silent_seconds + _POLL_SECONDS
        if silent_seconds >= _SILENT_SECONDS:
            raise KafkaException(KafkaError(KafkaError._TIMED_OUT))
        for message in messages:
            number = int(message.partition() or 0)
            if _is_record(message):
                records[number].append(_record(message))
            elif number in unread:
                unread.remove(number)
                logs[number] = Log(records.pop(number, []), int(message.offset() or 0))
    return logs


def _record(message: Message) -> LogRecord:
    key, value, headers = message.key(), message.value(), message.headers()
    return LogRecord(key, value, headers or ())  # type: ignore[arg-type]  # bytes, as nothing decodes them


def _is_record(message: Message) -> bool:
    """Tell a record from the end of a partition; raise what is neither."""
    error = message.error()
    if error is not None and error.code() != KafkaError._PARTITION_EOF:
        raise KafkaException(error)
    return error is None
