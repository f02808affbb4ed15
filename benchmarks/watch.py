"""How fast does a process work, seen from outside? Its output is watched as it grows; starting up does not count."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson
from confluent_kafka import OFFSET_END, Consumer, TopicPartition

from spendgauge.schemas import KafkaSettings, SystemClock
from spendgauge.schemas.kafka import client_options

__all__ = ["Pace", "RatedEvents", "cpu_seconds", "peak_megabytes", "watch"]

_clock: Final = SystemClock()
_EVERY_SECONDS: Final = 0.05


@dataclass(frozen=True)
class Pace:
    """How many were done in how long, between the first output and the last, and at what cost."""

    events: int
    seconds: float
    cpu_seconds: float
    """What the process itself took of its processor; steadier than the time on the wall where others want it too."""

    @property
    def per_second(self) -> float:
        """Events a second."""
        return self.events / self.seconds

    @property
    def per_cpu_second(self) -> float:
        """Events a second of the processor's time."""
        return self.events / self.cpu_seconds


def watch(done: Callable[[], int], *, process: int, events: int, limit_seconds: float = 300) -> Pace:
    """Ask how many are done until all ``events`` are; measure from the first answer that is not zero.

    Raises ``TimeoutError`` where they are not all done within ``limit_seconds``.
    """
    deadline = _clock.monotonic() + limit_seconds
    first: tuple[int, float, float] | None = None
    while True:
        count, now, used = done(), _clock.monotonic(), cpu_seconds(process)
        if count and first is None:
            first = count, now, used
        if first and count >= events:
            if count == first[0]:
                raise RuntimeError("all was done at once: measure more events")
            return Pace(count - first[0], now - first[1], used - first[2])
        if now > deadline:
            raise TimeoutError(f"{count} of {events} events were done within {limit_seconds} s")
        _clock.sleep(_EVERY_SECONDS)


def cpu_seconds(process: int) -> float:
    """Read how much processor time a process has used."""
    fields = Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def peak_megabytes(process: int) -> float:
    """Read how much memory a process has held at most."""
    status = Path(f"/proc/{process}/status").read_text(encoding="utf-8")
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


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
