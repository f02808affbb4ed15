"""Does the failure suite pass again and again? ``make failures``: with one seed after the other, until one fails."""

import argparse
import os
import subprocess
import sys
from collections.abc import Sequence
from time import monotonic

from tests.apache_kafka import fetch_jars, missing_tool

__all__ = ["main"]

_SUITE = ("tests/integration/test_failures.py", "-q", "-x", "-p", "no:randomly", "-W", "error")
_KINDS = {"embedded": "embedded", "kafka": "kafka", "both": "embedded or kafka"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the suite so many times; say which seed fails."""
    given = _parse(arguments)
    missing = missing_tool()
    if given.broker != "embedded" and missing is not None:
        print(f"Apache Kafka needs {missing}, which is not installed here; use --broker embedded", file=sys.stderr)
        return 1
    if given.broker != "embedded":
        fetch_jars()
    for place, seed in enumerate(range(given.seed, given.seed + given.times), start=1):
        began_at = monotonic()
        status = subprocess.run(
            [sys.executable, "-m", "pytest", *_SUITE, "-k", _KINDS[given.broker]],
            env={**os.environ, "SPENDGAUGE_FAILURE_SEED": str(seed)},
            check=False,
        ).returncode
        if status:
            again = f'make failures ARGS="--times 1 --seed {seed} --broker {given.broker}"'
            print(f"run {place} of {given.times} failed; try it again with: {again}", file=sys.stderr)
            return status
        print(f"run {place} of {given.times} passed: seed {seed}, {monotonic() - began_at:.0f} s", flush=True)
    return 0


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make failures", description=__doc__)
    parser.add_argument("--times", type=int, default=1, help="how many runs (default 1)")
    parser.add_argument("--seed", type=int, default=1, help="the first run's seed (default 1); the next takes the next")
    parser.add_argument("--broker", choices=sorted(_KINDS), default="both", help="where (default both)")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
