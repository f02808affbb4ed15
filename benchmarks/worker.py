"""How is our worker run to be measured? As users run it: a process of its own that is told all by its environment."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from tempfile import TemporaryFile
from typing import Final

from benchmarks.follow import FollowedRates
from benchmarks.load import Load, write
from benchmarks.machines import processors, start_pinned
from benchmarks.watch import Pace, megabytes, watch
from benchmarks.workload import PARTITIONS, fresh_topics
from spendgauge.schemas import KafkaSettings, SystemClock, topic_specs
from spendgauge.schemas.kafka import create_topics

__all__ = ["COALESCED", "Rated", "loaded", "measure_capacity", "new_topics", "rate", "worker"]

COALESCED: Final = 100
"""Events in a record of a busy producer, and of all loads here: the broker shares its core with who writes them."""

_CAPACITY_EVENTS: Final = 3_000_000
_QUIET_SECONDS: Final = 0.5
_TAIL: Final = 2_000


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
    own = {"rates_group": group, "session_timeout_seconds": 6} | own
    environment = settings.environment() | {f"SPENDGAUGE_{name.upper()}": str(value) for name, value in own.items()}
    where = processors()[1] if processor is None else processor
    command = (sys.executable, "-m", "spendgauge.streams")
    with (
        TemporaryFile("w+") as said,
        start_pinned(command, processor=where, environment=environment, output=said) as process,
    ):
        try:
            yield process
        except BaseException as error:
            if process.poll() is not None:
                said.seek(0)
                error.add_note(f"the worker ended with {process.returncode}: {said.read()[-_TAIL:]}")
            raise
        finally:
            process.kill()


def rate(settings: KafkaSettings, rates: FollowedRates, *, events: int, group: str, series: str = "") -> Rated:
    """Let a worker rate the topic from its start until its contributions hold all events."""
    with worker(settings, group=group, series=series) as process:
        pace = watch(rates, process.pid, events=events)
        _until_quiet(rates)
        return Rated(pace, megabytes(process.pid), rates.lines)


def _until_quiet(rates: FollowedRates) -> None:
    """Read on: the last flush may have written the series that is watched before the others."""
    clock, lines = SystemClock(), -1
    while lines != rates.lines:
        lines = rates.lines
        deadline = clock.monotonic() + _QUIET_SECONDS
        while clock.monotonic() < deadline:
            rates()


def new_topics(kafka: str, *, partitions: int = PARTITIONS, retained_bytes: int = 0) -> KafkaSettings:
    """Create topics that nobody has used; ``retained_bytes`` of each partition are kept, 0: all."""
    settings = fresh_topics(kafka)
    kept = {"retention.bytes": str(retained_bytes), "segment.bytes": str(retained_bytes // 4)}
    specs = topic_specs(settings.topics, partitions=partitions)
    if retained_bytes:
        logs = {"cleanup.policy": "delete"}.items()
        specs = tuple(replace(s, config=s.config | kept) if logs <= s.config.items() else s for s in specs)
    create_topics(settings, specs)
    return settings


@contextmanager
def loaded(settings: KafkaSettings, *, events_per_second: float, seconds: float) -> "Iterator[subprocess.Popen[str]]":
    """Write coalesced events at a steady pace, from beside the broker; the process prints how long it took."""
    where = ("--kafka", settings.kafka, "--prefix", settings.topic_prefix, "--partitions", str(PARTITIONS))
    pace = events_per_second / COALESCED
    what = ("--coalesced", str(COALESCED), "--records", str(int(pace * seconds)), "--per-second", str(pace))
    command = (sys.executable, "-m", "benchmarks.load", *where, *what)
    with start_pinned(command, processor=processors()[0], output=subprocess.PIPE) as process:
        try:
            yield process
        finally:
            process.kill()


def measure_capacity(kafka: str, *, events: int = _CAPACITY_EVENTS) -> float:
    """Say how many events a second a worker takes from a backlog of coalesced records."""
    settings = new_topics(kafka)
    write(settings, Load(coalesced=COALESCED), records=events // COALESCED, partitions=PARTITIONS)
    rates = FollowedRates(settings)
    try:
        return rate(settings, rates, events=events // COALESCED * COALESCED, group="capacity").pace.per_second
    finally:
        rates.close()
