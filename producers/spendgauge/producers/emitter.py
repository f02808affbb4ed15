"""What can a service do with a producer, whichever it was given?"""

from dataclasses import dataclass
from types import TracebackType
from typing import Any, Protocol, Self

from spendgauge.producers.totals import UsageTotals

__all__ = ["ProducerStats", "UsageEmitter"]


@dataclass(frozen=True, slots=True)
class ProducerStats:
    """What became of the events given to this producer, in this process.

    Each emit() is in exactly one of delivered, refused, failed, spooled, queued, invalid, dropped and closed. While
    events move the figures may be a moment apart; after ``flush`` or ``close`` they are exact.
    """

    accepted: int = 0
    """Valid, with a seq: delivered, refused, failed, spooled, or queued."""
    delivered: int = 0
    """Acknowledged by the broker."""
    refused: int = 0
    """Accepted, and given up: no broker will ever take them; the log says why. Gaps in seq."""
    failed: int = 0
    """Accepted, and lost: close() could not wait longer and no spool took them, or a disk was damaged. Gaps in seq."""
    spooled: int = 0
    """Waiting on disk; after close, for the next process with the same spool_dir."""
    queued: int = 0
    """Waiting in memory, validated or not."""
    invalid: int = 0
    """Broke a rule of UsageEvent; no seq was used."""
    dropped: int = 0
    """Not taken, because the queue was full; each used a seq, so consumers see a gap."""
    closed: int = 0
    """Not taken, because they came after close()."""
    records: int = 0
    """Kafka records that the delivered events were in."""
    replayed: int = 0
    """Acknowledged events that dead processes had left in the spool; in none of the other figures."""


class UsageEmitter(Protocol):
    """The interface of ``UsageProducer`` and of its doubles ``RecordingProducer`` and ``NullProducer``."""

    def emit(self, /, **fields: Any) -> str | None:
        """Take one usage event, given as fields of ``UsageEvent``; never block, never raise.

        ``event_id``, ``occurred_at`` (now), ``source`` and ``seq`` are filled in; a field that is None counts as not
        given. Returns the event's id, or None where it was not taken (queue full, closed, disabled) or is not as safe
        as ``durability`` says.
        """

    def stats(self) -> ProducerStats:
        """Count what became of the events so far."""

    def totals(self) -> UsageTotals:
        """Say what the events accepted so far used and cost, by model and in all.

        Raises ``ConfigurationError`` where ``totals`` are switched off.
        """

    def flush(self, timeout_seconds: float = 10.0) -> bool:
        """Wait until everything emitted before is acknowledged; say whether it is."""

    def close(self, timeout_seconds: float = 10.0) -> bool:
        """Flush, then stop for good; say whether everything was acknowledged. Closing again does nothing."""

    def __enter__(self) -> Self:
        """Use it as a context manager."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
