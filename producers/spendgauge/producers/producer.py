"""How does a service emit usage events without ever waiting for it?"""

import threading
from collections.abc import Callable
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from spendgauge.producers.client import Client, ErrorCallback, connect_client
from spendgauge.producers.context import within
from spendgauge.producers.emitter import ProducerStats
from spendgauge.producers.identity import boot_id, source_names
from spendgauge.producers.intake import Barrier, Intake
from spendgauge.producers.lane import Draft, Lane
from spendgauge.producers.lifecycle import unwatch, watch
from spendgauge.producers.notices import Notices
from spendgauge.producers.sender import Sender
from spendgauge.producers.settings import DeliverySettings, ProducerSettings
from spendgauge.producers.spools import Spools
from spendgauge.producers.tally import Tally
from spendgauge.producers.tariffs import load_tariff
from spendgauge.producers.totals import RunningTotals, UsageTotals
from spendgauge.producers.worker import Worker
from spendgauge.schemas import Clock, ConfigurationError, SystemClock

if TYPE_CHECKING:
    from spendgauge.producers.spool import Journal

__all__ = ["Connect", "UsageProducer"]

Connect = Callable[[DeliverySettings, ErrorCallback], Client]


class UsageProducer:
    """Takes usage events from any thread and sends them to Kafka from a thread of its own.

    Safe in threads, in signal handlers, under asyncio and across fork. Give it settings, or the fields of
    ``ProducerSettings`` by name; it reads no environment (``create_producer`` does).
    Raises ``ConfigurationError`` where they cannot work; a broker that is away is no error.
    """

    def __init__(
        self,
        settings: ProducerSettings | None = None,
        /,
        *,
        clock: Clock | None = None,
        connect: Connect = connect_client,
        **fields: Any,
    ) -> None:
        if settings is not None and fields:
            raise ConfigurationError(f"give either settings or fields; {', '.join(fields)} came beside settings")
        self.settings = ProducerSettings.from_environment({}, **fields) if settings is None else settings
        self._clock = clock or SystemClock()
        self._connect = connect
        self._now_ms = self._clock.now_ms
        self._max_events = self.settings.queue_events
        self._max_bytes = self.settings.queue_bytes
        self._pseudonyms = self.settings.pseudonyms
        self._closed = False
        self._all_sent = True
        self._failures_told = 0
        if self.settings.spool_dir:
            from spendgauge.producers.spool import prepare

            prepare(self.settings.spool_dir)
        if self.settings.totals and self.settings.prices:
            load_tariff(self.settings.prices)
        self._begin()
        self._worker.sender.connect()
        self._rouse(self._worker)

    def emit(self, /, **fields: Any) -> str | None:
        """Take one usage event, given as fields of ``UsageEvent``; never block, never raise.

        ``event_id``, ``occurred_at`` (now), ``source`` and ``seq`` are filled in; a field that is None counts as not
        given. Validation comes later, in the producer's thread: an invalid event is counted and logged.
        Returns the event's id, or None where it was not taken (queue full, closed) or is not as safe as ``durability``
        says. With ``durability="disk"`` it waits for an fsync.
        """
        try:
            worker = self._worker
            if self._closed:
                self._refuse_late()
                return None
            now_ms = self._now_ms()
            fields = within(fields)
            own_id = fields.get("event_id")
            if own_id is None:
                own_id = worker.ids.take(now_ms)
            tags = fields.get("tags")
            if type(tags) is dict:
                fields["tags"] = tags.copy()  # the caller may change its own before the thread looks
            safe = self._take(worker, (own_id, now_ms, fields))
            if worker.idle:
                self._rouse(worker)
            return own_id if safe and type(own_id) is str else None
        except Exception:  # noqa: BLE001 - the promise: nothing is raised into the caller
            self._worker.refused.hit()
            return None

    def stats(self) -> ProducerStats:
        """Count what became of the events so far, in this process."""
        worker = self._worker
        sender, spools = worker.sender, worker.spools
        delivered, refused = sender.delivered_events, sender.refused_events
        failed = worker.intake.lost + spools.damaged_events
        spooled = spools.waiting_events
        accepted, waiting = (
            worker.intake.accepted,
            len(worker.queue),
        )  # read later, so that what is queued is never below 0
        return ProducerStats(
            accepted=accepted,
            delivered=delivered,
            refused=refused,
            failed=failed,
            spooled=spooled,
            queued=max(0, accepted - delivered - refused - failed - spooled) + waiting,
            invalid=worker.intake.invalid + worker.refused.read(),
            dropped=worker.dropped.read(),
            closed=self._late.read(),
            records=sender.delivered_records,
            replayed=sender.replayed_events,
        )

    def totals(self) -> UsageTotals:
        """Say what the events that this process has accepted used and cost, by model and in all.

        With ``durability="memory"`` an event is accepted a moment after ``emit``; ``flush`` waits for it. The first
        call reads the prices (0.1 s). Raises ``ConfigurationError`` where ``totals`` are switched off.
        """
        if not self.settings.totals:
            raise ConfigurationError(
                "this producer counts no totals: SPENDGAUGE_TOTALS=1 or totals=True switches them on"
            )
        return self._totals.read()

    @property
    def sources(self) -> dict[str, int]:
        """The producer's sources in this process, one a lane, each with the seq that its next event gets."""
        return {lane.source: lane.next_seq for lane in self._worker.intake.lanes}

    @property
    def replaying(self) -> bool:
        """Whether the spool holds something of a dead process that is still to be sent, or was not looked at yet."""
        return self._worker.spools.replaying

    def flush(self, timeout_seconds: float = 10.0) -> bool:
        """Wait until every valid event emitted before is acknowledged.

        Returns False where that takes longer, or where one was given up since the last flush.
        """
        return self._settle(Barrier(), timeout_seconds)

    def close(self, timeout_seconds: float = 10.0) -> bool:
        """Flush, say where each source ends, then stop for good; return whether everything was acknowledged.

        What is not acknowledged by then (and up to a second later) is left in the spool, for the next process with the
        same ``spool_dir``; without a spool it is counted as failed and logged. Closing again does nothing and returns
        the same. Later calls of ``emit`` are counted as closed.
        """
        with self._closing:
            if not self._closed:
                self._closed = True
                told_before = self._failures_told
                self._settle(Barrier(last=True), timeout_seconds)
                ended = self._worker.stop()
                if not ended and (queued := self.stats().queued - self._worker.barriers):
                    self._worker.notices.report("events may be lost: the producer's thread hangs", queued)
                unwatch(self)
                spooled = self._worker.spools.waiting_events
                self._all_sent = ended and not spooled and self._given_up() == told_before
            return self._all_sent

    def __enter__(self) -> Self:
        """Use the producer as a context manager."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        self.close()

    def before_fork(self) -> bool:
        """Begin to let go of a client that may be connecting; say no where there is none."""
        return self._worker.hold()

    def await_fork(self, seconds: float) -> None:
        """Wait until no thread of it is there."""
        self._worker.await_hold(seconds)

    def after_fork(self) -> None:
        """Go on sending: this process is the parent."""
        self._worker.release()

    def on_fork(self) -> None:
        """Become another source with an empty queue: this process is a child, and the parent sends what waited."""
        self._worker.sender.abandon()
        self._worker.spools.abandon()
        self._begin()
        self._worker.stopped = self._closed

    def on_exit(self) -> None:
        """Send what waits, within ``exit_seconds``."""
        self.close(self.settings.exit_seconds)

    def _begin(self) -> None:
        settings, boot = self.settings, boot_id(self._clock.now_ms())
        names = source_names(settings.service, settings.host, boot, lanes=settings.lanes)
        notices = Notices(self._clock.monotonic, source=names[0])
        self._totals = RunningTotals(
            settings.prices, on_trouble=lambda reason: notices.report("totals are without prices", reason=reason)
        )
        lanes = tuple(self._lane(name) for name in names)
        spools, journal = self._open_spools(lanes, boot, notices)
        sender = Sender(settings.topics.usage, partial(self._connect, settings), clock=self._clock, notices=notices)
        self._worker = Worker(
            Intake(lanes, sender, settings, clock=self._clock, notices=notices, spools=spools, journal=journal),
            clock=self._clock,
            notices=notices,
            linger_seconds=settings.linger_ms / 1000,
            on_turn=self._totals.fold,
        )
        self._late = Tally()
        self._closing = threading.RLock()
        self._all_sent = True
        self._failures_told = 0

    def _open_spools(self, lanes: tuple[Lane, ...], boot: str, notices: Notices) -> "tuple[Spools, Journal | None]":
        settings = self.settings
        if not settings.spool_dir:
            return Spools(), None
        from spendgauge.producers.spool import DiskSpools, Journal  # needs fcntl, and files

        spools = DiskSpools(settings, boot, clock=self._clock, notices=notices)
        if settings.durability == "memory":
            return spools, None
        synced = settings.durability == "disk"
        return spools, Journal(lanes, spools.writer, synced=synced, run=settings.coalesce_events)

    def _take(self, worker: Worker, draft: Draft) -> bool:
        """Write an event down or queue it; say whether it is as safe as promised."""
        journal = worker.journal
        if journal is not None:
            written = journal.write(draft)
            if written != "not":
                return written == "safe"
        sender, queue = worker.sender, worker.queue
        if len(queue) + sender.pending_events >= self._max_events or sender.pending_bytes >= self._max_bytes:
            worker.dropped.hit()
            return False
        queue.append(draft)
        return journal is None

    def _settle(self, barrier: Barrier, timeout_seconds: float) -> bool:
        worker = self._worker
        if worker.stopped or not (worker.started or worker.queue or worker.spools.unread):
            return True
        worker.put(barrier)
        done = barrier.done.wait(timeout_seconds)
        given_up = self._given_up()
        lost, self._failures_told = given_up - self._failures_told, given_up
        return done and not lost

    def _given_up(self) -> int:
        worker = self._worker
        return worker.sender.refused_events + worker.intake.lost + worker.spools.damaged_events

    def _rouse(self, worker: Worker) -> None:
        if not worker.started:
            watch(self)
        worker.rouse()

    def _lane(self, source: str) -> Lane:
        settings = self.settings
        return Lane(
            source,
            defaults=settings.defaults,
            max_events=settings.coalesce_events,
            max_bytes=settings.coalesce_bytes,
            pseudonyms=self._pseudonyms,
            on_line=self._totals.add if settings.totals else None,
        )

    def _refuse_late(self) -> None:
        if self._late.hit() == 0:
            self._worker.notices.report("events not sent: emitted after close()")
