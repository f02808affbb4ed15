"""How is it measured? ``python -m benchmarks [PART...] [--write]`` prints tables, and can write them into the docs."""

import argparse
import shlex
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Final

from benchmarks.alert_series import SERVEGEN
from benchmarks.alerts import measure_alerts
from benchmarks.contest import hold_contest, opened, ranked
from benchmarks.emit import measure_emit
from benchmarks.gateway import measure_gateway
from benchmarks.latency import measure_latency
from benchmarks.live_alert import catch_runaway
from benchmarks.live_keys import measure_live_keys
from benchmarks.machines import ROOT, broker, store
from benchmarks.nab import measure_nab
from benchmarks.quotas import measure_quotas
from benchmarks.report import Sheet, compared, conditions, insert, markdown, show
from benchmarks.restart import measure_restart
from benchmarks.scaling import measure_scaling
from benchmarks.sink import measure_sink
from benchmarks.soak import hold_out
from benchmarks.storm import weather_storms
from benchmarks.workload import Workload

_PAGE: Final = ROOT / "docs" / "performance.md"

_PAGES: Final = {
    "alerts": ROOT / "docs" / "spikes.md",
    "live-alert": ROOT / "docs" / "watcher.md",
    "quotas": ROOT / "docs" / "quotas.md",
}

_BROKERS: Final = dict.fromkeys(("soak", "storm"), "Apache Kafka") | dict.fromkeys(("alerts", "quotas"), "no broker")

_MORE: Final = 2
"""Coalesced events go through so much faster that a run needs more of them."""


@contextmanager
def _kafka(given: argparse.Namespace) -> Iterator[str]:
    with nullcontext(given.kafka) if given.kafka else broker() as address:
        yield address


def _alerts(given: argparse.Namespace) -> Sequence[Sheet]:
    sheets = measure_alerts(given.traffic if given.traffic.exists() else None, progress=_say)
    return [*sheets, measure_nab(given.nab)] if given.nab else sheets


def _streams(given: argparse.Namespace) -> Sequence[Sheet]:
    events, rounds = given.events or 1_200_000, given.rounds or 5
    sheets = []
    for workload in (Workload(events, tenants=128), Workload(events * _MORE, coalesced=100, tenants=128)):
        with _kafka(given) as kafka, opened(kafka, workload) as ring:
            sheets.append(ranked(ring, hold_contest(ring, rounds=rounds, progress=_say)))
    return sheets


def _sink(given: argparse.Namespace) -> Sequence[Sheet]:
    workload = Workload(given.events or 300_000)
    with broker() as kafka, tempfile.TemporaryDirectory() as folder, store(Path(folder)) as clickhouse:
        return [compared("sink", measure_sink(kafka, clickhouse, workload, rounds=given.rounds or 3))]


def _emit(given: argparse.Namespace) -> Sequence[Sheet]:
    with broker() as kafka:
        return [compared("emit()", measure_emit(kafka, rounds=given.rounds or 3))]


def _gateway(given: argparse.Namespace) -> Sequence[Sheet]:
    return [compared("gateway", measure_gateway(rounds=given.rounds or 3))]


def _scaling(given: argparse.Namespace) -> Sequence[Sheet]:
    with _kafka(given) as kafka:
        return [measure_scaling(kafka, events=given.events or 3_200_000, rounds=given.rounds or 3, progress=_say)]


def _live_keys(given: argparse.Namespace) -> Sequence[Sheet]:
    with _kafka(given) as kafka:
        return [measure_live_keys(kafka, events=given.events or 3_000_000, progress=_say)]


def _quotas(given: argparse.Namespace) -> Sequence[Sheet]:
    return [measure_quotas(rounds=given.rounds or 5)]


def _restart(given: argparse.Namespace) -> Sequence[Sheet]:
    with _kafka(given) as kafka:
        return [measure_restart(kafka, progress=_say)]


def _live_alert(_: argparse.Namespace) -> Sequence[Sheet]:
    return [catch_runaway(progress=_say)]


def _latency(given: argparse.Namespace) -> Sequence[Sheet]:
    with _kafka(given) as kafka:
        return [measure_latency(kafka, progress=_say)]


def _soak(given: argparse.Namespace) -> Sequence[Sheet]:
    sheet, verdict = hold_out(given.kafka, minutes=given.minutes, progress=_say)
    if not verdict.flat:
        show([sheet])
        raise SystemExit(1)
    return [sheet]


def _storm(given: argparse.Namespace) -> Sequence[Sheet]:
    return [weather_storms(rounds=given.rounds or 3, pause_seconds=10, progress=_say)]


PARTS: Final[dict[str, Callable[[argparse.Namespace], Sequence[Sheet]]]] = {
    "alerts": _alerts,
    "emit": _emit,
    "gateway": _gateway,
    "keys": _live_keys,
    "latency": _latency,
    "live-alert": _live_alert,
    "quotas": _quotas,
    "restart": _restart,
    "scaling": _scaling,
    "sink": _sink,
    "soak": _soak,
    "storm": _storm,
    "streams": _streams,
}


def main() -> int:
    """Measure the parts that are asked for, one after another; print the sheets of each."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("parts", nargs="+", choices=PARTS, metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--events", type=int, help="events of a run (default: what each part needs)")
    parser.add_argument("--rounds", type=int, help="runs of each, in turn (default 3, streams 5)")
    parser.add_argument("--minutes", type=float, default=20, help="how long the soak lasts (default 20)")
    parser.add_argument("--kafka", help="a broker of yours; default: an embedded one (Tansu) for each part")
    parser.add_argument("--traffic", type=Path, default=SERVEGEN, help="real series for alerts, where they are at hand")
    parser.add_argument("--nab", type=Path, help="a clone of numenta/NAB, for alerts")
    parser.add_argument("--write", action="store_true", help="write the tables into their page of docs/ as well")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # by default it would leave brokers and workers behind
    for part in given.parts:
        _say(f"measuring {part} ...")
        sheets = PARTS[part](given)
        show(sheets)
        if given.write:
            kind = "a broker that was named" if given.kafka else _BROKERS.get(part, "the broker Tansu")
            said = conditions(f"python -m benchmarks {shlex.join(sys.argv[1:])}", broker=kind)
            insert(_PAGES.get(part, _PAGE), part, "\n\n".join([said, *map(markdown, sheets)]))
    return 0


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
