"""What do more workers bring? One, two and four of one group, on the eight partitions of one topic."""

from collections.abc import Callable
from contextlib import ExitStack
from itertools import cycle, islice
from statistics import median
from typing import Final

from benchmarks.follow import FollowedRates
from benchmarks.load import Load, write
from benchmarks.machines import processors, stay_beside_servers
from benchmarks.report import Sheet, figure
from benchmarks.watch import Pace, megabytes, watch
from benchmarks.worker import COALESCED, new_topics, worker
from spendgauge.schemas import KafkaSettings

__all__ = ["measure_scaling"]

_PARTITIONS: Final = 8
_WORKERS: Final = (1, 2, 4)


def measure_scaling(kafka: str, *, events: int, rounds: int, progress: Callable[[str], None]) -> Sheet:
    """Let so many workers rate the same records, several times; give the medians."""
    stay_beside_servers()
    settings = new_topics(kafka, partitions=_PARTITIONS)
    write(settings, Load(coalesced=COALESCED), records=events // COALESCED, partitions=_PARTITIONS)
    rows = []
    alone = 0.0
    for count in _WORKERS:
        runs = [_together(settings, count, events=events, group=f"{count}-{number}") for number in range(rounds)]
        speed = median(pace.per_second for pace, _ in runs)
        alone = alone or speed
        cpu = 1e6 * median(pace.cpu_seconds / pace.events for pace, _ in runs)
        memory = median(memory for _, memory in runs)
        rows.append((str(count), figure(speed), f"{speed / alone:.2f}", figure(cpu), figure(memory)))
        progress(f"{count} workers: {speed:,.0f} events/s")
    head = ("workers", "events/s", "to one", "CPU s a million events, all together", "MB at most, the largest")
    return Sheet(f"{events:,} events, {COALESCED} a record, {_PARTITIONS} partitions", head, rows, (_meaning(),))


def _meaning() -> str:
    cores = len(set(processors()))
    return (
        f"There were {cores} cores: the first worker has one for itself, the second shares the other with the broker "
        "and with who watches, and further ones share both. So what more workers bring ends where the cores do; that "
        "the processor's time an event stays the same says that partitions are worked on apart."
    )


def _together(settings: KafkaSettings, count: int, *, events: int, group: str) -> tuple[Pace, float]:
    rates = FollowedRates(settings)
    with ExitStack() as stack:
        stack.callback(rates.close)
        places = islice(cycle(reversed(processors())), count)
        started = [stack.enter_context(worker(settings, group=group, processor=place)) for place in places]
        pace = watch(rates, *(process.pid for process in started), events=events)
        return pace, max(megabytes(process.pid) for process in started)
