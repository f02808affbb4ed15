"""How far have the rates workers come? The broker knows: what their group has committed, and where the topic ends."""

from collections.abc import Sequence
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
        self.overtaken: frozenset[int] = frozenset()
        """As of the last answer: the partitions in which retention has removed what was to be rated next."""

    def ask(self) -> dict[int, tuple[int, int]] | None:
        """Say of each partition of ``usage.events`` up to where all is rated and where it ends; None where the broker
        does not answer."""
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
        ends = _offsets(admin, places, _OFFSET_SPEC.latest())
        asked = admin.list_consumer_group_offsets(
            [ConsumerGroupTopicPartitions(self._group, places)], request_timeout=_ANSWER_SECONDS
        )
        rated = {at.partition: max(at.offset, 0) for at in asked[self._group].result().topic_partitions or ()}
        behind = [place for place in places if rated.get(place.partition, 0) < ends[place.partition]]
        starts = _offsets(admin, behind, _OFFSET_SPEC.earliest())  # what retention has removed waits for nobody
        self.overtaken = frozenset(number for number, start in starts.items() if start > rated.get(number, 0))
        return {number: (max(rated.get(number, 0), starts.get(number, 0)), end) for number, end in ends.items()}


def _offsets(admin: AdminClient, places: Sequence[TopicPartition], spec: Any) -> dict[int, int]:
    found = admin.list_offsets(dict.fromkeys(places, spec), request_timeout=_ANSWER_SECONDS) if places else {}
    return {at.partition: future.result().offset for at, future in found.items()}
