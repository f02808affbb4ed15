"""How fresh are the rates? From ``emit()`` to the contribution that can be read, while the worker is ever busier."""

from collections.abc import Callable
from typing import Final

from benchmarks.machines import stay_beside_servers
from benchmarks.probes import Probes, percentile
from benchmarks.report import Sheet, figure
from benchmarks.worker import COALESCED, loaded, measure_capacity, new_topics, worker

__all__ = ["measure_latency"]

_PARTS: Final = (0.01, 0.5, 0.9)
_WARM_SECONDS: Final = 8
_SECONDS: Final = 20
_TITLE: Final = f"from emit() to cost.rates, capacity {{:,.0f}} events/s, {COALESCED} a record"


def measure_latency(kafka: str, *, progress: Callable[[str], None]) -> Sheet:
    """Measure the capacity, then latencies under parts of it."""
    stay_beside_servers()
    capacity = measure_capacity(kafka)
    progress(f"capacity: {capacity:,.0f} events/s")
    rows = []
    for part in _PARTS:
        latencies, pace = _under(kafka, part * capacity)
        p50, p99 = percentile(latencies, 0.5), percentile(latencies, 0.99)
        rows.append((f"{part:.0%}", figure(pace), *map(figure, (p50, p99, max(latencies)))))
        progress(f"at {part:.0%}: p50 {p50:.2f} s, p99 {p99:.2f} s")
    head = ("of capacity", "events/s rated", "p50, s", "p99, s", "longest, s")
    note = "A worker writes once a second (`flush_seconds`): of an even latency, half a second is that."
    return Sheet(_TITLE.format(capacity), head, rows, (note,))


def _under(kafka: str, events_per_second: float) -> tuple[list[float], float]:
    """Give the latencies under a load, and how many events a second were rated meanwhile."""
    settings = new_topics(kafka)
    with worker(settings, group="latency"), Probes(settings) as probes:
        probes.until_answered()
        with loaded(settings, events_per_second=events_per_second, seconds=_WARM_SECONDS + _SECONDS + 5):
            probes.during(_WARM_SECONDS)
            before = probes.rates()
            latencies = probes.during(_SECONDS)
            return latencies, (probes.rates() - before) / _SECONDS
