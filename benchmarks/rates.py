"""How many events a second does a rates worker take, beside a plain loop of the same work?"""

import sys
from pathlib import Path
from statistics import median

from benchmarks.machines import processors, run_pinned, start_pinned
from benchmarks.report import Row
from benchmarks.watch import RatedEvents, watch
from benchmarks.workload import Workload, fill
from spendgauge.schemas import KafkaSettings

__all__ = ["measure_rates"]

_LOOPS = ("drain", "one", "all")


def measure_rates(kafka: str, workload: Workload, *, rounds: int) -> list[Row]:
    """Measure worker and loops in turn on the same records; give the medians."""
    settings = KafkaSettings(kafka=kafka, topic_prefix=f"rates{workload.coalesced}.")
    size = fill(settings, workload) // workload.events
    worker, loops = [], {loop: list[float]() for loop in _LOOPS}
    for number in range(rounds):
        worker.append(_worker(settings, workload.events, group=f"bench-{number}"))
        for loop in _LOOPS:
            loops[loop].append(_loop(settings, loop, workload.events))
    what = f"rates worker, {workload.coalesced} a record of {size * workload.coalesced:,} bytes"
    ours, middle = median(worker), {loop: median(figures) for loop, figures in loops.items()}
    return [
        Row(what, ours, "librdkafka + orjson + dict, the same 12 series", middle["all"], "events/s"),
        Row("", ours, "librdkafka + orjson + dict, one series", middle["one"], "events/s"),
        Row("", ours, "librdkafka alone, nothing decoded", middle["drain"], "events/s"),
    ]


def _loop(settings: KafkaSettings, loop: str, events: int) -> float:
    where = ("--kafka", settings.kafka, "--prefix", settings.topic_prefix, "--events", str(events))
    found = run_pinned("benchmarks.bare", loop, *where)
    return float(found["events"] / found["seconds"])


def _worker(settings: KafkaSettings, events: int, *, group: str) -> float:
    environment = settings.environment() | {"SPENDGAUGE_GROUP_ID": group, "SPENDGAUGE_SESSION_TIMEOUT_SECONDS": "6"}
    rated = RatedEvents(settings)
    command = [str(Path(sys.executable).with_name("spendgauge")), "worker"]
    with start_pinned(command, processor=processors()[1], environment=environment) as process:
        try:
            return watch(rated, events=events, every_seconds=0.05).per_second
        finally:
            rated.close()
            process.kill()
