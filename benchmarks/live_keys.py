"""What does an event cost while more and more keys are live? A hundred users to a million, in the blocks of one run."""

from collections.abc import Callable
from typing import Final

from benchmarks.follow import FollowedRates
from benchmarks.load import Load, write
from benchmarks.machines import stay_beside_servers
from benchmarks.report import Sheet, figure
from benchmarks.worker import COALESCED, Rated, new_topics, rate
from benchmarks.workload import PARTITIONS

__all__ = ["measure_live_keys"]

_KEYS: Final = (100, 1_000, 10_000, 100_000, 1_000_000)
_SERIES: Final = "total:10,user_id:86400"
"""A pane of a day: all users of the run are live at once."""


def measure_live_keys(kafka: str, *, events: int, progress: Callable[[str], None]) -> Sheet:
    """Rate so many events of each number of users (a million users make a million events at least)."""
    stay_beside_servers()
    rows = []
    for keys in _KEYS:
        rated = _with(kafka, keys, events=max(events, keys))
        cpu = 1e6 * rated.pace.cpu_seconds / rated.pace.events
        cells = (rated.pace.per_second, cpu, rated.lines, rated.megabytes)
        rows.append((f"{keys:,}", *map(figure, cells)))
        progress(f"{keys:,} live keys: {cpu:.1f} µs an event")
    head = ("live keys", "events/s", "CPU µs an event", "contributions written", "MB at most")
    return Sheet(f"series {_SERIES}, {COALESCED} a record, {PARTITIONS} partitions", head, rows)


def _with(kafka: str, keys: int, *, events: int) -> Rated:
    settings = new_topics(kafka)
    write(settings, Load(coalesced=COALESCED, users=keys), records=events // COALESCED, partitions=PARTITIONS)
    rates = FollowedRates(settings)
    try:
        return rate(settings, rates, events=events // COALESCED * COALESCED, group="keys", series=_SERIES)
    finally:
        rates.close()
