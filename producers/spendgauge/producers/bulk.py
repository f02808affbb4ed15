"""How does a batch tool send many events of many sources? Through one client, waiting whenever the broker is slower.

Not for services: it blocks, and it raises. ``UsageProducer`` does neither.
"""

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from json import loads
from types import TracebackType
from typing import Any, Final, Self, TypeVar

from spendgauge.producers.client import connect_client
from spendgauge.producers.emitter import ProducerStats
from spendgauge.producers.identity import EventIds, boot_id, source_names
from spendgauge.producers.invalid import InvalidEventError, InvalidRow
from spendgauge.producers.lane import Lane
from spendgauge.producers.notices import Notices
from spendgauge.producers.producer import Connect
from spendgauge.producers.sender import Sender
from spendgauge.producers.settings import DeliverySettings
from spendgauge.schemas import Clock, ConfigurationError, SystemClock, UnavailableError

__all__ = ["BulkSource", "BulkWriter"]

_POLL_SECONDS: Final = 0.1
_MAX_NAME: Final = 256

_Item = TypeVar("_Item", Mapping[str, Any], bytes)


class BulkWriter:
    """Sends the events of any number of sources from one thread; a source costs a few hundred bytes.

    Waits while ``queue_events`` or ``queue_bytes`` are full, and raises ``UnavailableError`` where the broker has
    acknowledged nothing for ``stall_seconds`` meanwhile, or will not take a record at all. Close it then: what it
    holds is lost, and stands in ``stats().failed``.
    """

    def __init__(
        self,
        settings: DeliverySettings,
        *,
        stall_seconds: float = 60.0,
        clock: Clock | None = None,
        connect: Connect = connect_client,
    ) -> None:
        self._settings = settings
        self._stall_seconds = stall_seconds
        self._clock = clock or SystemClock()
        self._notices = Notices(self._clock.monotonic)
        self._sender = Sender(
            settings.topics.usage,
            partial(connect, settings),
            clock=self._clock,
            notices=self._notices,
        )
        self._pseudonyms = settings.pseudonyms
        self._sources: dict[str, BulkSource] = {}
        self._lanes: list[Lane] = []
        self._boot = boot_id(self._clock.now_ms())
        self._closed = False
        self._lost = 0
        self._sender.connect()

    def open_source(
        self, service: str, host: str, *, boot: str | None = None, defaults: Mapping[str, Any] | None = None
    ) -> "BulkSource":
        """Begin a source ``service@host#boot``, whose events are numbered from 0.

        ``boot`` names the run; by default one that no other run has. The same name used again in another run makes
        its events duplicates. ``defaults`` are fields for events that do not give them; ``service`` is one already.
        Raises ``ConfigurationError`` where this writer has that source.
        """
        (name,) = source_names(service, host, boot or self._boot)
        if name in self._sources:
            raise ConfigurationError(f"source {name} is open already; use the one that open_source returned")
        if len(name) > _MAX_NAME:
            raise ConfigurationError(f"source {name} has {len(name)} characters, and at most {_MAX_NAME} are accepted")
        lane = Lane(
            name,
            defaults={"service": service, **(defaults or {})},
            max_events=self._settings.coalesce_events,
            max_bytes=self._settings.coalesce_bytes,
            pseudonyms=self._pseudonyms,
        )
        self._lanes.append(lane)
        unread = self._pseudonyms is None
        self._sources[name] = BulkSource(lane, unread=unread, send=self._send, now_ms=self._clock.now_ms)
        return self._sources[name]

    @property
    def sources(self) -> dict[str, int]:
        """The sources opened, each with the seq that its next event gets."""
        return {name: source.next_seq for name, source in self._sources.items()}

    def stats(self) -> ProducerStats:
        """Count what became of the events so far."""
        sender = self._sender
        return ProducerStats(
            accepted=sender.delivered_events + sender.refused_events + self._lost + sender.pending_events,
            delivered=sender.delivered_events,
            refused=sender.refused_events,
            failed=self._lost,
            queued=sender.pending_events,
            invalid=sum(source.invalid for source in self._sources.values()),
            records=sender.delivered_records,
        )

    def flush(self) -> None:
        """Wait until every event written is acknowledged; raises ``UnavailableError`` as writing does."""
        for lane in self._lanes:
            self._send(lane)
        self._wait_until_below(1, 1)

    def close(self) -> None:
        """Flush and let go of the client; closing again does nothing."""
        if self._closed:
            return
        try:
            self.flush()
        finally:
            self._let_go()

    def __enter__(self) -> Self:
        """Use the writer as a context manager."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it; after an error without waiting, so that the error is not held up."""
        if kind is None:
            self.close()
        else:
            self._let_go()

    def _let_go(self) -> None:
        self._closed = True
        left = sum(record.events for record in self._sender.give_up())
        if left:
            self._lost += left
            self._notices.report("events lost: closed before the broker had acknowledged them", left)
        self._notices.say_all()

    def _send(self, lane: Lane) -> None:
        record = lane.take()
        if record is None:
            return
        if self._closed:
            raise UnavailableError("this BulkWriter is closed; open another one to write more")
        self._sender.add(record)
        self._sender.turn(0)
        self._wait_until_below(self._settings.queue_events, self._settings.queue_bytes)

    def _wait_until_below(self, events: int, bytes_: int) -> None:
        sender = self._sender
        delivered, since = sender.delivered_events, self._clock.monotonic()
        while True:
            if sender.refused_events:
                raise UnavailableError(
                    f"the broker at {self._settings.kafka} will not take {sender.refused_events} of the events; "
                    "the log says why"
                )
            if sender.pending_events < events and sender.pending_bytes < bytes_:
                return
            sender.turn(_POLL_SECONDS)
            if sender.delivered_events > delivered:
                delivered, since = sender.delivered_events, self._clock.monotonic()
            elif self._clock.monotonic() - since >= self._stall_seconds:
                raise UnavailableError(
                    f"the broker at {self._settings.kafka} has acknowledged nothing for {self._stall_seconds:g} s "
                    f"while {sender.pending_events} events wait; is it running, and are its topics there?"
                )


