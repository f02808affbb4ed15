"""What has the sink done? Counters, and a line about them now and then."""

from collections import Counter
from collections.abc import Callable
from typing import Final

import structlog

from spendgauge.sinks.writer import Written

__all__ = ["Tally"]

_EVERY_SECONDS: Final = 10.0

_log = structlog.get_logger(__name__)


class Tally:
    """Counts since the start; reports what came since the last report."""

    def __init__(self) -> None:
        self.totals: Counter[str] = Counter()
        self._reported: Counter[str] = Counter()
        self._next = 0.0

    def add(self, written: Written) -> None:
        """Count a batch that is stored and committed."""
        self.totals.update(written.rows)
        self.totals.update(written.lines_without_row)
        self.totals.update(
            batches=1,
            bytes=written.bytes,
            refused=written.refused,
            retries=written.retries,
        )

    def report(self, now: float, *, lag: Callable[[], int] | None) -> None:
        """Say what came since the last report, at most every ten seconds; without ``lag``, say the rest at once."""
        if lag is not None and now < self._next:
            return
        self._next = now + _EVERY_SECONDS
        new = self.totals - self._reported
        self._reported = self.totals.copy()
        if new:
            _log.info("stored", **dict(new), **({} if lag is None else {"lag": lag()}))
