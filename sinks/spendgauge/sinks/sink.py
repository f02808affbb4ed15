"""How does usage get from Kafka into ClickHouse? Read, decode, price, insert, and only then commit.

The order is the guarantee:

1. records are read into a buffer, until it is old or large enough;
2. the main thread decodes and prices them into rows, while ClickHouse takes the batch before;
3. one other thread inserts the rows, waiting out every failure that is not a row's own fault;
4. the main thread commits the offsets of what was inserted.

A crash before 4 repeats 1 to 3, and the tables keep each row once. While 3 waits, the buffer fills, the partitions are
paused, and the main loop keeps polling: a sink that waits for ClickHouse stays in its group. When partitions move to
another sink, what is buffered of them is dropped; what is being inserted stays harmless, for it will be the same again.
"""

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from threading import Event
from typing import Final

import structlog

from spendgauge.schemas import Clock, ConfigurationError, SystemClock
from spendgauge.schemas.heartbeat import Heartbeat
from spendgauge.schemas.prices import PriceBook
from spendgauge.sinks.buffer import Buffer, Partition
from spendgauge.sinks.clickhouse import connect, parse_address
from spendgauge.sinks.consumer import Intake
from spendgauge.sinks.migrate import pending_migrations
from spendgauge.sinks.rows import decode_chunks
from spendgauge.sinks.settings import SinkSettings
from spendgauge.sinks.tally import Tally
from spendgauge.sinks.writer import Batch, Writer, Written, is_local

__all__ = ["run_sink"]

_POLL_SECONDS: Final = 0.1
_POLL_RECORDS: Final = 10_000
_BATCHES_AHEAD: Final = 2
"""One is being inserted, one waits decoded. More: memory, and more to repeat after a crash."""

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
    abandon = Event()
    book = PriceBook.load(settings.prices)
    writer = _writer(settings, abandon)
    with ThreadPoolExecutor(1, thread_name_prefix="insert") as inserter:
        sink = _Sink(settings, _Parts(book, writer, inserter, clock))
        try:
            sink.run(stop)
            sink.finish(abandon)
        finally:
            abandon.set()  # an insert that still waits must not keep the process
            sink.close()


def _writer(settings: SinkSettings, abandon: Event) -> Writer:
    database = parse_address(settings.clickhouse).database
    if missing := pending_migrations(settings):
        raise ConfigurationError(f"database {database} lacks {', '.join(missing)}; run `spendgauge migrate`")
    return Writer(
        client=connect(settings),
        batch_rows=settings.batch_rows,
        wait=lambda seconds: not abandon.wait(seconds),
        on_retry=_log_retry,
        compress=not is_local(parse_address(settings.clickhouse).host),
    )


def _log_retry(table: str, attempt: int, reason: str) -> None:
    _log.warning("ClickHouse did not take an insert; trying again", table=table, attempt=attempt, reason=reason)


@dataclass(frozen=True)
class _Parts:
    book: PriceBook
    writer: Writer
    inserter: ThreadPoolExecutor
    clock: Clock


class _Sink:
    """The main thread's side: what is buffered, and what is on its way."""

    def __init__(self, settings: SinkSettings, parts: _Parts) -> None:
        self._settings = settings
        self._parts = parts
        self._buffer = Buffer()
        self._on_its_way: deque[Future[Written]] = deque()
        self._tally = Tally()
        self._heartbeat = Heartbeat(settings.heartbeat, parts.clock)
        self._intake = Intake(settings, on_revoke=self._on_revoke)

    def run(self, stop: Event) -> None:
        """Turn the loop until told to stop."""
        while not stop.is_set():
            self._heartbeat.beat()
            self._read()
            self._settle(wait_seconds=0)
            if self._is_due() and len(self._on_its_way) < _BATCHES_AHEAD:
                self._send()
            self._intake.hold(paused=self._is_full())
            self._tally.report(self._parts.clock.monotonic(), lag=self._intake.lag)

    def finish(self, abandon: Event) -> None:
        """Store and commit what has been read, unless ClickHouse takes too long."""
        if self._buffer:
            self._send()
        deadline = self._parts.clock.monotonic() + _LEAVE_SECONDS
        while self._on_its_way:
            left = deadline - self._parts.clock.monotonic()
            if left <= 0:
                _log.warning("ClickHouse did not answer in time; the records will be read again")
                abandon.set()
                return
            self._settle(wait_seconds=left)

    def close(self) -> None:
        """Leave the group; what is still on its way is not committed."""
        self._on_its_way.clear()
        self._intake.close()
        self._tally.report(self._parts.clock.monotonic(), lag=None)

    def _read(self) -> None:
        messages = self._intake.read(records=_POLL_RECORDS, timeout_seconds=_POLL_SECONDS)
        self._buffer.add(messages, stream_of=self._intake.stream_of, now=self._parts.clock.monotonic())

    def _is_due(self) -> bool:
        since = self._buffer.since
        if since is None:
            return False
        return self._is_full() or self._parts.clock.monotonic() - since >= self._settings.flush_seconds

    def _is_full(self) -> bool:
        return self._buffer.bytes >= self._settings.batch_bytes or self._buffer.lines >= self._settings.batch_rows

    def _send(self) -> None:
        """Decode what is buffered and hand it to the inserting thread."""
        chunks = self._buffer.take()
        decoded = decode_chunks(chunks, book=self._parts.book, topics=self._settings.topics)
        positions = {(chunk.topic, chunk.partition): chunk.offsets[-1] + 1 for chunk in chunks}
        batch = Batch(chunks, decoded.rows, positions, decoded.rejected_events)
        self._on_its_way.append(self._parts.inserter.submit(self._parts.writer.write, batch))

    def _settle(self, *, wait_seconds: float) -> None:
        """Commit the oldest batch on its way, if it has arrived."""
        if not self._on_its_way:
            return
        try:
            written = self._on_its_way[0].result(timeout=wait_seconds)
        except TimeoutError:
            return
        self._on_its_way.popleft()
        self._intake.commit(written.batch.positions)
        self._tally.add(written)

    def _on_revoke(self, partitions: frozenset[Partition]) -> None:
        """Give the partitions away: commit what arrives at once, drop what was not sent yet."""
        for _ in range(len(self._on_its_way)):
            self._settle(wait_seconds=_HANDOVER_SECONDS)
        self._buffer.drop(partitions)
