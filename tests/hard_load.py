"""What do producers do to us? A load, drawn from a seed, in which everything happens that may happen to events.

Of every hundred events about two are rubbish in place of an event, three rubbish beside one, four repeated at any
later time, two held back and sent late, one never sent. Sources restart under a new boot id, and most of them say
before that they end, some when their last events are lost; some say so and go on. Two of them share one name, foreign
writers have no ``seq``; clocks go wrong by minutes and days. What of it must count is written down while it is drawn
(``meant``).
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from random import Random
from typing import Any, Final, NamedTuple
from uuid import UUID

from confluent_kafka import KafkaError, Producer
from tests.naive import Prices

from spendgauge.schemas import KafkaSettings, SystemClock
from spendgauge.schemas.kafka import client_options

__all__ = ["BOOKS", "HardLoad", "Sender", "Sending", "price_file"]

_MINUTE_MS: Final = 60_000
_DAY_MS: Final = 86_400_000
_WRONG_CLOCKS: Final = (4 * _MINUTE_MS, 6 * _MINUTE_MS, -29 * _DAY_MS, -31 * _DAY_MS)
_REFUSED_CLOCKS: Final = (6 * _MINUTE_MS, -31 * _DAY_MS)
_HEADERS: Final = (("content-type", b"application/x-ndjson"), ("spendgauge-schema", b"spendgauge.usage/1"))
_ALIEN_HEADERS: Final = (("spendgauge-schema", b"somebody.else/9"),)
_PER_RECORD: Final = (1, 1, 1, 2, 12)

BOOKS: Final[tuple[Prices, Prices]] = (
    {
        "big": {"input_tokens": Decimal(3), "cache_read_tokens": Decimal("0.3"), "output_tokens": Decimal("15.000001")},
        "small": {"input_tokens": Decimal("0.1"), "cache_read_tokens": Decimal("0.01"), "output_tokens": Decimal(1)},
    },
    {
        "big": {"input_tokens": Decimal(4), "cache_read_tokens": Decimal("0.5"), "output_tokens": Decimal("20.5")},
        "small": {"input_tokens": Decimal("0.2"), "cache_read_tokens": Decimal(0), "output_tokens": Decimal("1.5")},
    },
)
"""Two price books, in USD per million tokens; the third model, ``unheard-of``, has no price in either."""

_MODELS: Final = ("big", "small", "unheard-of")


def price_file(prices: Prices) -> str:
    """Write a price book as the TOML file that a worker reads."""
    entry = '[[price]]\nprovider = "acme"\nmodel = "{}"\nusd_per_mtok = {{ {} }}\n'
    named = {
        model: ", ".join(f'{leaf.removesuffix("_tokens")} = "{usd}"' for leaf, usd in leaves.items())
        for model, leaves in prices.items()
    }
    return "\n".join(entry.format(model, leaves) for model, leaves in named.items())


class Sending(NamedTuple):
    """A record to write."""

    partition: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...] = _HEADERS


@dataclass
class _Source:
    """One producer's lane."""

    number: int
    partition: int
    boot: int = 0
    next_seq: int = 0
    sent: list[bytes] = field(default_factory=list)
    held: list[bytes] = field(default_factory=list)
    record: list[bytes] = field(default_factory=list)

    @property
    def name(self) -> str:
        return f"service-{self.number}/host-{self.number % 2}/boot-{self.boot}#0"

    def restart(self) -> None:
        """Begin anew, under another boot id; what was held back is sent by the new process, under the old name."""
        self.boot, self.next_seq, self.sent = self.boot + 1, 0, []


