"""What is coming in? The lines of a topic, from now or from its start, without being a member of any group."""

import sys
from collections.abc import Iterator
from itertools import islice
from typing import Final

from confluent_kafka import OFFSET_BEGINNING, OFFSET_END, Consumer, KafkaException, TopicPartition

from spendgauge.deploy.pipes import until_enough
from spendgauge.deploy.tail.lines import readable
from spendgauge.schemas import KafkaSettings, UnavailableError
from spendgauge.schemas.kafka import client_options, connect_admin

__all__ = ["follow", "print_topic", "require_topic"]

_TIMEOUT_SECONDS: Final = 5.0
_POLL_SECONDS: Final = 0.5


def print_topic(settings: KafkaSettings, name: str, *, from_start: bool, count: int | None, as_json: bool) -> None:
    """Print what comes on a topic, ``name`` as in ``TopicNames``: for people on a terminal, JSON lines elsewhere.

    Raises ``UnavailableError`` as ``follow`` does.
    """
    as_json = as_json or not sys.stdout.isatty()
    lines = follow(settings, getattr(settings.topics, name), from_start=from_start)
    with until_enough():
        for line in islice(lines, count):
            sys.stdout.write((line.decode(errors="replace") if as_json else readable(name, line)) + "\n")
            sys.stdout.flush()


def require_topic(settings: KafkaSettings, topic: str) -> int:
    """Tell how many partitions a topic has. Raises ``UnavailableError`` where it or the broker is not there."""
    found = connect_admin(settings, timeout_seconds=_TIMEOUT_SECONDS).list_topics(timeout=_TIMEOUT_SECONDS).topics
    if topic not in found:
        raise UnavailableError(
            f"topic {topic} does not exist at {settings.kafka}; create the topics with `spendgauge topics create`"
        )
    return len(found[topic].partitions)


def follow(settings: KafkaSettings, topic: str, *, from_start: bool) -> Iterator[bytes]:
    """Yield the topic's lines for ever, blank ones left out; those of one partition in order.

    Raises ``UnavailableError`` where the topic or the broker is not there.
    """
    offset = OFFSET_BEGINNING if from_start else OFFSET_END
    places = [TopicPartition(topic, number, offset) for number in range(require_topic(settings, topic))]
    options = client_options(settings, **{"group.id": "spendgauge-tail", "enable.auto.commit": False})
    consumer = Consumer(options)
    try:
        consumer.assign(places)
        while True:
            for message in consumer.consume(500, _POLL_SECONDS):
                if error := message.error():
                    raise UnavailableError(f"topic {topic} cannot be read at {settings.kafka}: {error.str()}")
                yield from (line for line in (message.value() or b"").split(b"\n") if line.strip())
    except KafkaException as error:
        raise UnavailableError(f"topic {topic} cannot be read at {settings.kafka}: {error.args[0].str()}") from None
    finally:
        consumer.close()
