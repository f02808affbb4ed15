"""Have the consumers read everything? Where each partition ends, against what each group has committed.

Works on any broker: it asks for positions as a member of the group would, and never joins it.
"""

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from confluent_kafka import Consumer, KafkaException, TopicPartition

from spendgauge.schemas import KafkaSettings, UnavailableError
from spendgauge.schemas.kafka import client_options, connect_admin, read_ends

__all__ = ["Position", "group_positions"]

_TIMEOUT_SECONDS: Final = 5.0


@dataclass(frozen=True)
class Position:
    """How far a group is in one partition: ``begin`` and ``end`` of what the broker keeps, and what is next for it."""

    group: str
    topic: str
    partition: int
    begin: int
    end: int
    committed: int | None

    @property
    def behind(self) -> int:
        """How many offsets are still to be read."""
        return max(self.end - max(self.committed or 0, self.begin), 0)

    def until(self, end: int) -> "Position":
        """Judge only what stood before ``end``."""
        return replace(self, end=min(self.end, end))


def group_positions(settings: KafkaSettings, groups: Mapping[str, Iterable[str]]) -> list[Position]:
    """Ask where each group stands in each partition of its topics.

    Raises ``UnavailableError`` where the broker does not answer, or a topic does not exist.
    """
    found = []
    for group, topics in groups.items():
        partitions = _partitions(settings, tuple(topics))
        found += _positions(settings, group, partitions)
    return found


def _partitions(settings: KafkaSettings, topics: Sequence[str]) -> list[TopicPartition]:
    metadata = connect_admin(settings, timeout_seconds=_TIMEOUT_SECONDS).list_topics(timeout=_TIMEOUT_SECONDS)
    for topic in topics:
        if topic not in metadata.topics:
            raise UnavailableError(
                f"topic {topic} does not exist at {settings.kafka}; create the topics with `spendgauge topics create`"
            )
    return [TopicPartition(topic, number) for topic in topics for number in sorted(metadata.topics[topic].partitions)]


def _positions(settings: KafkaSettings, group: str, partitions: list[TopicPartition]) -> list[Position]:
    options = client_options(settings, **{"group.id": group, "enable.auto.commit": False, "log_level": 0})
    consumer = Consumer(options, logger=_silent())
    try:
        ranges = [consumer.get_watermark_offsets(place, timeout=_TIMEOUT_SECONDS) for place in partitions]
        committed = consumer.committed(partitions, timeout=_TIMEOUT_SECONDS)
    except KafkaException as error:
        raise UnavailableError(
            f"the broker at {settings.kafka} does not tell where group {group} stands: {error.args[0].str()}"
        ) from None
    finally:
        consumer.close()
    told = {(at.topic, at.partition): high for at, (low, high) in zip(committed, ranges, strict=True) if high > low}
    ends = told | read_ends(settings, told)
    return [
        Position(
            group,
            at.topic,
            at.partition,
            low,
            ends.get((at.topic, at.partition), high),
            at.offset if at.offset >= 0 else None,
        )
        for at, (low, high) in zip(committed, ranges, strict=True)
    ]


def _silent() -> logging.Logger:
    logger = logging.Logger("spendgauge.silent")
    logger.addHandler(logging.NullHandler())
    return logger
