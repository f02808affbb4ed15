"""Which figures does a notifier give?"""

from collections import Counter
from collections.abc import Iterator
from typing import Final

from prometheus_client.core import Metric

from spendgauge.schemas.clock import Clock
from spendgauge.schemas.monitor_metrics import MetricsCollector, counter, gauge, new_registry
from spendgauge.schemas.progress import Watch
from spendgauge.streams.delivery.desk import Desk
from spendgauge.streams.delivery.hearing import Alerts

__all__ = ["NotifierMetrics"]

_PREFIX: Final = "spendgauge_notifier"
_FATES: Final = ("sent", "refused", "failed")


class NotifierMetrics:
    """One notifier's figures: counted by its main loop, read by any thread."""

    def __init__(self, clock: Clock) -> None:
        self.registry = new_registry()
        self.watch = Watch(clock)
        self.attempts: Counter[tuple[str, str]] = Counter()
        """By channel and outcome."""
        self.lines = 0
        self._invalid = self._up = self._rebalances = 0
        self._waiting: dict[str, int] = {}
        self._failing: frozenset[str] = frozenset()
        self._file_ok = True
        self.registry.register(MetricsCollector(_PREFIX, self.watch, self._read))

    def look(self, alerts: Alerts, desk: Desk | None, *, error: str | None) -> None:
        """See how the notifier stands; ``error`` is what is wrong with its file."""
        self.watch.look(alerts.standing())
        self._invalid, self._rebalances = alerts.invalid, alerts.statistics.rebalances
        self._file_ok = error is None
        self._waiting = dict(desk.waiting) if desk else {}
        self._failing = frozenset(desk.failing) if desk else frozenset()
        self._up = desk.up if desk else 0

    def _read(self) -> Iterator[Metric]:
        waiting, failing = self._waiting, self._failing
        channels = sorted(waiting.keys() | {channel for channel, _ in list(self.attempts)})
        yield counter(f"{_PREFIX}_alert_lines_total", "Lines read from cost.alerts.", self.lines)
        yield counter(f"{_PREFIX}_invalid_lines_total", "Lines of cost.alerts that are no alert.", self._invalid)
        yield counter(
            f"{_PREFIX}_attempts_total",
            "Attempts to send a message, by what came of them.",
            {(channel, fate): self.attempts[channel, fate] for channel in channels for fate in _FATES},
            labels=["channel", "outcome"],
        )
        yield gauge(
            f"{_PREFIX}_waiting_messages",
            "Messages that are due and not yet sent.",
            {(channel,): number for channel, number in waiting.items()},
            labels=["channel"],
        )
        yield gauge(
            f"{_PREFIX}_channel_failing",
            "1 where an alert is up that the channel does not get its messages.",
            {(channel,): int(channel in failing) for channel in waiting},
            labels=["channel"],
        )
        yield counter(f"{_PREFIX}_rebalances_total", "How often the partition was shared out anew.", self._rebalances)
        yield gauge(f"{_PREFIX}_incidents_up", "Incidents that are not over.", self._up)
        yield gauge(f"{_PREFIX}_configuration_ok", "1 where the file as it is is in use.", int(self._file_ok))
