"""How does an item become an event that is safe? Through the key and the producer; an id back means safe."""

import threading
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from spendgauge.producers.emitter import UsageEmitter
from spendgauge.producers.gateway.keys import Key
from spendgauge.producers.invalid import InvalidEventError
from spendgauge.producers.lane import Lane
from spendgauge.producers.producer import UsageProducer
from spendgauge.producers.timely import untimely
from spendgauge.schemas import Clock

__all__ = ["Fate", "Item", "Outcome", "Taker", "judge_like"]

Fate = Literal["taken", "known", "refused", "unsafe"]
"""Safe now; safe before, under the same id; no valid event; valid, and not safe: to be sent again."""

Item = Mapping[str, Any] | str
"""The fields of an event as a sender gave them, or why there are none."""

_REMEMBERED: Final = 100_000
_TROUBLE_SECONDS: Final = 1.0
_LATE_SEQ: Final = 10**12
"""So many events no gateway takes: its number is as long as any."""

_ANY_ID: Final = "00000000-0000-7000-8000-000000000001"
_UNDER_WAY: Final = "another request brings the same event now; send it again"
_UNSAFE: Final = "it could not be stored safely now; send it again"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of an item."""

    fate: Fate
    event_id: str = ""
    reason: str = ""


def judge_like(producer: UsageProducer) -> Lane:
    """Make a lane that refuses what the producer refuses, and the size of its lines is part of that.

    An event too large for the producer alone would look like one that the disk did not take.
    """
    settings, source = producer.settings, max(producer.sources, key=len)
    lane = Lane(source, defaults=settings.defaults, max_events=1, max_bytes=1, pseudonyms=settings.pseudonyms)
    lane.skip(_LATE_SEQ)
    return lane


class Taker:
    """Gives items to a producer, and remembers the last ids that senders chose: a repeated request adds nothing.

    May be called by several threads. After an event that could not be made safe nothing is tried for a second, so that
    senders who come again in an outage do not have each event in memory many times.
    """

    def __init__(self, producer: UsageEmitter, *, clock: Clock, judge: Lane | None = None) -> None:
        """``judge`` says what is wrong with an event that the producer did not take (``judge_like``)."""
        self._producer = producer
        self._clock = clock
        self._judge = judge or Lane("gateway", defaults={"service": "gateway"}, max_events=1, max_bytes=1)
        self._known: OrderedDict[tuple[str, str], None] = OrderedDict()
        self._under_way: set[tuple[str, str]] = set()
        self._lock = threading.Lock()
        self._trouble_until = 0.0

    @property
    def troubled(self) -> bool:
        """Whether an event could not be made safe a moment ago."""
        return self._clock.monotonic() < self._trouble_until

    def take(self, items: Iterable[Item], key: Key | None) -> list[Outcome]:
        """Take what is valid, each item by itself, in order."""
        return [Outcome("refused", reason=item) if isinstance(item, str) else self._one(item, key) for item in items]

    def _one(self, given: Mapping[str, Any], key: Key | None) -> Outcome:
        now_ms = self._clock.now_ms()
        try:
            fields = given if key is None else key.applied(given)
        except InvalidEventError as error:
            return Outcome("refused", reason=str(error))
        late = untimely(fields.get("occurred_at"), now_ms)
        if late is not None:
            return Outcome("refused", reason=late)
        own = fields.get("event_id")
        mark = (key.name if key else "", own.lower() if isinstance(own, str) else "")
        with self._lock:
            if mark in self._under_way:
                return Outcome("unsafe", reason=_UNDER_WAY)
            if mark[1]:
                self._under_way.add(mark)
        try:
            return self._judged(fields, mark, now_ms)
        finally:
            self._under_way.discard(mark)

    def _judged(self, fields: Mapping[str, Any], mark: tuple[str, str], now_ms: int) -> Outcome:
        known = mark in self._known
        event_id = None if known or self.troubled else self._producer.emit(**fields)
        if event_id is not None:
            self._remember(mark)
            return Outcome("taken", event_id.lower())
        if fault := self._fault(fields, now_ms):
            return Outcome("refused", reason=fault)
        return Outcome("known", mark[1]) if known else self._unsafe()

    def _fault(self, fields: Mapping[str, Any], now_ms: int) -> str:
        """Say what is wrong with an event that the producer did not take; nothing where it is valid."""
        try:
            self._judge.line((_ANY_ID, now_ms, fields))
        except InvalidEventError as error:
            return str(error)
        except Exception as error:  # noqa: BLE001 - what a sender wrote must not spoil its neighbours
            return f"it cannot be read: {type(error).__name__}"
        return ""

    def _unsafe(self) -> Outcome:
        if not self.troubled:
            self._trouble_until = self._clock.monotonic() + _TROUBLE_SECONDS
        return Outcome("unsafe", reason=_UNSAFE)

    def _remember(self, mark: tuple[str, str]) -> None:
        if not mark[1]:
            return  # the producer's own id
        with self._lock:
            self._known[mark] = None
            if len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)
