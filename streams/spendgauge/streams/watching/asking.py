"""How far have the rates workers come? The broker knows: what their group has committed, and where the topic ends."""

from typing import Any, Final

import structlog
from confluent_kafka import ConsumerGroupTopicPartitions, KafkaException, TopicPartition
from confluent_kafka import admin as kafka_admin
from confluent_kafka.admin import AdminClient

from spendgauge.schemas.errors import UnavailableError
from spendgauge.schemas.kafka import connect_admin
from spendgauge.schemas.settings import KafkaSettings

__all__ = ["RatesStanding"]

_OFFSET_SPEC: Final[Any] = getattr(kafka_admin, "OffsetSpec")  # noqa: B009, it is public, but its types are not
_ANSWER_SECONDS: Final = 5.0

_log = structlog.get_logger(__name__)


class RatesStanding:
    """Asks the broker; for one thread at a time."""

    def __init__(self, settings: KafkaSettings, group: str) -> None:
        self._settings = settings
        self._group = group
        self._admin: AdminClient | None = None

    def ask(self) -> dict[int, tuple[int, int]] | None:
        """Say of each partition of ``usage.events`` what is committed (0: nothing) and where it ends; None where the
        broker does not answer."""
        try:
            self._admin = self._admin or connect_admin(self._settings, timeout_seconds=_ANSWER_SECONDS)
            return self._ask(self._admin)
        except (KafkaException, UnavailableError, KeyError) as error:
            _log.warning("cannot ask how far the rates workers are, will try again", error=str(error))
            return None

    def _ask(self, admin: AdminClient) -> dict[int, tuple[int, int]]:
        topic = self._settings.topics.usage
        numbers = admin.list_topics(topic, timeout=_ANSWER_SECONDS).topics[topic].partitions
        places = [TopicPartition(topic, number) for number in numbers]
        ends = admin.list_offsets(dict.fromkeys(places, _OFFSET_SPEC.latest()), request_timeout=_ANSWER_SECONDS)
        asked = admin.list_consumer_group_offsets(
            [ConsumerGroupTopicPartitions(self._group, places)], request_timeout=_ANSWER_SECONDS
        )
        found = {at.partition: future.result().offset for at, future in ends.items()}
        committed = {at.partition: at.offset for at in asked[self._group].result().topic_partitions or ()}
        return {number: (max(committed.get(number, 0), 0), end) for number, end in found.items()}
