"""Whose books are balanced? Those that two groups of consumers keep: the workers and the sinks."""

from dataclasses import dataclass

from spendgauge.insights.periods import ALWAYS, Period
from spendgauge.insights.reconcile import Reconciliation, reconcile
from spendgauge.schemas import ClickHouseSettings, KafkaSettings, SystemClock
from spendgauge.sinks.clickhouse import connect
from spendgauge.sinks.settings import SinkSettings
from spendgauge.streams.settings import WorkerSettings

__all__ = ["Groups", "balance_books"]


@dataclass(frozen=True)
class Groups:
    """What the consumer groups are called."""

    workers: str = str(WorkerSettings.model_fields["rates_group"].default)
    sinks: str = str(SinkSettings.model_fields["sink_group"].default)


def balance_books(
    kafka: KafkaSettings,
    clickhouse: ClickHouseSettings,
    *,
    wait_seconds: float,
    period: Period = ALWAYS,
    groups: Groups | None = None,
) -> Reconciliation:
    """Balance the books. Raises ``UnavailableError`` or ``QueryError`` where they cannot be read."""
    names, topics = groups or Groups(), kafka.topics
    read = {names.workers: [topics.usage], names.sinks: topics.stored}
    client = connect(clickhouse)
    return reconcile(client, kafka, read, clock=SystemClock(), wait_seconds=wait_seconds, period=period)
