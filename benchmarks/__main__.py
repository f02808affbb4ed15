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

_MORE_COALESCED: Final = 4
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
    for coalesced, times in ((1, 1), (100, _MORE_COALESCED)):
        workload = Workload(given.events * times, coalesced, given.per_second * times)
        with broker() as kafka, tempfile.TemporaryDirectory() as folder:
            if "rates" in parts:
                rows += measure_rates(kafka, workload, rounds=given.rounds)
            if "sink" in parts:
                with store(Path(folder)) as clickhouse:
                    rows += measure_sink(kafka, clickhouse, workload, rounds=given.rounds)
    if "emit" in parts:
        with broker() as kafka:
            rows += measure_emit(kafka, rounds=given.rounds)
    show(rows)
    return 0


if __name__ == "__main__":
    sys.exit(main())
