"""How long does ``emit()`` hold a caller up at worst? In a storm: the broker and the service are taken down under load.

The storm is the test's (tests/storms.py), longer: it stands only if every event that was emitted is counted once.
"""

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.apache_kafka import missing_tool
from tests.storms import hold_storm

from benchmarks.report import Sheet, figure

__all__ = ["weather_storms"]


def weather_storms(*, rounds: int, pause_seconds: float, progress: Callable[[str], None]) -> Sheet:
    """Hold so many storms, each with another seed; give what the callers saw. Ends where one leaves a fault behind."""
    missing = missing_tool()
    if missing:
        raise SystemExit(f"a storm needs Apache Kafka, for which {missing} is missing")
    rows = []
    for seed in range(1, rounds + 1):
        with TemporaryDirectory() as folder:
            found = hold_storm(Path(folder), seed=seed, pause_seconds=pause_seconds, progress=progress)
        if found.faults:
            raise SystemExit(f"the storm with seed {seed} left behind: {found.faults}")
        callers = [found.percentile_us(part) for part in (0.5, 0.99, 0.999)]
        rows.append((f"{seed}", f"{len(found.emitted):,}", *map(figure, callers), figure(found.longest_ms)))
    head = ("storm", "events emitted", "emit() p50, µs", "p99, µs", "p99.9, µs", "longest, ms")
    note = "Lost 0, counted twice 0, called missing 0; the books balance after each."
    return Sheet("eight threads, five accidents of the broker, two of the service", head, rows, (note,))
