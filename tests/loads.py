"""A load of usage events whose books are known: what was sent, and what the rates must come to."""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from random import Random
from typing import Any, Self
from uuid import UUID

import orjson
from confluent_kafka import Consumer, Producer, TopicPartition

from spendgauge.schemas import DEFAULT_SERIES, LEAVES, MEASURES, KafkaSettings, UsageEvent
from spendgauge.schemas.money import PICODOLLARS_PER_USD
from spendgauge.schemas.prices import PriceBook

__all__ = ["Followed", "FollowedRates", "Load", "Totals", "add_up", "differences", "send"]

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


class Followed:
    """What has come to a topic, read on with every question."""

    def __init__(self, settings: KafkaSettings, topic: str) -> None:
        self._consumer = Consumer(
            {
                "bootstrap.servers": settings.kafka,
                "group.id": "tests-never-commit",
                "enable.auto.commit": False,
                "fetch.message.max.bytes": 8_000_000,
                "fetch.wait.max.ms": 50,
                "log_level": 0,
            }
        )
        partitions = self._consumer.list_topics(topic, timeout=10).topics[topic].partitions
        self._consumer.assign([TopicPartition(topic, number, 0) for number in partitions])

    def __enter__(self) -> Self:
        """Read until the block ends."""
        return self

    def __exit__(self, *_: object) -> None:
        """Leave the topic."""
        self._consumer.close()

    def lines(self, *, quiet_seconds: float = 1.0) -> list[dict[str, Any]]:
        """Read the lines that have come since the last question, until none comes for a while."""
        lines: list[dict[str, Any]] = []
        while found := self._consumer.consume(500, timeout=quiet_seconds):
            values = [message.value() or b"" for message in found if message.error() is None]
            lines += [orjson.loads(line) for value in values for line in value.split(b"\n")]
        return lines


class FollowedRates(Followed):
    """``cost.rates``, of which the highest versions are kept."""

    def __init__(self, settings: KafkaSettings) -> None:
        super().__init__(settings, settings.topics.rates)
        self._highest: dict[tuple[Any, ...], dict[str, Any]] = {}

    def read(self, *, quiet_seconds: float = 1.0) -> int:
        """Read on; say how many requests the highest versions come to."""
        _keep_highest(self._highest, self.lines(quiet_seconds=quiet_seconds))
        return sum(one["requests"] for one in self._highest.values() if one["series"] == "total")

    def totals(self) -> Totals:
        """Add up the highest versions."""
        return _sums(self._highest)


def add_up(contributions: Iterable[dict[str, Any]]) -> Totals:
    """Keep each block's highest version of each total, and add up the blocks."""
    highest: dict[tuple[Any, ...], dict[str, Any]] = {}
    _keep_highest(highest, contributions)
    return _sums(highest)


def differences(expected: Totals, found: Totals) -> dict[object, object]:
    """Show three totals that differ, as expected and as found, and how many there are; nothing where all agree."""
    names = sorted(name for name in {*expected, *found} if expected.get(name) != found.get(name))
    shown: dict[object, object] = {name: (expected.get(name), found.get(name)) for name in names[:3]}
    return shown | ({"totals that differ": len(names), "of": len(expected)} if names else {})


def _keep_highest(highest: dict[tuple[Any, ...], dict[str, Any]], contributions: Iterable[dict[str, Any]]) -> None:
    for one in contributions:
        name = (one["series"], tuple(one["key"]), one["pane_start"], one["stream"], one["partition"], one["block"])
        if name not in highest or _precedence(highest[name]) < _precedence(one):
            highest[name] = one


def _precedence(one: dict[str, Any]) -> tuple[int, int]:
    return one["edition"], one["version"]


def _sums(highest: dict[tuple[Any, ...], dict[str, Any]]) -> Totals:
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
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
