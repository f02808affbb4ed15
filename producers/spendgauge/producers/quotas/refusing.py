"""Who learns that a call was refused? The log, once a minute a quota and key, and ``cost.refusals``, line by line.

Callers only put a verdict down; the guard's thread does the rest. What does not fit, in a storm or while the broker is
away, is counted and logged, and lost: a call was refused all the same.
"""

from collections import Counter, deque
from collections.abc import Callable
from decimal import Decimal
from typing import Any, Final, Protocol

from confluent_kafka import KafkaError
from pydantic import ValidationError

from spendgauge.producers.client import RecordQueue, keep_for_ever, open_producer
from spendgauge.producers.forks import Connection
from spendgauge.producers.identity import EventIds
from spendgauge.producers.notices import Notices
from spendgauge.producers.quotas.settings import QuotaSettings
from spendgauge.producers.quotas.verdict import Number, QuotaVerdict
from spendgauge.producers.tally import Tally
from spendgauge.schemas import REFUSALS_SCHEMA, Clock, QuotaRefusal
from spendgauge.schemas.kafka import client_options
from spendgauge.schemas.moments import milliseconds_of, utc_time
from spendgauge.schemas.money import picodollars
from spendgauge.schemas.quotas import Unit, amount_text
from spendgauge.schemas.topics import CONTENT_TYPE, CONTENT_TYPE_HEADER, SCHEMA_HEADER

__all__ = ["Outlet", "Refusals", "connect_outlet", "refusal_of"]

_MOST_WAITING: Final = 10_000
_LINES: Final = 100
"""In a record."""

_MOST_NAMED: Final = 100
"""So many quotas and keys are logged by name in a minute; names are the callers' to invent, logs are not."""

_HEADERS: Final[list[tuple[str, str | bytes | None]]] = [
    (CONTENT_TYPE_HEADER, CONTENT_TYPE.encode()),
    (SCHEMA_HEADER, REFUSALS_SCHEMA.encode()),
]
_MANY: Final = ("refuses calls of more keys than are named here", "")


class Outlet(RecordQueue, Protocol):
    """What is used of one that sends refusals."""

    def flush(self, timeout: float) -> int:
        """Wait for all to be acknowledged; say how many are not."""

    def purge(self) -> None:
        """Report all that are not acknowledged as undeliverable."""


def connect_outlet(settings: QuotaSettings) -> Outlet:
    """Create a producer of refusals; it connects in the background. Raises ``ConfigurationError``.

    Not idempotent: a line that comes twice has the same ``refusal_id``.
    """
    options = {
        "log_level": 0,
        "acks": "all",
        "message.timeout.ms": 0,
        "queue.buffering.max.messages": 1_000,
        "reconnect.backoff.max.ms": 2_000,
        "compression.type": settings.compression,
    }
    return open_producer(client_options(settings, **options))


