"""Are the topics there that a worker reads and writes, and with which partitions? What is missing is created."""

from collections.abc import Mapping, Sequence
from typing import Final

from spendgauge.schemas.clock import SystemClock
from spendgauge.schemas.errors import ConfigurationError, UnavailableError
from spendgauge.schemas.kafka import connect_admin, create_topics
from spendgauge.schemas.topics import topic_specs
from spendgauge.streams.settings import MemberSettings

__all__ = ["prepare_topics"]

_ANSWER_SECONDS: Final = 10.0
_ATTEMPTS: Final = 20
_PAUSE_SECONDS: Final = 0.25


def prepare_topics(settings: MemberSettings) -> Mapping[str, int]:
    """Create the topics that are missing, with as many partitions as the usage events have; say how many each has.

    Raises ``UnavailableError`` where the broker does not answer, and ``ConfigurationError`` where ``usage.positions``
    has no partition for some partition of ``usage.events``, or ``cost.watch`` none for one of ``cost.rates``.
    """
    topics = settings.topics
    found = _partitions(settings)
    create_topics(settings, topic_specs(topics, partitions=found.get(topics.usage, settings.partitions)))
    names = [spec.name for spec in topic_specs(topics)]
    found = _once_all_are_there(settings, names)
    for kept, read in ((topics.positions, topics.usage), (topics.watch, topics.rates)):
        if found[kept] < found[read]:
            raise ConfigurationError(
                f"topic {kept} has {found[kept]} partitions and {read} has {found[read]}; "
                "give it as many, with kafka-topics.sh --alter"
            )
    return {name: found[name] for name in names}


def _once_all_are_there(settings: MemberSettings, names: Sequence[str]) -> dict[str, int]:
    """Ask again while the broker that answers has not heard of a topic that was just created."""
    clock = SystemClock()
    for _ in range(_ATTEMPTS):
        found = _partitions(settings)
        missing = [name for name in names if name not in found]
        if not missing:
            return found
        clock.sleep(_PAUSE_SECONDS)
    raise UnavailableError(f"topic {missing[0]} cannot be read at {settings.kafka}; try again")


def _partitions(settings: MemberSettings) -> dict[str, int]:
    """Ask how many partitions the topics have; those that are missing, or cannot be read, are left out."""
    found = connect_admin(settings).list_topics(timeout=_ANSWER_SECONDS).topics
    return {name: len(topic.partitions) for name, topic in found.items() if topic.error is None and topic.partitions}
