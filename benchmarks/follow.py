"""What have workers written to ``cost.rates`` since we began to look? The highest versions of each total, kept."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import orjson
from confluent_kafka import OFFSET_END, Consumer, TopicPartition

from benchmarks.answers import Answer
from benchmarks.contestants.task import WINDOW_SECONDS
from spendgauge.schemas import KafkaSettings, SystemClock
from spendgauge.schemas.kafka import client_options
from spendgauge.schemas.money import PICODOLLARS_PER_USD

__all__ = ["Contributed", "FollowedRates"]

_clock: Final = SystemClock()
_FRACTION_DIGITS: Final = 12


@dataclass(frozen=True)
class Contributed:
    """The latest of one block's contributions to one total."""

    precedence: tuple[int, int]
    """Edition and version: the higher wins."""
    requests: int
    cost: int
    """In picodollars."""


class FollowedRates:
    """Reads contributions from now on, and keeps those of one series."""

    def __init__(
        self,
        settings: KafkaSettings,
        *,
        series: str = "total",
        others: bool = False,
        seen: Callable[[bytes], None] | None = None,
    ) -> None:
        """Listen to ``cost.rates``, what was written before now left out.

        ``others`` are kept for ``sums`` if asked for; ``seen`` is shown each record's value as it comes.
        """
        topic = settings.topics.rates
        self._since_ms = _clock.now_ms()
        self._consumer = Consumer(client_options(settings) | {"group.id": "watch", "enable.auto.commit": False})
        partitions = self._consumer.list_topics(topic, timeout=10).topics[topic].partitions
        # The embedded broker takes the start of the last batch for the end of the log, hence the time as well.
        self._consumer.assign([TopicPartition(topic, partition, OFFSET_END) for partition in partitions])
        self._seen = seen
        self._mark = f'"series":"{series}"'.encode()
        self._latest: dict[tuple[Any, ...], Contributed] = {}
        self._others: list[bytes] | None = [] if others else None
        self.lines = 0

    def __call__(self) -> int:
        """Read what has come; return the number of events that the series' contributions hold so far."""
        for value in self._values():
            if self._seen is not None:
                self._seen(value)
            lines = value.split(b"\n")
            self.lines += len(lines)
            _keep(self._latest, [line for line in lines if self._mark in line])
            if self._others is not None:
                self._others += [line for line in lines if self._mark not in line]
        return sum(one.requests for one in self._latest.values())

    def answer(self) -> Answer:
        """Say what the series came to, by key and minute; its key must be one name."""
        keys, costs = Counter[str](), Counter[tuple[str, int]]()
        for (_, (key, *_), pane, *_), one in self._latest.items():
            keys[key] += one.requests
            costs[key, pane // WINDOW_SECONDS * WINDOW_SECONDS] += one.cost
        return Answer(keys, costs)

    def sums(self) -> dict[str, tuple[int, int]]:
        """Add up each series that was kept: events and picodollars, which must be the same for all."""
        latest = dict(self._latest)
        _keep(latest, self._others or ())
        requests, costs = Counter[str](), Counter[str]()
        for (series, *_), one in latest.items():
            requests[series] += one.requests
            costs[series] += one.cost
        return {series: (count, costs[series]) for series, count in requests.items()}

    def close(self) -> None:
        """Stop listening."""
        self._consumer.close()

    def _values(self) -> Iterator[bytes]:
        while messages := self._consumer.consume(1000, timeout=0.02):
            for message in messages:
                if message.error() is None and message.timestamp()[1] >= self._since_ms:
                    yield message.value() or b""


def _keep(latest: dict[tuple[Any, ...], Contributed], lines: Iterable[bytes]) -> None:
    for line in lines:
        said = orjson.loads(line)
        place = (said["stream"], said["partition"], said["block"])
        at = (said["series"], tuple(said["key"]), said["pane_start"], *place)
        precedence = (said.get("edition", 0), said["version"])
        known = latest.get(at)
        if known is None or known.precedence < precedence:
            latest[at] = Contributed(precedence, said["requests"], _picodollars(said["cost_usd"]))


def _picodollars(usd: str) -> int:
    whole, _, fraction = usd.removeprefix("-").partition(".")
    size = int(whole) * PICODOLLARS_PER_USD + int(fraction.ljust(_FRACTION_DIGITS, "0"))
    return -size if usd.startswith("-") else size
