"""How fast can a plain loop do it? ``drain`` only receives; ``one`` and ``all`` decode with orjson, add up in a dict.

``one`` adds up the costs by tenant and minute, as every contestant does. ``all`` adds up the same series and measures
as the whole rates worker. None of them validates, finds duplicates, publishes or survives a crash.
"""

import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any, Final

import orjson
from confluent_kafka import Consumer, Message, TopicPartition

from benchmarks.contestants.task import WINDOW_SECONDS, Stopwatch, Task, answer

__all__ = ["consume", "main"]

_SERIES: Final = (
    ((), 18),
    (("environment",), 18),
    (("tenant",), 18),
    (("team",), 18),
    (("provider", "model"), 18),
    (("service",), 18),
    (("feature",), 18),
    (("agent",), 18),
    (("feature", "model"), 18),
    (("user_id",), 16),
    (("session_id",), 16),
    (("api_key_id",), 16),
)
"""Dimensions, and how many characters of a time name the pane: 18 for ten seconds, 16 for a minute."""

_MEASURES: Final = (
    "input_tokens",
    "cache_read_tokens",
    "cache_write_5m_tokens",
    "cache_write_1h_tokens",
    "output_tokens",
    "input_audio_tokens",
    "output_audio_tokens",
    "web_search_requests",
    "reasoning_tokens",
)
"""Written out, and compared by a test: to import them from our code would count its memory as the loop's."""

Costs = dict[tuple[str, int], int]


def consume(kafka: str, topic: str) -> Iterator[list[Message]]:
    """Read a topic from its start in batches of records, without end."""
    consumer = Consumer(
        {"bootstrap.servers": kafka, "group.id": "bare", "enable.auto.commit": False, "check.crcs": False}
        | {"queued.max.messages.kbytes": 65_536, "fetch.max.bytes": 16_777_216}
        | {"max.partition.fetch.bytes": 4_194_304, "log_level": 3}
    )
    partitions = consumer.list_topics(topic, timeout=10).topics[topic].partitions
    consumer.assign([TopicPartition(topic, partition, 0) for partition in partitions])
    while True:
        messages = consumer.consume(1_000, timeout=0.1)
        if messages:
            yield messages


def _drain(task: Task, watch: Stopwatch) -> Costs:
    for messages in consume(task.kafka, task.topic):
        watch.begin()
        values = [message.value() or b"" for message in messages]
        watch.events += sum([value.count(b"\n") + 1 for value in values])
        watch.size += sum(map(len, values))
        if watch.events >= task.events:
            return {}
    raise AssertionError("a consumer never ends")


def _one(task: Task, watch: Stopwatch) -> Costs:
    cost, totals = task.prices.cost, defaultdict[tuple[str, str], int](int)
    for messages in consume(task.kafka, task.topic):
        watch.begin()
        for message in messages:
            for line in (message.value() or b"").split(b"\n"):
                event = orjson.loads(line)
                tenant = event["tenant"]
                totals[tenant, event["occurred_at"][:16]] += cost(event)
                watch.keys[tenant] += 1
                watch.events += 1
        if watch.events >= task.events:
            break
    return {(tenant, _seconds(minute)): total for (tenant, minute), total in totals.items()}


def _all(task: Task, watch: Stopwatch) -> Costs:
    cost = task.prices.cost
    totals: dict[tuple[Any, ...], list[int]] = {}
    for messages in consume(task.kafka, task.topic):
        watch.begin()
        for message in messages:
            for line in (message.value() or b"").split(b"\n"):
                event = orjson.loads(line)
                get = event.get
                failed = get("status", "ok") == "error"
                row = [1, failed, 0, *[get(name, 0) for name in _MEASURES], cost(event)]
                for dimensions, digits in _SERIES:
                    key = (dimensions, event["occurred_at"][:digits], *[get(name, "") for name in dimensions])
                    total = totals.get(key)
                    if total is None:
                        totals[key] = row[:]
                    else:
                        for index, value in enumerate(row):
                            if value:
                                total[index] += value
                watch.keys[event["tenant"]] += 1
                watch.events += 1
        if watch.events >= task.events:
            break
    return _by_minute(totals)


def _by_minute(totals: dict[tuple[Any, ...], list[int]]) -> Costs:
    """Add the tenants' panes of ten seconds up to windows of a minute."""
    costs = defaultdict[tuple[str, int], int](int)
    for (dimensions, pane, *names), total in totals.items():
        if dimensions == ("tenant",):
            costs[names[0], _seconds(pane[:16])] += total[-1]
    return costs


def _seconds(minute: str) -> int:
    start = datetime.fromisoformat(f"{minute}:00+00:00")
    return int(start.timestamp()) // WINDOW_SECONDS * WINDOW_SECONDS


_LOOPS: Final[dict[str, Callable[[Task, Stopwatch], Costs]]] = {"drain": _drain, "one": _one, "all": _all}


def main() -> int:
    """Run one loop until all events are counted."""
    task, watch = Task(*_LOOPS), Stopwatch()
    costs = _LOOPS[task.way](task, watch)
    watch.end()
    answer(watch, costs)
    return 0


if __name__ == "__main__":
    sys.exit(main())
