"""A load of usage events whose books are known: what was sent, and what the rates must come to."""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any
from uuid import UUID

from confluent_kafka import Consumer, Producer, TopicPartition

from spendgauge.schemas import DEFAULT_SERIES, LEAVES, MEASURES, KafkaSettings, UsageEvent
from spendgauge.schemas.money import PICODOLLARS_PER_USD
from spendgauge.schemas.prices import PriceBook

__all__ = ["Load", "Totals", "read_rates", "read_topic"]

Totals = dict[tuple[str, tuple[str, ...], int], tuple[int, ...]]
"""Series, key and pane start to the sums of ``MEASURES``."""

_MODELS = (
    ("anthropic", "claude-sonnet-4-5"),
    ("anthropic", "claude-haiku-4-5"),
    ("openai", "gpt-4o"),
    ("openai", "gpt-4o-mini"),
    ("nobody", "unheard-of-1"),
)


@dataclass(frozen=True)
class _Shape:
    """What repeats among events: what was called, and what it used and cost."""

    fields: str
    provider: str
    model: str
    measures: tuple[int, ...]


@dataclass
class Load:
    """Events drawn from a seed, written as lines, and added up the plain way while they are drawn."""

    seed: int
    start_ms: int
    sources: int = 8
    users: int = 2_000
    totals: dict[tuple[str, tuple[str, ...], int], list[int]] = field(
        default_factory=lambda: defaultdict(lambda: [0] * len(MEASURES))
    )
    sent: int = 0

    def __post_init__(self) -> None:
        self._random = Random(self.seed)
        book = PriceBook.load()
        self._shapes = [_shape(self._random, self.start_ms, book) for _ in range(300)]
        self._next_seq = [0] * self.sources

    def lines(self, count: int, *, spread_ms: int) -> Iterator[tuple[str, bytes]]:
        """Draw events with times in [start, start + spread): pairs of source and line."""
        draw = self._random
        for _ in range(count):
            shape = draw.choice(self._shapes)
            number = draw.randrange(self.sources)
            user = draw.randrange(self.users)
            at_ms = self.start_ms + draw.randrange(spread_ms)
            where = {
                "environment": ("prod", "dev")[user % 2],
                "tenant": f"tenant-{user % 20}",
                "team": f"team-{user % 5}",
                "service": f"service-{number % 3}",
                "feature": ("chat", "search", 'sum "m"', "")[user % 4],
                "agent": f"agent-{user % 3}",
                "user_id": f"user-{user}",
                "session_id": f"session-{user}-{at_ms // 60_000}",
                "api_key_id": f"key-{user % 50}",
            }
            source = f"service-{number}#0"
            yield source, self._line(shape, where, source, self._next_seq[number], at_ms)
            self._next_seq[number] += 1
            self._book(shape, where, at_ms)

    def _line(self, shape: _Shape, where: dict[str, str], source: str, seq: int, at_ms: int) -> bytes:
        event_id = UUID(int=self._random.getrandbits(128), version=4)
        names = json.dumps(where, separators=(",", ":"))
        return (
            f'{{"event_id":"{event_id}","source":"{source}","seq":{seq},"occurred_at":"{_rfc3339(at_ms)}",'
            f"{shape.fields},{names[1:]}"
        ).encode()

    def _book(self, shape: _Shape, where: dict[str, str], at_ms: int) -> None:
        self.sent += 1
        values = where | {"provider": shape.provider, "model": shape.model}
        for spec in DEFAULT_SERIES:
            pane = at_ms // 1000 // spec.pane_seconds * spec.pane_seconds
            total = self.totals[spec.name, tuple([values[d] for d in spec.dimensions]), pane]
            for place, value in enumerate(shape.measures):
                total[place] += value

    def expected(self) -> Totals:
        """Say what the rates must come to."""
        return {key: tuple(total) for key, total in self.totals.items()}


