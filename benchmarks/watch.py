"""How fast does a process work, seen from outside? Its output is watched as it grows; starting up does not count."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import orjson
from confluent_kafka import OFFSET_END, Consumer, TopicPartition

from spendgauge.schemas import KafkaSettings, SystemClock
from spendgauge.schemas.kafka import client_options

__all__ = ["Pace", "RatedEvents", "watch"]

_clock: Final = SystemClock()


@dataclass(frozen=True)
class Pace:
    """How many were done in how long, between the first output and the last."""

    events: int
    seconds: float

    @property
    def per_second(self) -> float:
        """Events a second."""
        return self.events / self.seconds


def watch(done: Callable[[], int], *, events: int, every_seconds: float, limit_seconds: float = 300) -> Pace:
    """Ask how many are done until all ``events`` are; measure from the first answer that is not zero.

    Raises ``TimeoutError`` where they are not all done within ``limit_seconds``.
    """
    deadline = _clock.monotonic() + limit_seconds
    first: tuple[int, float] | None = None
    while True:
        count, now = done(), _clock.monotonic()
        if count and first is None:
            first = count, now
        if first and count >= events:
            if count == first[0]:
                raise RuntimeError("all was done at once: measure more events")
            return Pace(count - first[0], now - first[1])
        if now > deadline:
            raise TimeoutError(f"{count} of {events} events were done within {limit_seconds} s")
        _clock.sleep(every_seconds)


class RatedEvents:
    """Counts the events that contributions of the series ``total`` hold, from now on."""

    def __init__(self, settings: KafkaSettings) -> None:
        """Listen to ``cost.rates``, what was written before now left out."""
        topic = settings.topics.rates
        self._since_ms = _clock.now_ms()
        self._consumer = Consumer(client_options(settings) | {"group.id": "watch", "enable.auto.commit": False})
        partitions = self._consumer.list_topics(topic, timeout=10).topics[topic].partitions
        # The embedded broker takes the start of the last batch for the end of the log, hence the time as well.
        self._consumer.assign([TopicPartition(topic, partition, OFFSET_END) for partition in partitions])
        self._latest: dict[tuple[Any, ...], tuple[int, int]] = {}

    def __call__(self) -> int:
        """Read what has come; return the number of events so far."""
        for line in self._lines():
            total = orjson.loads(line)
            key = (total["stream"], total["partition"], total["block"], total["pane_start"])
            self._latest[key] = max(self._latest.get(key, (-1, 0)), (total["version"], total["requests"]))
        return sum(requests for _, requests in self._latest.values())

    def close(self) -> None:
        """Stop listening."""
        self._consumer.close()

    def _lines(self) -> Iterator[bytes]:
        while messages := self._consumer.consume(1000, timeout=0.02):
            for message in messages:
                value = message.value() or b""
                if b'"series":"total"' in value and message.timestamp()[1] >= self._since_ms:
                    yield from (line for line in value.split(b"\n") if b'"series":"total"' in line)