class HardLoad:
    """Events and what befalls them."""

    def __init__(self, seed: int, *, partitions: int, sources: int = 9) -> None:
        """``partitions``: how many have traffic."""
        self.meant: set[str] = set()
        """The ids of the events that must count once each."""
        self.rubbish: dict[bytes, str] = {}
        """The lines that must be rejected, and why."""
        self._random = Random(seed)
        self._sources = [_Source(number, number % partitions) for number in range(sources)]
        self._twins = [0, 0]
        self._partitions = partitions

    def records(self, events: int) -> Iterator[Sending]:
        """Draw so many events, as records in the order in which they are to be sent."""
        for _ in range(events):
            source = self._random.choice(self._sources)
            self._befall(source)
            if len(source.record) >= self._random.choice(_PER_RECORD):
                yield from self._close(source)
            if self._random.random() < 0.02:
                yield from self._oddity()
            if self._random.random() < 0.003:
                yield from self._end(source)
                source.restart()
        yield from self._close_all()

    def rest(self) -> Iterator[Sending]:
        """Send what was held back, latest first: a spool that is replayed backwards."""
        for source in self._sources:
            source.record += reversed(source.held)
            source.held = []
            yield from self._end(source)

    def farewells(self) -> Iterator[Sending]:
        """Send one event to each partition, from nobody in particular."""
        for partition in range(self._partitions):
            line, event = self._line(self._call(97, SystemClock().now_ms()))
            self.meant.add(event["event_id"])
            yield Sending(partition, None, line)

    def blanks(self) -> Iterator[Sending]:
        """Send a record without a line to each partition."""
        return (Sending(partition, None, b" ") for partition in range(self._partitions))

    def forget(self) -> None:
        """Repeat nothing of what was sent so far."""
        for source in self._sources:
            source.sent = []

    def _befall(self, source: _Source) -> None:
        """Draw one event and its fate."""
        fate = self._random.random()
        line, event = self._event(source)
        if fate < 0.01:
            return
        if fate < 0.03:
            source.record.append(self._spoil(line))
            if fate < 0.02:
                return
        if fate < 0.05:
            source.held.append(line)
        elif fate < 0.09 and source.sent:
            source.record += [line, self._random.choice(source.sent)]
        else:
            source.record.append(line)
        self.meant.add(event["event_id"])
        if fate >= 0.05:
            source.sent.append(line)

    def _event(self, source: _Source, **fields: Any) -> tuple[bytes, dict[str, Any]]:
        """Draw one event of now, or of two days ago."""
        days_late = 2 if self._random.random() < 0.03 else 0
        at_ms = SystemClock().now_ms() - self._random.randrange(3 * _MINUTE_MS) - days_late * _DAY_MS
        named = {"source": source.name, "seq": source.next_seq}
        source.next_seq += 1
        return self._line(named | self._call(source.number, at_ms) | fields)

    def _call(self, number: int, at_ms: int) -> dict[str, Any]:
        draw = self._random
        user = draw.randrange(40)
        sign = -1 if draw.random() < 0.01 else 1
        adjustment = {"kind": "adjustment", "adjusts": str(UUID(int=draw.getrandbits(128), version=4))}
        return {
            "event_id": str(UUID(int=draw.getrandbits(128), version=4)),
            "occurred_at": _rfc3339(at_ms),
            "provider": "acme",
            "model": draw.choice(_MODELS),
            "status": "error" if draw.random() < 0.05 else "ok",
            "input_tokens": sign * draw.randrange(5_000),
            "cache_read_tokens": sign * draw.randrange(20_000),
            "output_tokens": sign * draw.randrange(500, 2_000),
            "reasoning_tokens": sign * draw.randrange(500),
            "environment": ("prod", "dev")[user % 2],
            "tenant": f"tenant-{user % 7}",
            "service": f"service-{number}",
            "feature": ("chat", "search", 'sum "m"', "")[user % 4],
            "user_id": f"user-{user}",
            "session_id": f"session-{user}-{at_ms // 60_000}",
        } | (adjustment if sign < 0 else {})

    def _line(self, event: dict[str, Any]) -> tuple[bytes, dict[str, Any]]:
        return json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode(), event

    def _spoil(self, line: bytes) -> bytes:
        """Make rubbish of a line; no two pieces are alike."""
        kind = self._random.randrange(5)
        spoilt, reason = (
            (line[: len(line) // 2], "invalid_json"),
            (line.replace(b'"acme"', b'"\xff"'), "invalid_json"),
            (b"[" + line + b"]", "invalid_event"),
            (line.replace(b'"event_id"', b'"prompt"'), "invalid_event"),
            (line.replace(b'"acme"', b'"' + b"a" * 8192 + b'"'), "too_large"),
        )[kind]
        self.rubbish[spoilt] = reason
        return spoilt

    def _oddity(self) -> Iterator[Sending]:
        """Draw something that only some producers do."""
        source = self._random.choice(self._sources)
        match self._random.randrange(7):
            case 0:
                yield Sending(source.partition, b"nobody", self._random.choice((b"", None, b" \n ")))
            case 1:
                yield Sending(source.partition, b"alien", b'{"hello":"world"}', _ALIEN_HEADERS)
            case 2:
                yield from self._wrong_clock(source)
            case 3:
                yield self._foreign()
            case 4:
                yield self._twin()
            case 5:
                line, _ = self._event(_Source(source.number, source.partition))
                yield Sending(source.partition, b"spoilt", self._spoil(line))
            case 6:
                ends = [self._end_line(source), self._spoilt_end(source)]
                yield Sending(source.partition, source.name.encode(), b"\n".join(ends))

    def _wrong_clock(self, source: _Source) -> Iterator[Sending]:
        yield from self._close(source)
        skew_ms = self._random.choice(_WRONG_CLOCKS)
        line, event = self._event(source, occurred_at=_rfc3339(SystemClock().now_ms() + skew_ms))
        if skew_ms not in _REFUSED_CLOCKS:
            self.meant.add(event["event_id"])
            source.sent.append(line)
        yield Sending(source.partition, source.name.encode(), line)

    def _foreign(self) -> Sending:
        """Let somebody write who counts nothing, and who says something twice in one breath."""
        partition = self._random.randrange(self._partitions)
        drawn = [self._line(self._call(99, SystemClock().now_ms())) for _ in range(3)]
        self.meant |= {event["event_id"] for _, event in drawn}
        return Sending(partition, None, b"\n".join([*(line for line, _ in drawn), drawn[0][0]]))

    def _twin(self) -> Sending:
        """Let two producers write under one name: each counts from 0."""
        lines = []
        for twin in (0, 1, 1, 0):
            named = {"source": "twin#0", "seq": self._twins[twin]}
            line, event = self._line(named | self._call(98, SystemClock().now_ms()))
            self._twins[twin] += 1
            self.meant.add(event["event_id"])
            lines.append(line)
        return Sending(0, b"twin#0", b"\n".join(lines))

    def _end(self, source: _Source) -> Iterator[Sending]:
        """Let a source end: with what it sends last, or apart, once or more, its last events lost, or in silence."""
        source.next_seq += self._random.choice((0, 0, 0, 1, 3))
        ends = [self._end_line(source)] * self._random.choice((0, 1, 1, 2))
        if self._random.random() < 0.5:
            source.record += ends[:1]
            ends = ends[1:]
        yield from self._close(source)
        yield from (Sending(source.partition, source.name.encode(), end) for end in ends)

    def _end_line(self, source: _Source) -> bytes:
        closed_at = _rfc3339(SystemClock().now_ms())
        return self._line(
            {"schema": "spendgauge.end/1", "source": source.name, "next_seq": source.next_seq, "closed_at": closed_at}
        )[0]

    def _spoilt_end(self, source: _Source) -> bytes:
        """Make an end that breaks its rules."""
        spoilt = self._end_line(source).replace(b'"next_seq":', b'"next_seq":-1,"prompt":')
        self.rubbish[spoilt] = "invalid_event"
        return spoilt

    def _close(self, source: _Source) -> Iterator[Sending]:
        if source.record:
            yield Sending(source.partition, source.name.encode(), b"\n".join(source.record))
            source.record = []

    def _close_all(self) -> Iterator[Sending]:
        for source in self._sources:
            yield from self._close(source)


class Sender:
    """Writes records to ``usage.events``, in their order and each once."""

    def __init__(self, kafka: KafkaSettings) -> None:
        options = {"linger.ms": 20, "compression.type": "lz4", "enable.idempotence": True}
        self._producer = Producer(client_options(kafka, **options, **{"message.timeout.ms": 120_000, "log_level": 0}))
        self._topic = kafka.topics.usage
        self._failed: list[str] = []

    def send(self, records: Iterator[Sending]) -> None:
        """Write records, and wait until the broker has them all."""
        assert self.try_to_send(records) == []

    def try_to_send(self, records: Iterator[Sending]) -> list[str]:
        """Write records, and wait until each is there or refused; say why any was."""
        for one in records:
            self._producer.produce(
                self._topic, one.value, one.key, one.partition, self._on_delivery, headers=list(one.headers)
            )
            self._producer.poll(0)
        assert self._producer.flush(120) == 0
        failed, self._failed = self._failed, []
        return failed

    def _on_delivery(self, error: KafkaError | None, _: object) -> None:
        if error is not None:
            self._failed.append(error.str())


def _rfc3339(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
