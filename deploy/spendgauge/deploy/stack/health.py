"""Do broker, database and consumers do their work? Asked from outside, as a client would."""

import http.client
from collections.abc import Iterable
from typing import Any, Final
from urllib.parse import urlsplit

from confluent_kafka import ConsumerGroupState, ConsumerGroupTopicPartitions, KafkaException, TopicPartition
from confluent_kafka import admin as kafka_admin
from confluent_kafka.admin import AdminClient

from spendgauge.schemas import KafkaSettings, UnavailableError
from spendgauge.schemas.kafka import connect_admin, read_ends

__all__ = ["KafkaWatch", "http_answers"]

_ANSWER_SECONDS: Final = 5.0
_OFFSET_SPEC: Final[Any] = getattr(kafka_admin, "OffsetSpec")  # noqa: B009, it is public, but its types are not


class KafkaWatch:
    """Watches one broker with one client."""

    def __init__(self, settings: KafkaSettings) -> None:
        """Watch the broker at ``settings``; nothing is asked yet."""
        self._settings = settings
        self._admin: AdminClient | None = None

    def answers(self, *, timeout_seconds: float = _ANSWER_SECONDS) -> bool:
        """Whether the broker answers."""
        try:
            self._client(timeout_seconds).list_topics(timeout=timeout_seconds)
        except (KafkaException, UnavailableError):
            return False
        return True

    def is_joined(self, group: str) -> bool:
        """Whether a consumer group has members and has shared out the partitions."""
        try:
            described = self._client().describe_consumer_groups([group], request_timeout=_ANSWER_SECONDS)
            return bool(described[group].result().state == ConsumerGroupState.STABLE)
        except (KafkaException, UnavailableError):
            return False

    def lag(self, group: str, topics: Iterable[str], *, exact: bool = True) -> int | None:
        """Count the records in these topics that the group has not committed; None where that cannot be known.

        ``exact`` False asks less of the broker, and may miss most of each partition's last batch (see ``read_ends``).
        """
        try:
            return self._lag(self._client(), group, list(topics), exact=exact)
        except (KafkaException, UnavailableError, KeyError):
            return None

    def forget(self) -> None:
        """Drop the client: the broker that it knows is gone."""
        self._admin = None

    def _client(self, timeout_seconds: float = _ANSWER_SECONDS) -> AdminClient:
        if self._admin is None:
            self._admin = connect_admin(self._settings, timeout_seconds=timeout_seconds)
        return self._admin

    def _lag(self, admin: AdminClient, group: str, topics: list[str], *, exact: bool) -> int:
        known = admin.list_topics(timeout=_ANSWER_SECONDS).topics
        partitions = [TopicPartition(topic, number) for topic in topics for number in known[topic].partitions]
        starts = _offsets(admin, partitions, "earliest")
        ends = _offsets(admin, partitions, "latest")
        asked = admin.list_consumer_group_offsets(
            [ConsumerGroupTopicPartitions(group, partitions)], request_timeout=_ANSWER_SECONDS
        )
        positions = {(at.topic, at.partition): at.offset for at in asked[group].result().topic_partitions}
        if exact:
            ends = read_ends(self._settings, {at: end for at, end in ends.items() if end > starts[at]})
        return sum(max(end - max(positions.get(at, -1), starts[at]), 0) for at, end in ends.items())


def http_answers(url: str, path: str, *, timeout_seconds: float = _ANSWER_SECONDS) -> bool:
    """Whether the server at an ``http(s)://`` address answers a path with 200; ClickHouse has ``/ping``."""
    parts = urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=timeout_seconds)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _offsets(admin: AdminClient, partitions: list[TopicPartition], which: str) -> dict[tuple[str, int], int]:
    spec = getattr(_OFFSET_SPEC, which)()
    asked = admin.list_offsets(dict.fromkeys(partitions, spec), request_timeout=_ANSWER_SECONDS)
    return {(at.topic, at.partition): future.result().offset for at, future in asked.items()}