class Refusals:
    """What is to be told. ``add`` may be called by any thread and never waits, the rest by one."""

    def __init__(
        self, settings: QuotaSettings, source: str, *, clock: Clock, notices: Notices, connect: Callable[[], Outlet]
    ) -> None:
        self.told = self.lost = 0
        """Lines that the broker has acknowledged, and that it never will."""
        self._topic = settings.topics.refusals
        self._source = source
        self._notices = notices
        self._connect = connect
        self._outlet: Outlet | None = None
        self._waiting: deque[tuple[int, QuotaVerdict]] = deque()
        self._unsent: deque[list[bytes]] = deque()
        self._in_outlet: dict[int, list[bytes]] = {}
        self._records = 0
        self._connection = Connection(clock.monotonic)
        self._dropped = Tally()
        self._drops_seen = 0
        self._ids = EventIds()
        self._monotonic = clock.monotonic
        self._named: set[tuple[str, str]] = set()
        self._named_since = 0.0

    def add(self, verdict: QuotaVerdict, now_ms: int) -> None:
        """Put a verdict down; it is dropped and counted where too many wait."""
        if len(self._waiting) >= _MOST_WAITING:
            self._dropped.hit()
        else:
            self._waiting.append((now_ms, verdict))

    def turn(self) -> None:
        """Log and send what waits."""
        while self._unsent and self._hand_over(self._unsent[0]):
            self._unsent.popleft()
        counted: Counter[tuple[str, str]] = Counter()
        said: dict[tuple[str, str], QuotaVerdict] = {}
        while self._waiting and (batch := self._batch()) and self._send(batch):
            for _, verdict in batch:
                self._waiting.popleft()
                mark = _mark(verdict)
                counted[mark] += 1
                said[mark] = verdict
        for mark, count in counted.items():
            self._log(mark, count, said[mark])
        self._count_drops()
        if self._outlet is not None:
            self._outlet.poll(0)

    def end(self, seconds: float) -> None:
        """Send what waits, for so long; the rest is lost, counted and logged."""
        self.turn()
        left = self._outlet.flush(seconds) if self._outlet is not None else 0
        if left or self._unsent or self._waiting:
            self._notices.report("refusals were not sent", (left + len(self._unsent)) * _LINES + len(self._waiting))

    @property
    def may_stay(self) -> bool:
        """Whether a fork may find the client as it is, or there is none."""
        return self._outlet is None or self._connection.may_stay

    def disconnect(self) -> None:
        """Let go of the client, for a fork; what is not acknowledged is sent again by the next one, line for line."""
        self._connection.let_go()
        outlet, self._outlet = self._outlet, None
        self._unsent.extend(self._in_outlet.values())
        self._in_outlet.clear()
        if outlet is not None:
            outlet.purge()
            outlet.poll(0)

    def abandon(self) -> None:
        """Let go of a client that a fork has left without its threads; what waits is the parent's to tell."""
        if self._outlet is not None:
            keep_for_ever(self._outlet)

    def _batch(self) -> list[tuple[int, QuotaVerdict]]:
        return [self._waiting[place] for place in range(min(_LINES, len(self._waiting)))]

    def _send(self, batch: list[tuple[int, QuotaVerdict]]) -> bool:
        """Hand a record of them over; say no where there is no room for it now."""
        return self._hand_over([line for at, verdict in batch if (line := self._line(verdict, at)) is not None])

    def _hand_over(self, lines: list[bytes]) -> bool:
        if self._outlet is None:
            self._outlet = self._connect()
        record, self._records = self._records, self._records + 1

        def on_delivery(error: KafkaError | None, _record: Any) -> None:
            self._on_delivery(error, record)

        try:
            self._outlet.produce(
                self._topic, b"\n".join(lines), key=self._source.encode(), headers=_HEADERS, on_delivery=on_delivery
            )
        except BufferError:
            return False
        self._in_outlet[record] = lines
        return True

    def _line(self, verdict: QuotaVerdict, now_ms: int) -> bytes | None:
        try:
            refusal = refusal_of(verdict, self._ids.take(now_ms), now_ms, source=self._source)
        except ValidationError as error:
            self.lost += 1
            self._notices.report("a refusal cannot be written", reason=error.errors(include_input=False)[0]["msg"])
            return None
        return refusal.model_dump_json().encode()

    def _on_delivery(self, error: KafkaError | None, record: int) -> None:
        lines = self._in_outlet.pop(record, None)
        if lines is None:
            return  # let go of, and sent again
        if error is None:
            self._connection.works()
            self.told += len(lines)
        else:
            self.lost += len(lines)
            self._notices.report("refusals lost: the broker did not take them", len(lines), reason=error.str())

    def _count_drops(self) -> None:
        drops = self._dropped.read()
        if drops > self._drops_seen:
            new, self._drops_seen = drops - self._drops_seen, drops
            self.lost += new
            self._notices.report("refusals lost: too many wait for the broker", new)

    def _log(self, mark: tuple[str, str], count: int, verdict: QuotaVerdict) -> None:
        if self._monotonic() - self._named_since >= self._notices.interval_seconds:
            self._named_since = self._monotonic()
            self._named.clear()
        if mark not in self._named and len(self._named) >= _MOST_NAMED:
            self._notices.report(_MANY[0], count, about=_MANY)
            return
        self._named.add(mark)
        what = "a quota refuses calls" if not verdict.allowed else "a quota's limit is reached; calls are let pass"
        self._notices.report(what, count, about=mark, reason=verdict.sentence())


def refusal_of(verdict: QuotaVerdict, refusal_id: str, now_ms: int, *, source: str) -> QuotaRefusal:
    """Write a verdict as a line of ``cost.refusals``."""
    return QuotaRefusal(
        refusal_id=refusal_id,
        refused_at=utc_time(now_ms),
        action="warned" if verdict.allowed else "refused",
        reason="unknown" if verdict.reason == "ok" else verdict.reason,
        quota=verdict.quota,
        series=verdict.series,
        key=verdict.key,
        unit=verdict.unit,
        limit=None if verdict.limit is None else _text(verdict.limit, verdict.unit),
        spent=_text(verdict.spent, verdict.unit),
        reserved=_text(verdict.reserved, verdict.unit),
        estimate=_text(verdict.estimate, verdict.unit),
        resets_at=None if verdict.resets_at is None else milliseconds_of(verdict.resets_at) // 1000,
        source=source,
    )


def _mark(verdict: QuotaVerdict) -> tuple[str, str]:
    return verdict.quota, "\0".join((verdict.reason, *verdict.key))


def _text(amount: Number, unit: Unit) -> str:
    return amount_text(picodollars(Decimal(amount)) if unit == "usd" else int(amount), unit)
