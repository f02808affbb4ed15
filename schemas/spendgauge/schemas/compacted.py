"""What does a compacted topic hold? The last value of each key, read whole, to the end, without a group."""

from typing import Final

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Message, TopicPartition

from spendgauge.schemas.errors import UnavailableError
from spendgauge.schemas.kafka import connect_admin, reader_options
from spendgauge.schemas.settings import KafkaSettings

__all__ = ["read_compacted"]

_TIMEOUT_SECONDS: Final = 10.0
_POLL_SECONDS: Final = 0.05
"""``consume`` waits so long for more, also when all is there."""


def read_compacted(
    settings: KafkaSettings, topic: str, *, timeout_seconds: float = _TIMEOUT_SECONDS
) -> dict[bytes, bytes]:
    """Read all partitions to where they end now; keys in the order in which they were last written.

    Raises ``UnavailableError`` where the broker does not answer for ``timeout_seconds``, or the topic is missing.
    """
    found = connect_admin(settings, timeout_seconds=timeout_seconds).list_topics(timeout=timeout_seconds).topics
    if topic not in found:
        raise UnavailableError(
            f"topic {topic} does not exist at {settings.kafka}; create the topics with `spendgauge topics create`"
        )
    consumer = Consumer(reader_options(settings, "compacted", **{"fetch.wait.max.ms": 20}))
    places = [TopicPartition(topic, number, OFFSET_BEGINNING) for number in found[topic].partitions]
    try:
        consumer.assign(places)
        return _read_to_the_ends(consumer, settings, topic, partitions=len(places))
    except KafkaException as error:
        raise UnavailableError(f"topic {topic} cannot be read at {settings.kafka}: {error.args[0].str()}") from None
    finally:
        consumer.close()


def _read_to_the_ends(
    consumer: Consumer, settings: KafkaSettings, topic: str, *, partitions: int
) -> dict[bytes, bytes]:
    last: dict[bytes, bytes] = {}
    ended: set[int | None] = set()
    silent_seconds = 0.0
    while len(ended) < partitions:
        messages = consumer.consume(500, _POLL_SECONDS)
        silent_seconds = 0.0 if messages else silent_seconds + _POLL_SECONDS
        if silent_seconds >= _TIMEOUT_SECONDS:
            raise UnavailableError(f"the broker at {settings.kafka} does not tell where topic {topic} ends")
        for message in messages:
            error = message.error()
            if error is None:
                _keep(last, message)
            elif error.code() == KafkaError._PARTITION_EOF:
                ended.add(message.partition())
            else:
                raise UnavailableError(f"topic {topic} cannot be read at {settings.kafka}: {error.str()}")
    return last


def _keep(last: dict[bytes, bytes], message: Message) -> None:
    key, value = message.key(), message.value()
    if not isinstance(key, bytes):
        return
    last.pop(key, None)
    if value is not None:
        last[key] = value
