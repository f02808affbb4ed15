"""How is our worker run to be measured? As users run it: a process of its own that is told all by its environment."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from benchmarks.follow import FollowedRates
from benchmarks.machines import processors, start_pinned
from benchmarks.watch import Pace, megabytes, watch
from spendgauge.schemas import KafkaSettings

__all__ = ["COMMAND", "Rated", "rate", "worker"]

COMMAND = (sys.executable, "-m", "spendgauge.streams")


@dataclass(frozen=True)
class Rated:
    """What a worker did, and what it cost."""

    pace: Pace
    megabytes: float
    lines: int
    """How many contributions it wrote."""


@contextmanager
def worker(
    settings: KafkaSettings, *, group: str, processor: int | None = None, **own: object
) -> "Iterator[subprocess.Popen[str]]":
    """Run a worker; other settings by their names. It is killed in the end."""
    environment = settings.environment() | {"SPENDGAUGE_RATES_GROUP": group, "SPENDGAUGE_SESSION_TIMEOUT_SECONDS": "3"}
    environment |= {f"SPENDGAUGE_{name.upper()}": str(value) for name, value in own.items()}
    where = processors()[1] if processor is None else processor
    with start_pinned(COMMAND, processor=where, environment=environment) as process:
        try:
            yield process
        finally:
            process.kill()


def rate(settings: KafkaSettings, rates: FollowedRates, *, events: int, group: str, series: str = "") -> Rated:
    """Let a worker rate the topic from its start until its contributions hold all events."""
    with worker(settings, group=group, series=series) as process:
        pace = watch(rates, process=process.pid, events=events)
        return Rated(pace, megabytes(process.pid), rates.lines)
