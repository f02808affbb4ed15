"""Whose books are balanced? Those of the usual consumer groups: the workers' and the sinks'."""

from spendgauge.insights.periods import ALWAYS, Period
from spendgauge.insights.reconcile import Reconciliation, reconcile
from spendgauge.schemas import ClickHouseSettings, KafkaSettings, SystemClock
from spendgauge.sinks.clickhouse import connect
from spendgauge.sinks.settings import SinkSettings
from spendgauge.streams.settings import WorkerSettings

__all__ = ["balance_books"]


def balance_books(
    kafka: KafkaSettings, clickhouse: ClickHouseSettings, *, wait_seconds: float, period: Period = ALWAYS
) -> Reconciliation:
    """Balance the books. Raises ``UnavailableError`` or ``QueryError`` where they cannot be read."""
    topics = kafka.topics
    groups = {
        WorkerSettings.model_fields["group_id"].default: [topics.usage],
        SinkSettings.model_fields["group_id"].default: [topics.usage, topics.rates, topics.rejected],
    }
    client = connect(clickhouse)
    return reconcile(client, kafka, groups, clock=SystemClock(), wait_seconds=wait_seconds, period=period)
