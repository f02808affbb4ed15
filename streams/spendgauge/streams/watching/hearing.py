"""What is on ``cost.alerts`` already? Followed without a group, from its beginning: what is up, and what was said.

An alert's step is said once: whoever takes over asks here whether what was kept was sent. What others have raised is
told to the judges, for it may be the parent of what they raise.
"""

from collections.abc import Iterable
from typing import Final

import structlog
from confluent_kafka import Consumer, KafkaError, Message, TopicPartition
from pydantic import ValidationError

from spendgauge.schemas.alerts import Alert
from spendgauge.schemas.errors import UnavailableError
from spendgauge.schemas.kafka import reader_options
from spendgauge.schemas.settings import KafkaSettings

__all__ = ["Hearing", "Said", "said"]

Said = tuple[str, str, str]
"""What makes a step the same one: the alert's id, its state and its severity."""

_AT_ONCE: Final = 1_000
_POLL_SECONDS: Final = 0.05
_SILENT_SECONDS: Final = 5.0

_log = structlog.get_logger(__name__)

_OPTIONS: Final = {
    "auto.offset.reset": "earliest",
    "fetch.wait.max.ms": 50,
    "log_level": 0,
}


def said(alert: Alert) -> Said:
    """Name an alert's step."""
    return alert.alert_id, alert.state, alert.severity


class Hearing:
    """Follows ``cost.alerts``; for one thread at a time."""

    def __init__(self, settings: KafkaSettings, *, partitions: int) -> None:
        """``partitions``: how many the topic has."""
        self._settings = settings
        self._topic = settings.topics.alerts
        self._next = dict.fromkeys(range(partitions), 0)
        self._known: set[Said] = set()
        self._heard: list[Alert] = []
        self._consumer = Consumer(reader_options(settings, "hearing", **_OPTIONS))
        self._assign()

    def knows(self, alert: Alert) -> bool:
        """Say whether this step was heard of."""
        return said(alert) in self._known

    def learn(self, alerts: Iterable[Alert]) -> None:
        """Remember what this process has sent itself."""
        self._known.update(map(said, alerts))

    def listen(self) -> list[Alert]:
        """Take what has come since the last time; waits for nothing."""
        self._take(self._consumer.consume(_AT_ONCE, 0))
        heard, self._heard = self._heard, []
        return heard

    def catch_up(self) -> None:
        """Read on up to where the topic ends now.

        Raises ``UnavailableError`` where the broker does not give it.
        """
        self._assign()  # the ends that it tells of from now on are those of now
        unread = set(self._next)
        silent_seconds = 0.0
        while unread:
            messages = self._consumer.consume(_AT_ONCE, _POLL_SECONDS)
            silent_seconds = 0.0 if messages else silent_seconds + _POLL_SECONDS
            if silent_seconds >= _SILENT_SECONDS:
                raise UnavailableError(f"topic {self._topic} cannot be read at {self._settings.kafka}; it is silent")
            unread -= self._take(messages)

    def close(self) -> None:
        """Leave the topic."""
        self._consumer.close()

    def _assign(self) -> None:
        self._consumer.assign([TopicPartition(self._topic, number, at) for number, at in self._next.items()])

    def _take(self, messages: Iterable[Message]) -> set[int]:
        """Read messages; say which partitions end there."""
        found: list[Alert] = []
        ended = set()
        for message in messages:
            number, offset = int(message.partition() or 0), int(message.offset() or 0)
            error = message.error()
            if error is None:
                self._next[number] = offset + 1
                found += _alerts(message.value() or b"")
            elif error.code() == KafkaError._PARTITION_EOF:  # others mend themselves, or are silence
                ended.add(number)
        self.learn(found)
        self._heard += found
        return ended


def _alerts(value: bytes) -> list[Alert]:
    """Read a record's lines; what is no alert was written by another version."""
    found = []
    for line in value.split(b"\n"):
        try:
            found.append(Alert.model_validate_json(line))
        except ValidationError:
            continue
    return found
