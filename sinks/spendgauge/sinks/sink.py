"""How does usage get from Kafka into ClickHouse? Read, decode, price, insert, and only then commit.

The order is the guarantee:

1. the main thread reads records into a buffer, until it is old or large enough;
2. another thread decodes and prices them into rows;
3. it inserts the rows, waiting out every failure that is not a row's own fault;
4. the main thread commits the offsets of what was inserted, batch by batch in the order of reading.

A crash before 4 repeats 1 to 3, and the tables keep each row once. Two batches may be in 2 and 3 at a time: one is
decoded while ClickHouse takes the other. While 3 waits, the buffer fills, the partitions are paused, and the main loop
keeps polling: a sink that waits for ClickHouse stays in its group. When partitions move to another sink, what is
buffered of them is dropped; what is being inserted stays harmless, for it will be the same again.
"""

import gc
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from threading import Event
from typing import Final

import structlog

from spendgauge.schemas import Clock, ConfigurationError, RecordChunk, SystemClock, TopicNames
from spendgauge.schemas.chunks import prepare_decoder
from spendgauge.schemas.heartbeat import Heartbeat
from spendgauge.schemas.monitor import Vitals, monitoring
from spendgauge.schemas.prices import PriceBook
from spendgauge.sinks.buffer import Buffer, Partition, positions_of
from spendgauge.sinks.clickhouse import connect, parse_address
from spendgauge.sinks.consumer import Intake
from spendgauge.sinks.metrics import Held, SinkMetrics
from spendgauge.sinks.migrate import pending_migrations
from spendgauge.sinks.rows import decode_chunks
from spendgauge.sinks.settings import SinkSettings
from spendgauge.sinks.writer import Batch, Writer, Written, is_local

__all__ = ["run_sink"]

_POLL_SECONDS: Final = 0.1
_POLL_RECORDS: Final = 10_000
_THREADS: Final = 2
_BATCHES_AHEAD: Final = 3
"""One waits, so that no thread does. More: memory, and more to repeat after a crash."""

_GARBAGE: Final = (100_000, 20, 20)
"""Python looks for cycles when so many objects were made. A batch is hundreds of thousands of objects without a cycle:
with Python's own 700 that took a quarter of the sink's time."""

_LEAVE_SECONDS: Final = 10.0
"""How long a stopping sink waits for ClickHouse. Longer than a supervisor's patience, and it is killed instead."""

_HANDOVER_SECONDS: Final = 2.0
"""How long a rebalance waits for the running insert, so that the next owner need not repeat it."""

_log = structlog.get_logger(__name__)


def run_sink(settings: SinkSettings, stop: Event, clock: Clock | None = None) -> None:
    """Store until ``stop`` is set; then store what was read, commit, leave the group.

    Raises ``UnavailableError`` where Kafka or ClickHouse does not answer at the start, ``ConfigurationError`` where
    the database is not migrated. Later failures of either are waited out.
    """
    clock = clock or SystemClock()
    heartbeat, metrics = Heartbeat(settings.heartbeat, clock), SinkMetrics(clock)

    def obstacles() -> list[str]:
        return ["it is stopping"] if stop.is_set() else metrics.watch.obstacles()

    with monitoring(settings, Vitals(metrics.registry, heartbeat.silent_seconds, obstacles)):
        _run(settings, stop, heartbeat, metrics, clock)


def _run(settings: SinkSettings, stop: Event, heartbeat: Heartbeat, metrics: SinkMetrics, clock: Clock) -> None:
    abandon = Event()
    book = PriceBook.load(settings.prices)
    prepare_decoder()
    work = _Work(book, settings.topics, _writer(settings, abandon, metrics))
    with _seldom_collecting(), ThreadPoolExecutor(_THREADS, thread_name_prefix="store") as threads:
        sink = _Sink(
            settings,
            store=lambda chunks: threads.submit(work.store, chunks),
            heartbeat=heartbeat,
            metrics=metrics,
            clock=clock,
        )
        try:
            sink.run(stop)
            sink.finish(abandon)
        finally:
            abandon.set()  # an insert that still waits must not keep the process
            sink.close()


@contextmanager
def _seldom_collecting() -> Iterator[None]:
    before = gc.get_threshold()
    gc.set_threshold(*_GARBAGE)
    try:
        yield
    finally:
        gc.set_threshold(*before)


def _writer(settings: SinkSettings, abandon: Event, metrics: SinkMetrics) -> Writer:
    database = parse_address(settings.clickhouse).database
    if missing := pending_migrations(settings):
        raise ConfigurationError(f"database {database} lacks {', '.join(missing)}; run `spendgauge migrate`")
    return Writer(
        client=connect(settings),
        batch_rows=settings.batch_rows,
        wait=lambda seconds: not abandon.wait(seconds),
        on_retry=partial(_on_retry, metrics),
        timed=metrics.timed,
        compress=not is_local(parse_address(settings.clickhouse).host),
    )


