"""What must the rates come to? A model without any code of the rooms: one line after the other, into dictionaries.

It reads the log as it lies on the broker, and follows the rules as they are written down in docs/architecture.md, with
``json``, ``Decimal`` and nothing clever. What a line is meant to be (an event, or rubbish) it is told by who made it.
"""

import json
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from tests.loads import Totals
from tests.naive_sources import NaiveSource, SourceReport
from tests.topic_logs import LogRecord

from spendgauge.schemas import DEFAULT_SERIES, LEAVES, MEASURES

__all__ = ["NaiveRates", "Place", "Prices", "SourceName"]

Prices = Mapping[str, Mapping[str, Decimal]]
"""Model to USD per million tokens of each leaf."""

Place = tuple[str, int, int, int]
"""Stream, partition, offset and line."""

SourceName = tuple[str, int, str]
"""Stream, partition and source."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_PICODOLLARS = Decimal(10) ** 12


@dataclass
class NaiveRates:
    """Adds up a log in plain Python."""

    block_offsets: int
    prices: Callable[[str, int, int], Prices]
    """Which prices hold in a block of a stream's partition."""
    rubbish: Mapping[bytes, str]
    """The lines that were never meant to be events, and why they are to be rejected."""
    unverified: Collection[tuple[str, int]] = ()
    """Streams' partitions that were begun without knowing what came before."""
    totals: dict[tuple[str, tuple[str, ...], int], list[Any]] = field(
        default_factory=lambda: defaultdict(lambda: [0] * len(MEASURES))
    )
    rejects: dict[Place, tuple[str, bytes]] = field(default_factory=dict)
    """Reason and bytes."""
    counted: list[str] = field(default_factory=list)
    """The ids of the events that count, in the order of the log."""
    last_keys: dict[int, set[tuple[str, tuple[str, ...], int]]] = field(default_factory=dict)
    """Partition to the keys of its last block."""

    def __post_init__(self) -> None:
        self._sources: dict[SourceName, NaiveSource] = {}
        self._foreign: dict[int, tuple[object, set[str]]] = {}
        self._last_blocks: dict[int, tuple[str, int]] = {}

    def read(self, stream: str, records: Iterable[LogRecord]) -> None:
        """Add up one stream's records, each partition's in order."""
        for record in records:
            self._begin_block(stream, record)
            for line, text in self._lines(stream, record):
                event = json.loads(text)
                if event.get("schema") == "spendgauge.end/1":
                    self._source(stream, record, event).end(event["next_seq"])
                elif self._is_timely((stream, record.partition, record.offset, line), text, event, record.timestamp_ms):
                    self._read_event(stream, record, event)
                else:
                    self._pass_over(stream, record, text)

    def carry_over(self, old: str, new: str, partitions: Iterable[int]) -> None:
        """Go on in a recreated topic with what is known of some partitions' sources; of the others nothing is."""
        for (stream, partition, name), source in list(self._sources.items()):
            if stream == old and partition in partitions:
                self._sources[new, partition, name] = source.carried_over()

    def _begin_block(self, stream: str, record: LogRecord) -> None:
        block = (stream, record.offset // self.block_offsets)
        if self._last_blocks.get(record.partition) != block:
            self._last_blocks[record.partition] = block
            self.last_keys[record.partition] = set()

    def _lines(self, stream: str, record: LogRecord) -> Iterator[tuple[int, bytes]]:
        """Give the lines that are events, and note the rejects."""
        place = (stream, record.partition, record.offset)
        whole = record.value or b""
        if dict(record.headers).get("spendgauge-schema") != b"spendgauge.usage/1":
            self.rejects[*place, 0] = ("unreadable", whole)
        elif not whole.strip():
            self.rejects[*place, 0] = ("empty_record", whole)
        else:
            for number, line in enumerate(whole.split(b"\n")):
                if line in self.rubbish:
                    self.rejects[*place, number] = (self.rubbish[line], line)
                    self._pass_over(stream, record, line)
                else:
                    yield number, line

    def _is_timely(self, place: Place, text: bytes, event: dict[str, Any], received_at_ms: int) -> bool:
        age_ms = received_at_ms - _milliseconds(event)
        if age_ms > 30 * 86_400_000:
            self.rejects[place] = ("too_old", text)
        elif age_ms < -5 * 60_000:
            self.rejects[place] = ("in_the_future", text)
        return place not in self.rejects

    def _pass_over(self, stream: str, record: LogRecord, line: bytes) -> None:
        """Take the number of a rejected line as used, where it can be read."""
        try:
            event = json.loads(line)
        except ValueError:
            return
        if isinstance(event, dict) and event.get("source") and isinstance(event.get("seq"), int):
            self._source(stream, record, event).reject(event["seq"])

    def _read_event(self, stream: str, record: LogRecord, event: dict[str, Any]) -> None:
        if self._is_new(stream, record, event):
            self.counted.append(event["event_id"])
            block = record.offset // self.block_offsets
            self._count(record.partition, event, self.prices(stream, record.partition, block))

    def _is_new(self, stream: str, record: LogRecord, event: dict[str, Any]) -> bool:
        block = record.offset // self.block_offsets
        if event.get("seq") is not None:
            return self._source(stream, record, event).is_new(block, event["seq"], event["event_id"])
        known = self._foreign.get(record.partition)
        if known is None or known[0] != (stream, block):
            known = self._foreign[record.partition] = (stream, block), set()
        new = event["event_id"] not in known[1]
        known[1].add(event["event_id"])
        return new

    def _source(self, stream: str, record: LogRecord, event: dict[str, Any]) -> NaiveSource:
        name = (stream, record.partition, event["source"])
        if name not in self._sources:
            self._sources[name] = NaiveSource(base=None if (stream, record.partition) in self.unverified else 0)
        return self._sources[name]

    def _count(self, partition: int, event: dict[str, Any], prices: Prices) -> None:
        price = prices.get(event["model"])
        usage = event.get("kind", "usage") == "usage"
        tokens = [event.get(leaf, 0) for leaf in LEAVES]
        costs = (Decimal(event.get(leaf, 0)) * usd / 10**6 for leaf, usd in (price or {}).items())
        failed = usage and event.get("status") == "error"
        measures = [int(usage), int(failed), int(price is None), *tokens, event.get("reasoning_tokens", 0), sum(costs)]
        for spec in DEFAULT_SERIES:
            pane = _milliseconds(event) // 1000 // spec.pane_seconds * spec.pane_seconds
            name = (spec.name, tuple(event.get(dimension, "") for dimension in spec.dimensions), pane)
            total = self.totals[name]
            total[:] = [old + more for old, more in zip(total, measures, strict=True)]
            self.last_keys[partition].add(name)

    def expected(self) -> Totals:
        """Say what the rates must come to, money in whole picodollars."""
        return {name: (*total[:-1], _picodollars(Decimal(total[-1]))) for name, total in self.totals.items()}

    def reports(self, said: Collection[SourceName]) -> dict[SourceName, SourceReport]:
        """Say what is missing of each source, and what came again, of those that something must be said of or was."""
        return {
            name: source.report() for name, source in self._sources.items() if source.is_worth_a_word or name in said
        }


def _milliseconds(event: dict[str, Any]) -> int:
    return (datetime.fromisoformat(event["occurred_at"]) - _EPOCH) // timedelta(milliseconds=1)


def _picodollars(usd: Decimal) -> int:
    whole = usd * _PICODOLLARS
    assert whole == int(whole)
    return int(whole)