def send(
    settings: KafkaSettings, lines: Iterable[tuple[str, bytes]], *, per_record: Sequence[int], seed: int = 0
) -> int:
    """Write lines to ``usage.events``, keyed by source, so many to a record (drawn from ``per_record``).

    Returns how many records that took. The order within a source is kept.
    """
    draw = Random(seed)
    producer = Producer(
        {
            "bootstrap.servers": settings.kafka,
            "partitioner": "murmur2_random",
            "linger.ms": 20,
            "compression.type": "lz4",
            "enable.idempotence": True,
            "queue.buffering.max.messages": 1_000_000,
        }
    )
    waiting: dict[str, list[bytes]] = defaultdict(list)
    wanted: dict[str, int] = defaultdict(lambda: draw.choice(per_record))
    records = 0

    def flush(source: str) -> None:
        producer.produce(settings.topics.usage, b"\n".join(waiting.pop(source)), source.encode())
        producer.poll(0)
        wanted.pop(source)

    for source, line in lines:
        waiting[source].append(line)
        if len(waiting[source]) >= wanted[source]:
            flush(source)
            records += 1
    for source in list(waiting):
        flush(source)
        records += 1
    assert producer.flush(30) == 0
    return records


def read_topic(settings: KafkaSettings, topic: str, *, quiet_seconds: float = 1.5) -> list[bytes]:
    """Read the values of all records of a topic, until none has come for a while."""
    consumer = Consumer(
        {
            "bootstrap.servers": settings.kafka,
            "group.id": "tests-never-commit",
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            "fetch.message.max.bytes": 8_000_000,
        }
    )
    partitions = consumer.list_topics(topic, timeout=10).topics[topic].partitions
    consumer.assign([TopicPartition(topic, number, 0) for number in partitions])
    values: list[bytes] = []
    while found := consumer.consume(500, timeout=quiet_seconds):
        values += [message.value() or b"" for message in found if message.error() is None]
    consumer.close()
    return values


def read_rates(settings: KafkaSettings) -> Totals:
    """Read ``cost.rates`` and add up the highest versions."""
    return add_up(
        json.loads(line) for value in read_topic(settings, settings.topics.rates) for line in value.split(b"\n")
    )


def add_up(contributions: Iterable[dict[str, Any]]) -> Totals:
    """Keep each block's highest version of each total, and add up the blocks."""
    highest: dict[tuple[Any, ...], dict[str, Any]] = {}
    for one in contributions:
        name = (one["series"], tuple(one["key"]), one["pane_start"], one["stream"], one["partition"], one["block"])
        if name not in highest or highest[name]["version"] < one["version"]:
            highest[name] = one
    totals: dict[tuple[str, tuple[str, ...], int], list[int]] = defaultdict(lambda: [0] * len(MEASURES))
    for (series, key, pane_start, *_), one in highest.items():
        total = totals[series, key, pane_start]
        for place, value in enumerate(_measures(one)):
            total[place] += value
    return {key: tuple(total) for key, total in totals.items()}


def _measures(one: dict[str, Any]) -> list[int]:
    whole, fraction = one["cost_usd"].lstrip("-").split(".")
    cost = int(whole) * PICODOLLARS_PER_USD + int(fraction)
    return [*(one[name] for name in MEASURES[:-1]), -cost if one["cost_usd"].startswith("-") else cost]


def _shape(draw: Random, at_ms: int, book: PriceBook) -> _Shape:
    provider, model = draw.choice(_MODELS)
    status = "error" if draw.random() < 0.05 else "ok"
    tokens = {
        "input_tokens": draw.randrange(5_000),
        "cache_read_tokens": draw.randrange(20_000),
        "output_tokens": draw.randrange(500, 2_000),
        "reasoning_tokens": draw.randrange(500),
    }
    fields = {"provider": provider, "model": model, "status": status, "latency_ms": draw.randrange(9_000), **tokens}
    event = UsageEvent.model_validate_json(
        json.dumps({"event_id": str(UUID(int=1)), "occurred_at": _rfc3339(at_ms), **fields})
    )
    cost = book.price_event(event)
    measures = (1, int(status == "error"), int(cost is None), *(tokens.get(leaf, 0) for leaf in LEAVES))
    text = json.dumps(fields, separators=(",", ":"))[1:-1]
    return _Shape(text, provider, model, (*measures, tokens["reasoning_tokens"], cost or 0))


def _rfc3339(at_ms: int) -> str:
    from datetime import UTC, datetime

    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
