"""Which figures does a watcher give, and how far is it? Read from its parts as they are; nothing is asked."""

from collections import Counter
from collections.abc import Hashable, Iterator, Sequence

from prometheus_client import Histogram
from prometheus_client.core import Metric

from spendgauge.schemas.alerts import Alert
from spendgauge.schemas.clock import Clock
from spendgauge.schemas.monitor_metrics import SECONDS_BUCKETS, MetricsCollector, Values, counter, gauge, new_registry
from spendgauge.schemas.progress import Progress, Standing, Watch
from spendgauge.streams.reading.transport import Consumer
from spendgauge.streams.watching.agent import WatchAgent
from spendgauge.streams.watching.files import ConfigurationFiles

__all__ = ["WatcherMetrics"]

_PREFIX = "spendgauge_watcher"
_LIVE_SECONDS = 300
"""An alert about a minute that ended longer ago says nothing of how long alerts take."""


class WatcherMetrics:
    """One watcher's figures; ``look`` is called in its event loop now and then, the registry is read by any thread."""

    def __init__(self, clock: Clock, files: ConfigurationFiles) -> None:
        self.registry = new_registry()
        self.watch = Watch(clock)
        self.alert_seconds = Histogram(
            f"{_PREFIX}_alert_seconds",
            "From the end of the minute that decided a step to its alert's acknowledgement.",
            registry=self.registry,
            buckets=SECONDS_BUCKETS,
        )
        self._files = files
        self._alerts: Counter[tuple[str, ...]] = Counter()
        self._agent: WatchAgent | None = None
        self._rebalances = 0
        self.registry.register(MetricsCollector(_PREFIX, self.watch, self._read))

    def on_told(self, alerts: Sequence[Alert], now_ms: int) -> None:
        """Hear of alerts that were sent."""
        for alert in alerts:
            self._alerts[alert.rule, alert.state, alert.severity] += 1
            seconds = now_ms / 1000 - alert.evaluated_at
            if 0 <= seconds <= _LIVE_SECONDS:
                self.alert_seconds.observe(seconds)

    def look(self, agent: WatchAgent, consumer: Consumer, *, rebalances: int) -> None:
        """See how the watcher stands."""
        self._agent, self._rebalances = agent, rebalances
        self.watch.look(_standing(agent, consumer))

    def obstacles(self) -> list[str]:
        """Say why this watcher is not ready, a sentence each."""
        found = self.watch.obstacles()
        waiting = sum(holding.horizon.waits_for_rates for holding in self._agent.holdings) if self._agent else 0
        if waiting:
            found.append(f"the minutes of {waiting} partitions wait for the rates workers, which are behind")
        return [*found, self._files.error] if self._files.error else found

    def _read(self) -> Iterator[Metric]:
        if self._agent is None:
            return
        yield counter(f"{_PREFIX}_lines_total", "Lines of cost.rates taken in.", self._agent.lines)
        yield counter(f"{_PREFIX}_minutes_total", "Minutes closed, of each partition.", self._agent.minutes)
        closed: Values = {
            (str(holding.partition),): (holding.closed + 1) * 60
            for holding in self._agent.holdings
            if holding.closed is not None
        }
        yield gauge(
            f"{_PREFIX}_closed_timestamp_seconds",
            "All minutes up to this time are judged.",
            closed,
            labels=["partition"],
        )
        yield gauge(
            f"{_PREFIX}_history_partitions",
            "Partitions whose past is still read for keys that are new to budgets and quotas.",
            self._agent.recalled,
        )
        yield counter(
            f"{_PREFIX}_alerts_total",
            "Steps of alerts written to cost.alerts.",
            dict(self._alerts),
            labels=["rule", "state", "severity"],
        )
        yield counter(f"{_PREFIX}_configuration_failures_total", "Edits that could not be used.", self._files.failures)
        yield gauge(f"{_PREFIX}_configuration_ok", "1 where the files as they are are in use.", not self._files.error)
        yield counter(f"{_PREFIX}_rebalances_total", "How often partitions were shared out anew.", self._rebalances)


def _standing(agent: WatchAgent, consumer: Consumer) -> Standing:
    """Say where a watcher stands in each partition that it reads, as it knows."""
    membership, readings = consumer.membership, consumer.readings
    positions = {holding.reading: holding.horizon.position for holding in agent.holdings}
    progress: dict[Hashable, Progress] = {
        (tp, reading.epoch): Progress(
            tp.topic,
            tp.partition,
            positions.get(reading, reading.origin.base),
            consumer.committed(tp),
            membership.ends.get(tp),
            commits_later=True,
        )
        for tp, reading in readings.items()
    }
    taken = positions.keys() >= set(readings.values())
    return Standing(membership.answered, membership.settled and taken, progress)
