"""How fast can a plain loop do the same work? ``python -m benchmarks.bare``: librdkafka, orjson and a dictionary.

``drain`` only receives. ``one`` adds up one series: decode, price from a table, one key and pane. ``all`` adds up the
same series and measures as the rates worker. None of them validates, finds duplicates, publishes or survives a crash.
"""

import argparse
import json
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any, Final
from uuid import UUID

import orjson
from confluent_kafka import Consumer, Message, TopicPartition

from benchmarks.watch import Pace
from spendgauge.schemas import DEFAULT_SERIES, LEAVES, KafkaSettings, UsageEvent
from spendgauge.schemas.kafka import client_options
from spendgauge.schemas.prices import PriceBook

__all__ = ["consume", "main"]

_MEASURES: Final = (*LEAVES, "reasoning_tokens")
_SAMPLE: Final = 1_000_000


class Prices:
    """Picodollars per token of each leaf, looked up once a model: flat prices, as a loop by hand would have."""

    def __init__(self) -> None:
        self._book = PriceBook.load()
        self._known: dict[tuple[str, str], tuple[int, ...]] = {}

    def cost(self, event: dict[str, Any]) -> int:
        """Price a decoded event."""
        model = (event["provider"], event["model"])
        prices = self._known.get(model)
        if prices is None:
            prices = self._known[model] = tuple(self._unit(*model, leaf) for leaf in LEAVES)
        return sum(event.get(leaf, 0) * price for leaf, price in zip(LEAVES, prices, strict=True))

    def _unit(self, provider: str, model: str, leaf: str) -> int:
        named = {"event_id": str(UUID(int=1)), "occurred_at": "2026-01-01T00:00:00Z"}
        event = UsageEvent.model_validate({**named, "provider": provider, "model": model, leaf: 1000})
        cost = self._book.price_event(event)
        return (cost or 0) // 1000


def consume(settings: KafkaSettings) -> Iterator[list[Message]]:
    """Read ``usage.events`` from its start in batches of records, without end."""
    consumer = Consumer(
        client_options(settings)
        | {"group.id": "bare", "enable.auto.commit": False, "queued.max.messages.kbytes": 65_536}
        | {"fetch.max.bytes": 16_777_216, "max.partition.fetch.bytes": 4_194_304, "check.crcs": False}
    )
    topic = settings.topics.usage
    partitions = consumer.list_topics(topic, timeout=10).topics[topic].partitions
    consumer.assign([TopicPartition(topic, partition, 0) for partition in partitions])
    while True:
        messages = consumer.consume(1_000, timeout=0.1)
        if messages:
            yield messages


def _one(settings: KafkaSettings) -> Iterator[int]:
    prices, totals = Prices(), defaultdict[tuple[str, str], int](int)
    for messages in consume(settings):
        count = 0
        for message in messages:
            for line in (message.value() or b"").split(b"\n"):
                event = orjson.loads(line)
                totals[event.get("feature", ""), event["occurred_at"][:18]] += prices.cost(event)
                count += 1
        yield count


def _all(settings: KafkaSettings) -> Iterator[int]:
    prices = Prices()
    totals: dict[tuple[Any, ...], list[int]] = {}
    series = [(spec.dimensions, 18 if spec.pane_seconds == 10 else 16) for spec in DEFAULT_SERIES]
    for messages in consume(settings):
        count = 0
        for message in messages:
            for line in (message.value() or b"").split(b"\n"):
                event = orjson.loads(line)
                count += 1
                get = event.get
                row = [1, get("status", "ok") == "error", 0, *(get(name, 0) for name in _MEASURES), prices.cost(event)]
                for dimensions, digits in series:
                    key = (dimensions, event["occurred_at"][:digits], *(get(name, "") for name in dimensions))
                    total = totals.get(key)
                    if total is None:
                        totals[key] = row[:]
                    else:
                        for index, value in enumerate(row):
                            if value:
                                total[index] += value
        yield count


def _drain(settings: KafkaSettings) -> Iterator[int]:
    for messages in consume(settings):
        yield sum((message.value() or b"").count(b"\n") + 1 for message in messages)


LOOPS: Final = {"drain": _drain, "one": _one, "all": _all}


def main() -> int:
    """Run one loop until all events are counted; print how many came after the first batch, and in which time."""
    parser = argparse.ArgumentParser()
    parser.add_argument("loop", choices=LOOPS)
    parser.add_argument("--kafka", required=True)
    parser.add_argument("--prefix", required=True)
    parser.add_argument("--events", type=int, required=True)
    given = parser.parse_args()
    settings = KafkaSettings(kafka=given.kafka, topic_prefix=given.prefix)
    counts = LOOPS[given.loop](settings)
    first = done = next(counts)
    started, used = time.perf_counter(), time.process_time()
    while done < given.events:
        done += next(counts)
    pace = Pace(done - first, time.perf_counter() - started, time.process_time() - used)
    print(json.dumps(asdict(pace)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