class BulkSource:
    """One source of a ``BulkWriter``: its events go to one partition, in the order written.

    ``invalid`` counts what was refused.
    """

    def __init__(self, lane: Lane, *, unread: bool, send: Callable[[Lane], None], now_ms: Callable[[], int]) -> None:
        self.invalid = 0
        self._lane = lane
        self._add_line = lane.add_line if unread else self._read_line
        self._send = send
        self._now_ms = now_ms
        self._ids = EventIds()

    @property
    def name(self) -> str:
        """What the events' ``source`` is."""
        return self._lane.source

    @property
    def next_seq(self) -> int:
        """The seq of the next event: how many were written."""
        return self._lane.next_seq

    def write(self, rows: Iterable[Mapping[str, Any]]) -> tuple[InvalidRow, ...]:
        """Validate rows (fields of ``UsageEvent``, as for ``emit``) and send the valid ones, in order.

        *Shape*: returns the invalid rows, each with its index in ``rows`` and the reason; they use up no seq. Rows of
        one call share records, so one row a call is slow.
        """
        return self._write(rows, self._add)

    def write_lines(self, lines: Iterable[bytes]) -> tuple[InvalidRow, ...]:
        """Send events that are JSON already, complete but for ``source`` and ``seq``: much faster than ``write``.

        Each line is a compact JSON object. Only its size and its first bytes are looked at; one that is no valid event
        uses up a seq, and consumers reject it with a reason. With a ``pseudonym_key`` each is read and validated as by
        ``write``: no name can hide in a line that was looked at.
        *Shape*: as ``write``.
        """
        return self._write(lines, self._add_line)

    def _add(self, row: Mapping[str, Any]) -> None:
        now_ms = self._now_ms()
        self._lane.add((self._ids.take(now_ms), now_ms, row))

    def _read_line(self, line: bytes) -> None:
        try:
            row = loads(line)
        except ValueError:
            raise InvalidEventError("the line is not JSON") from None
        if not isinstance(row, dict):
            raise InvalidEventError("the line is not a JSON object")
        self._add(row)

    def _write(self, items: Iterable[_Item], add: Callable[[_Item], None]) -> tuple[InvalidRow, ...]:
        lane, refused = self._lane, []
        for index, item in enumerate(items):
            try:
                add(item)
            except InvalidEventError as error:
                refused.append(InvalidRow(index, str(error), item))
            if lane.full:
                self._send(lane)
        self._send(lane)
        self.invalid += len(refused)
        return tuple(refused)
