"""Which figures does every consumer give? How far it is behind, and whether it is ready, in Prometheus' terms."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from spendgauge.schemas.progress import Watch

__all__ = ["SECONDS_BUCKETS", "MetricsCollector", "Values", "counter", "gauge", "new_registry"]

SECONDS_BUCKETS: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""Of the histograms: what takes longer than the last is a fault."""

_WHERE: Final = ("topic", "partition")

Values = Mapping[tuple[str, ...], float]
"""Values by those of the labels."""


class MetricsCollector(Collector):
    """Gives what ``read`` gives, each time it is asked, and how far behind ``watch`` says that the process is."""

    def __init__(self, prefix: str, watch: Watch, read: Callable[[], Iterator[Metric]]) -> None:
        self._prefix = prefix
        self._watch = watch
        self._read = read

    def collect(self) -> Iterator[Metric]:
        """Read all values as they are now."""
        yield from self._read()
        behind = sorted(self._watch.behind(), key=lambda found: (found[0].topic, found[0].partition))
        places = [((progress.topic, str(progress.partition)), progress, seconds) for progress, seconds in behind]
        prefix = self._prefix
        yield gauge(
            f"{prefix}_ready",
            "1 where its partitions are shared out and it keeps up with them.",
            int(not self._watch.obstacles()),
        )
        yield gauge(f"{prefix}_assigned_partitions", "How many partitions this process reads.", len(places))
        yield gauge(
            f"{prefix}_lag_seconds",
            "All that was in the partition so long ago is done.",
            {where: seconds for where, _, seconds in places},
            labels=_WHERE,
        )
        yield gauge(
            f"{prefix}_lag_records",
            "Records in the log that are still to be read.",
            {where: progress.lag for where, progress, _ in places},
            labels=_WHERE,
        )
        yield gauge(
            f"{prefix}_committed_lag_records",
            "Records in the log that are still to be committed.",
            {where: progress.committed_lag for where, progress, _ in places},
            labels=_WHERE,
        )


def gauge(name: str, text: str, value: float | Values, *, labels: Sequence[str] = ()) -> Metric:
    """Make a gauge; with ``labels``, the values by the labels' values."""
    return _filled(GaugeMetricFamily(name, text, labels=labels), value)


def counter(name: str, text: str, value: float | Values, *, labels: Sequence[str] = ()) -> Metric:
    """Make a counter, whose name ends in ``_total``; with ``labels``, the values by the labels' values."""
    return _filled(CounterMetricFamily(name, text, labels=labels), value)


def new_registry() -> CollectorRegistry:
    """Make a registry of one's own that tells of the process itself: memory, processor time, open files."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    return registry


def _filled(family: GaugeMetricFamily | CounterMetricFamily, value: float | Values) -> Metric:
    for labels, each in value.items() if isinstance(value, Mapping) else [((), value)]:
        family.add_metric(labels, each)
    return family
