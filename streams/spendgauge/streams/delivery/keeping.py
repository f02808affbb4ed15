"""How is written what was decided? In the order of the decisions, by a thread, so that the main loop turns on."""

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Final

from spendgauge.schemas.alerts import ALERTS_SCHEMA
from spendgauge.schemas.settings import KafkaSettings
from spendgauge.streams.delivery.desk import Verdict
from spendgauge.streams.emitter import Emitter
from spendgauge.streams.records import Record, alert_records

__all__ = ["Keeper"]

_DELIVERIES_SCHEMA: Final = "spendgauge.deliveries/1"


class Keeper:
    """Writes verdicts, one batch at a time."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._topics = settings.topics
        self._emitter = Emitter(settings)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="keep")
        self._written: Future[bool] | None = None

    @property
    def busy(self) -> bool:
        """Whether a batch is not yet acknowledged."""
        return self._written is not None

    def write(self, verdicts: Sequence[Verdict]) -> None:
        """Begin to write; not while it is busy."""
        self._written = self._thread.submit(self._write, verdicts)

    def settle(self, *, wait_seconds: float) -> bool:
        """Wait for the batch; whether it is acknowledged. Raises ``ConfigurationError`` where it never will be."""
        if self._written is None or not wait([self._written], wait_seconds).done:
            return False
        written, self._written = self._written, None
        return written.result()

    def close(self) -> None:
        """Give up what is not written."""
        self._emitter.stop()
        self._thread.shutdown(cancel_futures=True)

    def _write(self, verdicts: Sequence[Verdict]) -> bool:
        entries = [Record(0, value, key) for verdict in verdicts for key, value in verdict.entries]
        alerts = alert_records((alert for verdict in verdicts for alert in verdict.alerts), partitions=1)
        return (not entries or self._emitter.emit(self._topics.deliveries, _DELIVERIES_SCHEMA, entries)) and (
            not alerts or self._emitter.emit(self._topics.alerts, ALERTS_SCHEMA, alerts)
        )
