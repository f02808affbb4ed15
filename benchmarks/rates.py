"""How many events a second does a rates worker take, beside a plain loop of the same work?"""

import sys
from statistics import median
from typing import Final

from benchmarks.machines import processors, run_pinned, start_pinned
from benchmarks.report import Row, compare
from benchmarks.watch import Pace, RatedEvents, peak_megabytes, watch
from benchmarks.workload import Workload, fill
from spendgauge.schemas import KafkaSettings

__all__ = ["measure_rates"]

_LOOPS: Final = {
    "all": "librdkafka + orjson + dict, the same 12 series",
    "one": "librdkafka + orjson + dict, one series",
    "drain": "librdkafka alone, nothing decoded",
}
_LOOP_EVENTS: Final = 100_000
"""Loops do the same all along, and need no more. A worker is watched for longer: it says what it did once a second."""


def measure_rates(kafka: str, workload: Workload, *, rounds: int) -> list[Row]:
    """Measure worker and loops in turn on the same records; give the medians."""
    settings = KafkaSettings(kafka=kafka, topic_prefix=f"rates{workload.coalesced}.")
    size = fill(settings, workload) // workload.events
    worker, memory = list[Pace](), list[float]()
    loops: dict[str, list[Pace]] = {loop: [] for loop in _LOOPS}
    for number in range(rounds):
        pace, megabytes = _worker(settings, workload.events, group=f"bench-{number}")
        worker.append(pace)
        memory.append(megabytes)
        for loop, paces in loops.items():
            paces.append(_loop(settings, loop, min(workload.events, _LOOP_EVENTS)))
    what = [f"rates worker, {workload.coalesced} a record of {size * workload.coalesced:,} bytes", "", ""]
    rows = [compare(what.pop(0), worker, text, loops[loop]) for loop, text in _LOOPS.items()]
    return [*rows, Row("its memory at most", median(memory), "", 0, "MB")]


def _loop(settings: KafkaSettings, loop: str, events: int) -> Pace:
    where = ("--kafka", settings.kafka, "--prefix", settings.topic_prefix, "--events", str(events))
    return Pace(**run_pinned("benchmarks.bare", loop, *where))


def _worker(settings: KafkaSettings, events: int, *, group: str) -> tuple[Pace, float]:
    environment = settings.environment() | {"SPENDGAUGE_RATES_GROUP": group, "SPENDGAUGE_SESSION_TIMEOUT_SECONDS": "6"}
    rated = RatedEvents(settings)
    command = [sys.executable, "-m", "spendgauge.streams"]
    with start_pinned(command, processor=processors()[1], environment=environment) as process:
        try:
            pace = watch(rated, process=process.pid, events=events)
            return pace, peak_megabytes(process.pid)
        finally:
            rated.close()
            process.kill()
