"""How is it measured? ``python -m benchmarks [--events N] [--rounds N] [--only PART]`` prints the table."""

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Final

from benchmarks.emit import measure_emit
from benchmarks.machines import broker, store
from benchmarks.rates import measure_rates
from benchmarks.report import Row, show
from benchmarks.sink import measure_sink
from benchmarks.workload import Workload

PARTS: Final = ("rates", "sink", "emit")

_MORE: Final = 3
"""Coalesced events go through so much faster that a run needs more of them."""


def main() -> int:
    """Measure the parts that are asked for; print one table."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--events", type=int, default=300_000, help="events of a run (default 300,000)")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each, in turn (default 3)")
    parser.add_argument("--per-second", type=int, default=1000, help="events a second of their own time (default 1000)")
    parser.add_argument("--only", choices=PARTS, action="append", help="measure this part alone (repeatable)")
    given = parser.parse_args()
    parts = given.only or PARTS
    rows: list[Row] = []
    one = Workload(given.events, events_per_second=given.per_second)
    many = Workload(given.events * _MORE, coalesced=100, events_per_second=given.per_second * _MORE)
    if "rates" in parts:
        for workload in (one, many):
            with broker() as kafka:
                rows += measure_rates(kafka, workload, rounds=given.rounds)
    if "sink" in parts:
        with broker() as kafka, tempfile.TemporaryDirectory() as folder, store(Path(folder)) as clickhouse:
            rows += measure_sink(kafka, clickhouse, one, rounds=given.rounds)
    if "emit" in parts:
        with broker() as kafka:
            rows += measure_emit(kafka, rounds=given.rounds)
    show(rows)
    return 0


if __name__ == "__main__":
    sys.exit(main())
