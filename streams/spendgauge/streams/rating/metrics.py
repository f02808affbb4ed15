"""Which figures does a rates worker give, and how far is it? Read from its parts as they are; nothing is asked."""

from collections.abc import Hashable, Iterator
from typing import get_args

from prometheus_client import Histogram
from prometheus_client.core import Metric

from spendgauge.schemas.clock import Clock
from spendgauge.schemas.monitor_metrics import SECONDS_BUCKETS, MetricsCollector, Values, counter, gauge, new_registry
from spendgauge.schemas.progress import Progress, Standing, Watch
from spendgauge.schemas.rejects import RejectReason
from spendgauge.streams.rating.agent import RatesAgent
from spendgauge.streams.reading.transport import Consumer

__all__ = ["RatesMetrics"]

_PREFIX = "spendgauge_rates"


class RatesMetrics:
    """One worker's figures; ``look`` is called in its event loop now and then, the registry is read by any thread."""

    def __init__(self, clock: Clock) -> None:
        self.registry = new_registry()
        self.watch = Watch(clock)
        self.flush_seconds = Histogram(
            f"{_PREFIX}_flush_duration_seconds",
            "How long each flush took that wrote something, until the broker acknowledged it.",
            registry=self.registry,
            buckets=SECONDS_BUCKETS,
        )
        self._agent: RatesAgent | None = None
        self._consumer: Consumer | None = None
        self._rebalances = 0
        self.registry.register(MetricsCollector(_PREFIX, self.watch, self._read))

    def look(self, agent: RatesAgent, consumer: Consumer, *, rebalances: int) -> None:
        """See how the worker stands."""
        self._agent, self._consumer, self._rebalances = agent, consumer, rebalances
        self.watch.look(_standing(consumer))

    def _read(self) -> Iterator[Metric]:
        if self._agent is None or self._consumer is None:
            return
        counts, read_bytes = self._agent.counts, self._consumer.bytes_read
        yield counter(f"{_PREFIX}_records_total", "Records read from usage.events.", counts.records)
        yield counter(f"{_PREFIX}_read_bytes_total", "Bytes of values read from usage.events.", read_bytes)
        yield counter(f"{_PREFIX}_events_total", "Valid events read, repeats included.", counts.events)
        yield counter(
            f"{_PREFIX}_repeats_total", "Events that were counted before and are left out.", counts.duplicates
        )
        rejects: Values = {(reason,): counts.rejects[reason] for reason in get_args(RejectReason)}
        yield counter(f"{_PREFIX}_rejects_total", "Lines that are no valid event.", rejects, labels=["reason"])
        yield counter(f"{_PREFIX}_ends_total", "Lines that say that a source ends.", counts.ends)
        yield counter(f"{_PREFIX}_contributions_total", "Contributions written to cost.rates.", counts.contributions)
        yield counter(f"{_PREFIX}_rebalances_total", "How often partitions were shared out anew.", self._rebalances)
        yield gauge(f"{_PREFIX}_live_keys", "Totals in memory.", self._agent.live_keys)
        gaps, events = self._agent.missing
        yield gauge(f"{_PREFIX}_open_gaps", "Runs of numbers of sources whose events have not come.", gaps)
        yield gauge(f"{_PREFIX}_missing_events", "Events that have not come, as their sources' numbers tell.", events)


def _standing(consumer: Consumer) -> Standing:
    """Say where a worker stands in each partition that it reads, as it knows."""
    membership, readings = consumer.membership, consumer.readings
    progress: dict[Hashable, Progress] = {
        (tp, reading.epoch): Progress(
            tp.topic, tp.partition, reading.next_offset, consumer.committed(tp), membership.ends.get(tp)
        )
        for tp, reading in readings.items()
    }
    return Standing(membership.answered, membership.settled and readings.keys() >= membership.assigned, progress)
