"""How long from ``emit()`` until the event's contribution can be read? Events with sessions of their own tell."""

import re
from math import ceil
from typing import Any, Final, Self

from benchmarks.follow import FollowedRates
from spendgauge.producers import UsageProducer
from spendgauge.schemas import KafkaSettings, SystemClock

__all__ = ["Probes", "percentile"]

_PER_SECOND: Final = 25
_PATIENCE_SECONDS: Final = 60
_KEY: Final = re.compile(rb'"key":\["probe-(\d+)"\]')
_FIELDS: Final[dict[str, Any]] = {
    "provider": "anthropic",
    "model": "claude-haiku-4-5-20251001",
    "input_tokens": 412,
    "output_tokens": 301,
}
_clock: Final = SystemClock()


def percentile(values: list[float], part: float) -> float:
    """Give the smallest value that so many of the others (``part`` of all) do not exceed."""
    return sorted(values)[max(0, ceil(part * len(values)) - 1)]


class Probes:
    """Emits events steadily beside a load, and notes when each is on ``cost.rates``."""

    def __init__(self, settings: KafkaSettings) -> None:
        """Connect a producer as a service does, and follow the contributions."""
        self._producer = UsageProducer(
            kafka=settings.kafka, topic_prefix=settings.topic_prefix, service="probe", host="bench", lanes=4
        )
        self.rates = FollowedRates(settings, seen=self._on_record)
        self._emitted: dict[int, float] = {}
        self._latencies: list[float] = []
        self.emitted = 0

    def __enter__(self) -> Self:
        """Emit until the block ends."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close both connections."""
        self._producer.close()
        self.rates.close()

    def until_answered(self) -> None:
        """Emit one event and wait for its contribution: then a worker is there."""
        self._emit()
        deadline = _clock.monotonic() + _PATIENCE_SECONDS
        while self._emitted:
            self.rates()
            if _clock.monotonic() > deadline:
                raise TimeoutError(f"no worker answered within {_PATIENCE_SECONDS} s")
        self._latencies.clear()

    def during(self, seconds: float) -> list[float]:
        """Emit for so long; give the latencies, in seconds, of those whose contributions came meanwhile.

        Where none came: how long the oldest has waited so far.
        """
        started, sent = _clock.monotonic(), 0
        while (elapsed := _clock.monotonic() - started) < seconds:
            if sent < elapsed * _PER_SECOND:
                self._emit()
                sent += 1
            self.rates()
        latencies, self._latencies = self._latencies, []
        return latencies or [_clock.monotonic() - min(self._emitted.values())]

    def drained(self, events: int) -> int:
        """Wait until the contributions hold so many events, or for a minute; say how many they hold."""
        deadline = _clock.monotonic() + _PATIENCE_SECONDS
        while (count := self.rates()) < events and _clock.monotonic() < deadline:
            pass
        return count

    def _emit(self) -> None:
        self._emitted[self.emitted] = _clock.monotonic()
        self._producer.emit(**_FIELDS, session_id=f"probe-{self.emitted}")
        self.emitted += 1

    def _on_record(self, value: bytes) -> None:
        now = _clock.monotonic()
        for number in map(int, _KEY.findall(value)):
            emitted = self._emitted.pop(number, None)
            if emitted is not None:
                self._latencies.append(now - emitted)
