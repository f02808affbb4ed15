"""What do the judges say of traffic, minute by minute? As in a watcher that has all partitions and never dies."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import polars as pl

from spendgauge.deploy.rehearse.minutes import MINUTE_SECONDS
from spendgauge.schemas.alerts import Alert
from spendgauge.streams.judging import Configuration, Judge, Moment
from spendgauge.streams.watching.judges import make_judges

__all__ = ["Rehearsed", "create_judges", "run_judges"]

_PARTITION = 0
_DAY_MINUTES = 1440


@dataclass
class Rehearsed:
    """What was said, and of what traffic."""

    first_minute: int | None = None
    last_minute: int | None = None
    requests: int = 0
    unpriced: int = 0
    days: Counter[int] = field(default_factory=Counter)
    """Picodollars by day since 1970, UTC."""
    alerts: list[Alert] = field(default_factory=list)
    """In the order in which they are said."""

    @property
    def minutes(self) -> int:
        """How long the traffic is, from its first minute to its last."""
        if self.first_minute is None or self.last_minute is None:
            return 0
        return self.last_minute - self.first_minute + 1

    @property
    def picodollars(self) -> int:
        """What it cost."""
        return self.days.total()


def create_judges(configuration: Configuration) -> Sequence[Judge]:
    """Create the judges that a watcher has.

    Raises ``ConfigurationError`` with one sentence.
    """
    judges = make_judges()
    for judge in judges:
        judge.reload(configuration)
    return judges


def run_judges(
    lines: Iterable[pl.DataFrame], judges: Sequence[Judge], *, on_minutes: Callable[[int], None], at_once: int = 10
) -> Rehearsed:
    """Let judges that have no partition yet judge lines (``LINES_SCHEMA``), of which no two frames share a minute.

    The frames are in the order of time, and so are a frame's rows. ``on_minutes`` hears how many minutes are done.
    ``at_once``: minutes that judges are given together, which they judge one by one: it costs less, and changes
    nothing.
    """
    found = Rehearsed()
    for judge in judges:
        judge.assign(_PARTITION, {})
    for frame in filter(len, lines):
        _count(found, frame)
        for until, rows in _pieces(frame, after=found.last_minute, at_once=at_once):
            found.alerts += _judged(judges, until, rows)
            on_minutes(until - (found.last_minute or int(frame["minute"][0]) - 1))
            found.last_minute = until
    return found


def _pieces(frame: pl.DataFrame, *, after: int | None, at_once: int) -> Iterator[tuple[int, pl.DataFrame]]:
    """Cut a frame into pieces of some minutes, given with their last one; minutes without lines count too."""
    minutes = frame["minute"]
    first, last = int(minutes[0]) if after is None else after + 1, int(minutes[-1])
    begins = pl.int_range(first, last + 1, at_once, eager=True)
    bounds = [*minutes.search_sorted(begins, side="left"), len(frame)]
    for begin, (start, end) in zip(begins, pairwise(bounds), strict=True):
        yield min(begin + at_once - 1, last), frame[start:end]


def _judged(judges: Sequence[Judge], until: int, lines: pl.DataFrame) -> list[Alert]:
    """Have lines read, and the minutes closed by all judges; each hears what the others say."""
    said: list[Alert] = []
    for judge in judges:
        judge.absorb(_PARTITION, lines.filter(pl.col("series").cast(pl.String).is_in(list(judge.series))))
        verdicts = judge.close({_PARTITION: until}, Moment((until + 1) * MINUTE_SECONDS))
        said += [alert for verdict in verdicts for alert in verdict.alerts]
        judge.save()
    said.sort(key=lambda alert: alert.evaluated_at)
    for judge in judges:
        for alert in said:
            judge.heard(alert)
    return said


def _count(found: Rehearsed, frame: pl.DataFrame) -> None:
    if found.first_minute is None:
        found.first_minute = int(frame["minute"][0])
    total = frame.filter(pl.col("series").cast(pl.String) == "total")
    found.requests += int(total["requests"].sum())
    found.unpriced += int(total["unpriced"].sum())
    by_day = total.group_by(pl.col("minute") // _DAY_MINUTES).agg(pl.col("cost_picodollars").cast(pl.Int128).sum())
    found.days.update({int(day): int(cost) for day, cost in by_day.rows()})
