"""What is counted of a gateway? Requests by answer, events by key and fate, and what its producer holds."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence

from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from spendgauge.producers.emitter import ProducerStats
from spendgauge.producers.gateway.taking import Outcome
from spendgauge.producers.quotas import QuotaVerdict
from spendgauge.schemas.monitor_metrics import counter, gauge, new_registry

__all__ = ["Figures"]


class Figures(Collector):
    """Counts on the event loop's thread; any thread may read."""

    def __init__(self, stats: Callable[[], ProducerStats], obstacles: Callable[[], Sequence[str]]) -> None:
        self.active = 0
        self.ignored_spans = 0
        self._checks: Counter[tuple[str, ...]] = Counter()
        self.registry = new_registry()
        self._stats = stats
        self._obstacles = obstacles
        self._requests: Counter[tuple[str, ...]] = Counter()
        self._events: Counter[tuple[str, ...]] = Counter()
        self.registry.register(self)

    def on_reply(self, route: str, status: int) -> None:
        """Count a request that was answered."""
        self._requests[route, str(status)] += 1

    def on_outcomes(self, key: str, outcomes: Sequence[Outcome]) -> None:
        """Count what became of a request's items."""
        for fate, count in Counter(outcome.fate for outcome in outcomes).items():
            self._events[key, fate] += count

    def on_check(self, key: str, verdict: QuotaVerdict) -> None:
        """Count a question for the quotas of a call."""
        self._checks[key, verdict.reason] += 1

    def collect(self) -> Iterator[Metric]:
        """Read all figures as they are now."""
        prefix, stats = "spendgauge_gateway", self._stats()
        yield gauge(f"{prefix}_ready", "1 where events are taken.", int(not self._obstacles()))
        yield gauge(f"{prefix}_active_requests", "Requests that are under way.", self.active)
        yield counter(
            f"{prefix}_requests_total", "Requests answered.", dict(self._requests), labels=("route", "status")
        )
        yield counter(
            f"{prefix}_events_total",
            "Items of requests, by what became of them.",
            dict(self._events),
            labels=("key", "fate"),
        )
        yield counter(
            f"{prefix}_quota_checks_total",
            "Calls asked about, by the limit that they reach.",
            dict(self._checks),
            labels=("key", "reason"),
        )
        yield counter(f"{prefix}_ignored_spans_total", "Spans that are no calls to models.", self.ignored_spans)
        yield counter(f"{prefix}_delivered_events_total", "Events that the broker has acknowledged.", stats.delivered)
        yield counter(f"{prefix}_replayed_events_total", "The same, of what earlier processes left.", stats.replayed)
        yield counter(f"{prefix}_refused_events_total", "Events that no broker will take.", stats.refused)
        yield gauge(f"{prefix}_spooled_events", "Events on disk that the broker has not acknowledged.", stats.spooled)
        yield gauge(f"{prefix}_queued_events", "Events in memory that the broker has not acknowledged.", stats.queued)