def _on_retry(metrics: SinkMetrics, table: str, attempt: int, reason: str) -> None:
    metrics.on_retry(table, attempt, reason)
    _log.warning("ClickHouse did not take an insert; trying again", table=table, attempt=attempt, reason=reason)


@dataclass(frozen=True)
class _Work:
    """The other threads' side."""

    book: PriceBook
    topics: TopicNames
    writer: Writer

    def store(self, chunks: Sequence[RecordChunk]) -> Written:
        """Decode, price and insert. Raises ``AbandonedError``."""
        decoded = decode_chunks(chunks, book=self.book, topics=self.topics)
        written = self.writer.write(Batch(chunks, decoded.rows, positions_of(chunks)))
        written.lines_without_row.update(rejected_events=decoded.rejected_events, ends=decoded.ends)
        return written


class _Sink:
    """The main thread's side: what is buffered, and what is on its way."""

    def __init__(
        self,
        settings: SinkSettings,
        *,
        store: Callable[[Sequence[RecordChunk]], Future[Written]],
        heartbeat: Heartbeat,
        metrics: SinkMetrics,
        clock: Clock,
    ) -> None:
        self._settings = settings
        self._store = store
        self._clock = clock
        self._buffer = Buffer()
        self._on_its_way: deque[Future[Written]] = deque()
        self._metrics = metrics
        self._tally = metrics.tally
        self._watch = metrics.watch
        self._heartbeat = heartbeat
        self._intake = Intake(settings, on_revoke=self._on_revoke, clock=clock)
        metrics.held = self._held

    def run(self, stop: Event) -> None:
        """Turn the loop until told to stop."""
        while not stop.is_set():
            self._heartbeat.beat(self._metrics.fault)
            self._read()
            self._settle(wait_seconds=0)
            if self._is_due() and len(self._on_its_way) < _BATCHES_AHEAD:
                self._send()
            self._intake.hold(paused=self._is_full())
            self._watch.look(self._intake.standing())
            self._tally.report(self._clock.monotonic(), lag=self._lag)

    def finish(self, abandon: Event) -> None:
        """Store and commit what has been read, unless ClickHouse takes too long."""
        if self._buffer:
            self._send()
        deadline = self._clock.monotonic() + _LEAVE_SECONDS
        while self._on_its_way:
            left = deadline - self._clock.monotonic()
            if left <= 0:
                _log.warning("ClickHouse did not answer in time; the records will be read again")
                abandon.set()
                return
            self._settle(wait_seconds=left)
        while not self._intake.commit({}) and self._clock.monotonic() < deadline:
            self._intake.await_commit(_POLL_SECONDS)

    def close(self) -> None:
        """Leave the group; what is still on its way is not committed."""
        self._on_its_way.clear()
        self._intake.close()
        self._tally.report(self._clock.monotonic(), lag=None)

    def _read(self) -> None:
        messages = self._intake.read(records=_POLL_RECORDS, timeout_seconds=_POLL_SECONDS)
        self._buffer.add(messages, stream_of=self._intake.stream_of, now=self._clock.monotonic())

    def _is_due(self) -> bool:
        since = self._buffer.since
        if since is None:
            return False
        return self._is_full() or self._clock.monotonic() - since >= self._settings.flush_seconds

    def _is_full(self) -> bool:
        return self._buffer.bytes >= self._settings.batch_bytes or self._buffer.records >= self._settings.batch_rows

    def _held(self) -> Held:
        return Held(self._buffer.records, self._buffer.bytes, self._intake.statistics.rebalances)

    def _lag(self) -> int:
        return sum(progress.lag for progress, _ in self._watch.behind())

    def _send(self) -> None:
        self._on_its_way.append(self._store(self._buffer.take()))

    def _settle(self, *, wait_seconds: float) -> None:
        """Commit the oldest batch on its way, if it has arrived."""
        if not self._on_its_way:
            self._intake.commit({})
            return
        try:
            written = self._on_its_way[0].result(timeout=wait_seconds)
        except TimeoutError:
            self._intake.commit({})
            return
        self._on_its_way.popleft()
        self._intake.commit(written.positions)
        self._tally.add(written)
        self._metrics.on_stored()

    def _on_revoke(self, partitions: frozenset[Partition], lost: bool) -> None:
        """Let partitions go: commit what arrives at once, if that is still ours to say, and drop what was not sent."""
        for _ in range(0 if lost else len(self._on_its_way)):
            self._settle(wait_seconds=_HANDOVER_SECONDS)
        self._buffer.drop(partitions)
