"""What stands in for a producer in tests, and where events are not wanted?

No network, no thread, no file.
"""

import threading
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from spendgauge.producers.context import within
from spendgauge.producers.emitter import ProducerStats
from spendgauge.producers.identity import EventIds
from spendgauge.producers.invalid import InvalidEventError, InvalidRow
from spendgauge.producers.lane import Lane
from spendgauge.producers.notices import Notices
from spendgauge.producers.pseudonyms import PseudonymSettings
from spendgauge.producers.tariffs import load_tariff
from spendgauge.producers.totals import RunningTotals, UsageTotals
from spendgauge.schemas import Clock, SystemClock, UsageEvent
from spendgauge.schemas.lines import event_line

__all__ = ["NullProducer", "RecordingProducer"]


class NullProducer:
    """Takes every event and does nothing with it: what ``SPENDGAUGE_DISABLED=1`` gives.

    Where there is a reason, the first ``emit`` logs it.
    """

    def __init__(self, reason: str = "") -> None:
        self._reason = reason

    def emit(self, /, **fields: Any) -> str | None:  # noqa: ARG002 - the interface's signature
        """Do nothing; return None."""
        reason, self._reason = self._reason, ""
        if reason:
            Notices(SystemClock().monotonic).report("usage events are not sent", reason=reason)
        return None

    def stats(self) -> ProducerStats:
        """Return zeros."""
        return ProducerStats()

    def totals(self) -> UsageTotals:
        """Return zeros."""
        return UsageTotals()

    def flush(self, timeout_seconds: float = 10.0) -> bool:  # noqa: ARG002 - the same
        """Return True: nothing waits."""
        return True

    def close(self, timeout_seconds: float = 10.0) -> bool:  # noqa: ARG002 - the same
        """Return True: nothing waits."""
        return True

    def __enter__(self) -> Self:
        """Use it as a context manager."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Do nothing."""


class RecordingProducer(NullProducer):
    """Keeps validated events instead of sending them, for tests of services that emit.

    ``events`` are those accepted, in order, with ``source`` and ``seq`` as a real producer gives them; ``invalid`` are
    those refused, each with the reason. A test of a service does well to assert that ``invalid`` is empty.
    """

    def __init__(
        self,
        service: str = "test",
        *,
        clock: Clock | None = None,
        pseudonyms: PseudonymSettings | None = None,
        prices: Path | None = None,
        **dimensions: str,
    ) -> None:
        super().__init__()
        if prices is not None:
            load_tariff(prices)
        self.events: list[UsageEvent] = []
        self.invalid: list[InvalidRow] = []
        self._prices = prices
        self._clock = clock or SystemClock()
        self._lane = Lane(
            f"{service}@recording#0",
            defaults={"service": service, **dimensions},
            max_events=1,
            max_bytes=1,
            pseudonyms=pseudonyms.pseudonyms if pseudonyms is not None else None,
        )
        self._ids = EventIds()
        self._lock = threading.RLock()
        self._closed = False
        self._late = 0

    def emit(self, /, **fields: Any) -> str | None:
        """Validate the event and keep it; never raise. Unlike a real producer it knows at once: None where invalid."""
        with self._lock:
            if self._closed:
                self._late += 1
                return None
            try:
                now_ms = self._clock.now_ms()
                fields = within(fields)
                event = self._lane.keep((self._ids.take(now_ms), now_ms, fields))
            except InvalidEventError as error:
                self._refuse(str(error), fields)
                return None
            except Exception as error:  # noqa: BLE001 - as the real one: nothing is raised into the caller
                self._refuse(f"a value raised {type(error).__name__} when it was looked at", fields)
                return None
            self.events.append(event)
            return event.event_id

    def stats(self) -> ProducerStats:
        """Count the events: what was kept counts as delivered, one a record."""
        kept = len(self.events)
        return ProducerStats(accepted=kept, delivered=kept, records=kept, invalid=len(self.invalid), closed=self._late)

    def totals(self) -> UsageTotals:
        """Say what the events kept used and cost, at the catalogue's prices and those of ``prices``."""
        running = RunningTotals(self._prices)
        for event in self.events:
            running.add(event_line(event))
        return running.read()

    def close(self, timeout_seconds: float = 10.0) -> bool:  # noqa: ARG002 - the same
        """Take no more events; those kept stay readable."""
        self._closed = True
        return True

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        self.close()

    def _refuse(self, reason: str, fields: dict[str, Any]) -> None:
        self.invalid.append(InvalidRow(len(self.events) + len(self.invalid), reason, fields))
