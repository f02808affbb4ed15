"""Does a worker hold out? Twenty minutes at 70 % of what it can do: memory and latency flat, no event lost or doubled.

On Apache Kafka with a short retention: the embedded broker keeps all in memory, and this is more than that.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import astuple
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from tests.apache_kafka import ApacheKafka, missing_tool

from benchmarks.judgement import Sample, Verdict, judge
from benchmarks.machines import stay_beside_servers
from benchmarks.probes import Probes, percentile
from benchmarks.report import Sheet
from benchmarks.watch import megabytes
from benchmarks.worker import COALESCED, loaded, measure_capacity, new_topics, worker
from spendgauge.schemas import SystemClock

__all__ = ["by_minute", "hold_out"]

_PART: Final = 0.7
_EVERY_SECONDS: Final = 10
_PER_MINUTE: Final = 60 // _EVERY_SECONDS
_WARM_SECONDS: Final = 10
_RETAINED_BYTES: Final = 512 * 2**20
"""Of each partition: minutes of the load, and a bound on the disk."""

_clock: Final = SystemClock()


def hold_out(kafka: str | None, *, minutes: float, progress: Callable[[str], None]) -> tuple[Sheet, Verdict]:
    """Load a worker for so long; give what was seen, and the verdict."""
    stay_beside_servers()
    with nullcontext(kafka) if kafka else _apache_kafka() as address:
        pace = _PART * measure_capacity(address)
        progress(f"{pace:,.0f} events/s for {minutes:g} minutes")
        samples, verdict = _run(address, pace, minutes=minutes, progress=progress)
    head = ("minute", "worker's memory at most, MB", "emit() to cost.rates, p50 at most, s", "p99 at most, s")
    rows = [
        (f"{one.at_seconds / 60:.0f}", f"{one.megabytes:.0f}", f"{one.p50:.2f}", f"{one.p99:.2f}")
        for one in by_minute(samples)
    ]
    title = f"{minutes:g} minutes at {_PART:.0%} of capacity: {pace:,.0f} events/s, {COALESCED} a record"
    return Sheet(title, head, rows, (f"Verdict: {verdict}.",)), verdict


def by_minute(samples: Sequence[Sample]) -> list[Sample]:
    """Give the worst of each minute: most memory, longest latencies."""
    minutes = [samples[first : first + _PER_MINUTE] for first in range(0, len(samples), _PER_MINUTE)]
    return [Sample(*(max(figures) for figures in zip(*map(astuple, minute), strict=True))) for minute in minutes]


def _run(kafka: str, pace: float, *, minutes: float, progress: Callable[[str], None]) -> tuple[list[Sample], Verdict]:
    settings = new_topics(kafka, retained_bytes=_RETAINED_BYTES)
    with worker(settings, group="soak") as process, Probes(settings) as probes:
        probes.until_answered()
        with loaded(settings, events_per_second=pace, seconds=_WARM_SECONDS + minutes * 60) as load:
            probes.during(_WARM_SECONDS)
            samples = []
            for sample in _samples(probes, process.pid, seconds=minutes * 60):
                samples.append(sample)
                progress(f"{sample.at_seconds:5.0f} s: {sample.megabytes:.0f} MB, p99 {sample.p99:.2f} s")
            printed, _ = load.communicate(timeout=120)
        said = json.loads(printed)
        progress(f"the load was {said['events'] / said['seconds']:,.0f} events/s")
        sent = said["events"] + probes.emitted
        return samples, judge(samples, sent=sent, counted=probes.drained(sent))


def _samples(probes: Probes, process: int, *, seconds: float) -> Iterator[Sample]:
    started, at = _clock.monotonic(), 0.0
    while at < seconds:
        latencies = probes.during(_EVERY_SECONDS)
        at = _clock.monotonic() - started
        yield Sample(at, megabytes(process, most=False), percentile(latencies, 0.5), percentile(latencies, 0.99))


@contextmanager
def _apache_kafka() -> Iterator[str]:
    missing = missing_tool()
    if missing:
        raise SystemExit(f"the soak runs on Apache Kafka, for which {missing} is missing; or name a broker: --kafka")
    with TemporaryDirectory() as folder, ApacheKafka(Path(folder)) as cluster:
        yield cluster.address
