"""Who rose when a key's spending did? Keys that may be part of it, and rose in the same minutes.

A key rose by what it cost in the alarm's window above what it cost, in as much time, in the ten minutes before: before
the onset, or before the window where the onset is longer ago. That is all that the lines tell; they tell it of sessions
too, which nobody judges, and after a restart they tell the same.

A key is **part** of another if it has all of its dimensions and more. An agent and a session say nothing of each other;
there a key is named if it rose by no more than the excess and a quarter. So it moved with it, which is no proof.

Whether two alarms are of one cause is asked of what both keys rose by in the same minutes, never of what one rose by
and what the other cost above its usual: where spending was high before, an excess is far more than a rise.
"""

from collections.abc import Iterable, Iterator
from typing import Final

import polars as pl

from spendgauge.streams.alerting.minutes import RecentMinutes
from spendgauge.streams.spikes import SpikeKey, SpikeStep
from spendgauge.streams.spikes.alerts import Excess
from spendgauge.streams.spikes.incidents import contains, may_be_part

__all__ = ["BEFORE_MINUTES", "Rises"]

BEFORE_MINUTES: Final = 10
_FIRST: Final = ("agent", "provider+model", "session_id")
"""Who is named first, one of each: what runs, on what, and where to look."""
_NAMED: Final = 3
_LEAST: Final = 10
"""Who rose by less than this part of the excess did not cause it."""


class Rises:
    """What the keys of some partitions rose by when a minute was closed."""

    def __init__(self, partitions: Iterable[RecentMinutes], *, measure: str, window_minutes: int) -> None:
        """``measure`` is ``cost_picodollars`` or ``output_tokens``."""
        self._partitions = tuple(partitions)
        self._measure = measure
        self._window = window_minutes
        self._known: dict[tuple[int, int], list[pl.DataFrame]] = {}

    def causes(self, step: SpikeStep) -> list[Excess]:
        """Name up to three keys that rose with it: an agent, a model and a session, else whoever rose most."""
        excess = step.seen - step.usual
        if excess <= 0:
            return []
        found = sorted(self._parts(step, excess), key=lambda part: (-part[1], part[0]))
        first = [next((part for part in found if part[0][0] == series), None) for series in _FIRST]
        named = [part for part in first if part is not None]
        return (named + [part for part in found if part not in named])[:_NAMED]

    def moved_with(self, step: SpikeStep, other: SpikeKey) -> bool:
        """Say whether a key rose in the same minutes: one of the two made half of what the other rose by, or more."""
        ours, theirs = (self._rise_of(key, step) for key in (step.key, other))
        return 0 < max(ours, theirs) <= 2 * min(ours, theirs)

    def _rise_of(self, key: SpikeKey, step: SpikeStep) -> int:
        for minutes, rises in self._risen(step):
            number = minutes.numbers.number(key)
            found = rises.filter(pl.col("number") == number) if number is not None else rises.clear()
            if len(found):
                return int(found["rise"][0])
        return 0

    def _risen(self, step: SpikeStep) -> Iterator[tuple[RecentMinutes, pl.DataFrame]]:
        begin = step.onset if step.onset >= step.minute - self._window else step.minute - self._window + 1
        known = self._known.setdefault((step.minute, begin), [])
        if not known:
            known += [self._rises(minutes, step.minute, begin) for minutes in self._partitions]
        return zip(self._partitions, known, strict=True)

    def _parts(self, step: SpikeStep, excess: int) -> Iterator[Excess]:
        for minutes, rises in self._risen(step):
            for number, rise in rises.filter(pl.col("rise") * _LEAST >= excess).iter_rows():
                key = minutes.numbers.key(number)
                if contains(step.key, key) or (4 * rise <= 5 * excess and may_be_part(step.key, key)):
                    yield key, rise

    def _rises(self, minutes: RecentMinutes, minute: int, begin: int) -> pl.DataFrame:
        now = minutes.sums(minute - self._window + 1, minute)
        before = minutes.sums(begin - BEFORE_MINUTES, begin - 1)
        usual = pl.col("before").fill_null(0) * self._window // BEFORE_MINUTES
        return now.join(before.select("number", pl.col(self._measure).alias("before")), on="number", how="left").select(
            "number", (pl.col(self._measure) - usual).alias("rise")
        )
