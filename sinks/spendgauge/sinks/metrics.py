"""Which figures does a sink give?"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Final, NamedTuple

from prometheus_client import Counter, Histogram
from prometheus_client.core import Metric

from spendgauge.schemas import Clock
from spendgauge.schemas.monitor_metrics import SECONDS_BUCKETS, MetricsCollector, Values, counter, gauge, new_registry
from spendgauge.schemas.progress import Watch
from spendgauge.sinks.tables import TABLES
from spendgauge.sinks.tally import Tally

__all__ = ["Held", "SinkMetrics"]

_PREFIX: Final = "spendgauge_sink"
_FAULTY_ATTEMPTS: Final = 5
"""Some seconds of trying: a server that is started again answers before that."""


class Held(NamedTuple):
    """What the main loop holds now."""

    records: int = 0
    bytes: int = 0
    rebalances: int = 0


class SinkMetrics:
    """One sink's figures: counted where it happens, read by any thread."""

    def __init__(self, clock: Clock) -> None:
        self.registry = new_registry()
        self.watch = Watch(clock)
        self.tally = Tally()
        self.held: Callable[[], Held] = Held
        self.fault: str | None = None
        """What ClickHouse has refused again and again, in a sentence; None: it takes what it is sent."""
        self._inserts = Histogram(
            f"{_PREFIX}_insert_duration_seconds",
            "How long ClickHouse took over an INSERT, whether it took it or not.",
            labelnames=["table"],
            registry=self.registry,
            buckets=SECONDS_BUCKETS,
        )
        self._retries = Counter(
            f"{_PREFIX}_insert_retries_total",
            "INSERTs that failed and are tried again.",
            labelnames=["table"],
            registry=self.registry,
        )
        for table in TABLES:
            self._inserts.labels(table.name)
            self._retries.labels(table.name)
        self.registry.register(MetricsCollector(_PREFIX, self.watch, self._read))

    def timed(self, table: str) -> AbstractContextManager[object]:
        """Time an INSERT."""
        return self._inserts.labels(table).time()

    def on_retry(self, table: str, attempt: int, reason: str) -> None:
        """Count an INSERT that failed; where it has failed so often that it is no restart, it is a fault."""
        self._retries.labels(table).inc()
        if attempt >= _FAULTY_ATTEMPTS:
            self.fault = (
                f"ClickHouse did not take an insert into {table} ({attempt} attempts: {reason}); "
                "put that right: what is read waits in Kafka meanwhile"
            )

    def on_stored(self) -> None:
        """Hear that a batch is stored."""
        self.fault = None

    def _read(self) -> Iterator[Metric]:
        totals, held = self.tally.totals, self.held()
        rows: Values = {(table.name,): totals[table.name] for table in TABLES}
        yield counter(f"{_PREFIX}_rows_total", "Rows stored and committed.", rows, labels=["table"])
        yield counter(f"{_PREFIX}_inserted_bytes_total", "Bytes of the INSERTs, uncompressed.", totals["bytes"])
        yield counter(f"{_PREFIX}_batches_total", "Batches stored and committed.", totals["batches"])
        yield counter(f"{_PREFIX}_refused_rows_total", "Rows that ClickHouse refused.", totals["refused"])
        yield counter(
            f"{_PREFIX}_rejected_events_total", "Lines of usage.events that are no event.", totals["rejected_events"]
        )
        yield counter(f"{_PREFIX}_ends_total", "Lines of usage.events that say that a source ends.", totals["ends"])
        yield counter(f"{_PREFIX}_rebalances_total", "How often partitions were shared out anew.", held.rebalances)
        yield gauge(f"{_PREFIX}_buffered_records", "Records read and not yet sent to ClickHouse.", held.records)
        yield gauge(f"{_PREFIX}_buffered_bytes", "Bytes read and not yet sent to ClickHouse.", held.bytes)
