"""How does a service emit usage events without ever waiting for it?"""

import threading
from collections.abc import Callable
from functools import partial
from types import TracebackType
from typing import Any, Self

from spendgauge.producers.client import Client, ErrorCallback, connect_client
from spendgauge.producers.emitter import ProducerStats
from spendgauge.producers.identity import boot_id, source_names
from spendgauge.producers.lane import Lane
from spendgauge.producers.lifecycle import unwatch, watch
from spendgauge.producers.notices import Notices
from spendgauge.producers.sender import Sender
from spendgauge.producers.settings import DeliverySettings, ProducerSettings
from spendgauge.producers.tally import Tally
from spendgauge.producers.worker import Barrier, Worker
from spendgauge.schemas import Clock, ConfigurationError, SystemClock

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
        self._closed = False
        self._all_sent = True
        self._failures_told = 0
        self._begin()
        self._worker.sender.connect()
        self._rouse(self._worker)

    def emit(self, /, **fields: Any) -> str | None:
        """Take one usage event, given as fields of ``UsageEvent``; never block, never raise.

        ``event_id``, ``occurred_at`` (now), ``source`` and ``seq`` are filled in; a field that is None counts as not
        given. Validation comes later, in the producer's thread: an invalid event is counted and logged.
        Returns the event's id, or None where it was not taken (queue full, closed).
        """
        try:
            worker = self._worker
            if self._closed:
                self._refuse_late()
                return None
            sender, queue = worker.sender, worker.queue
            if len(queue) + sender.pending_events >= self._max_events or sender.pending_bytes >= self._max_bytes:
                worker.dropped.hit()
                return None
            now_ms = self._now_ms()
            own_id = fields.get("event_id")
            if own_id is None:
                own_id = worker.ids.take(now_ms)
            tags = fields.get("tags")
            if type(tags) is dict:
                fields["tags"] = tags.copy()  # the caller may change its own before the thread looks
            queue.append((own_id, now_ms, fields))
            if worker.idle:
                self._rouse(worker)
            return own_id if type(own_id) is str else None
        except Exception:  # noqa: BLE001 - the promise: nothing is raised into the caller
            self._worker.refused.hit()
            return None

    def stats(self) -> ProducerStats:
        """Count what became of the events so far, in this process."""
        worker = self._worker
        delivered, failed = worker.sender.delivered_events, worker.sender.failed_events
        accepted, waiting = worker.accepted, len(worker.queue)  # read later, so that what is queued is never below 0
        return ProducerStats(
            accepted=accepted,
            delivered=delivered,
            failed=failed,
            queued=accepted - delivered - failed + waiting,
            invalid=worker.invalid + worker.refused.read(),
            dropped=worker.dropped.read(),
            closed=self._late.read(),
            records=worker.sender.delivered_records,
        )

    @property
    def sources(self) -> dict[str, int]:
        """The producer's sources in this process, one a lane, each with the seq that its next event gets."""
        return {lane.source: lane.next_seq for lane in self._worker.lanes}

    def flush(self, timeout_seconds: float = 10.0) -> bool:
        """Wait until every valid event emitted before is acknowledged.

        Returns False where that takes longer, or where one was given up since the last flush.
        """
        worker = self._worker
        if worker.stopped or not (worker.started or worker.queue):
            return True
        barrier = Barrier()
        worker.put(barrier)
        done = barrier.done.wait(timeout_seconds)
        failed = worker.sender.failed_events
        lost, self._failures_told = failed - self._failures_told, failed
        return done and not lost

    def close(self, timeout_seconds: float = 10.0) -> bool:
        """Flush, then stop for good; return whether everything was acknowledged.

        What is not acknowledged by then (and up to a second later) is counted as failed and logged. Closing again
        does nothing and returns the same. Later calls of ``emit`` are counted as closed.
        """
        with self._closing:
            if not self._closed:
                self._closed = True
                failed_before = self._failures_told
                self.flush(timeout_seconds)
                ended = self._worker.stop()
                unwatch(self)
                self._all_sent = ended and self._worker.sender.failed_events == failed_before
            return self._all_sent

    def __enter__(self) -> Self:
        """Use the producer as a context manager."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        self.close()

    def on_fork(self) -> None:
        """Become another source with an empty queue: this process is a child, and the parent sends what waited."""
        self._worker.sender.abandon()
        self._begin()
        self._worker.stopped = self._closed

    def on_exit(self) -> None:
        """Send what waits, within ``exit_seconds``."""
        self.close(self.settings.exit_seconds)

    def _begin(self) -> None:
        settings = self.settings
        names = source_names(settings.service, settings.host, boot_id(self._clock.now_ms()), lanes=settings.lanes)
        notices = Notices(self._clock.monotonic, source=names[0])
        self._worker = Worker(
            tuple(self._lane(name) for name in names),
            Sender(
                settings.topics.usage,
                partial(self._connect, settings),
                clock=self._clock,
                notices=notices,
            ),
            clock=self._clock,
            notices=notices,
            linger_seconds=settings.linger_ms / 1000,
            full_at=settings.coalesce_events,
        )
        self._late = Tally()
        self._closing = threading.RLock()
        self._all_sent = True
        self._failures_told = 0

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
        )

    def _refuse_late(self) -> None:
        if self._late.hit() == 0:
            self._worker.notices.report("events not sent: emitted after close()")
