"""How is a simulated day or a log played? Moved so that it ends now, checked, turned into lines, in its rhythm."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from math import isinf
from typing import Final

import polars as pl

from spendgauge.deploy.feeding.checks import plainly_valid, refusals
from spendgauge.deploy.feeding.feed import numbered_sources, paced, with_lines
from spendgauge.deploy.replay.batches import LINE, Problem
from spendgauge.deploy.replay.log import Log, read_log
from spendgauge.deploy.simulation.day import DAY_MS, simulate_day
from spendgauge.deploy.simulation.runaway import RunawayCalls
from spendgauge.schemas import Clock

__all__ = ["Problems", "Tempo", "play_day", "play_log"]

_REPLAY_SOURCES: Final = 8
"""More than the default partitions, so that most of them get a share."""
_PLACE: Final = ("service", "host")

Problems = Callable[[Iterable[Problem]], None]
"""Hears of lines that are not sent."""


@dataclass(frozen=True)
class Tempo:
    """How fast events are played (``speed`` of their seconds in one; infinite: at once), and whether their times stay.

    ``clock`` says what is now.
    """

    speed: float
    keep_time: bool
    clock: Clock

    def end_ms(self, span_ms: int) -> int:
        """Tell when the last of events that span so long is sent, at best."""
        return self.clock.now_ms() + (0 if isinf(self.speed) else round(span_ms / max(self.speed, 1)))

    def played(self, frames: Iterable[pl.DataFrame]) -> Iterable[pl.DataFrame]:
        """Let frames pass in this tempo."""
        return frames if isinf(self.speed) else paced(frames, self.speed, clock=self.clock)


def play_day(
    events: int, *, seed: int, run: str, tempo: Tempo, runaway: RunawayCalls | None = None
) -> Iterator[pl.DataFrame]:
    """Yield frames with ``service``, ``host`` and ``line`` of a simulated day.

    The day ends now, or is yesterday, in UTC, where times are kept: then the hours of its load are right. ``runaway``
    is as for ``simulate_day``.
    """
    yesterday_ms = (tempo.clock.now_ms() // DAY_MS - 1) * DAY_MS
    day = simulate_day(events, start_ms=0, seed=seed, run=run, runaway=runaway)
    for frame in tempo.played(_moved_day(day, tempo, yesterday_ms)):
        yield with_lines(frame, without=["host"])


def _moved_day(frames: Iterator[pl.DataFrame], tempo: Tempo, yesterday_ms: int) -> Iterator[pl.DataFrame]:
    """Move a day that begins at 0; it is played from its first event on."""
    shift_ms = yesterday_ms if tempo.keep_time else None
    for frame in filter(len, frames):
        if shift_ms is None:
            shift_ms = tempo.end_ms(DAY_MS - frame["occurred_at_ms"][0]) - DAY_MS
        yield frame.with_columns(pl.col("occurred_at_ms", "started_at_ms") + shift_ms)


def play_log(log: Log, *, name: str, tempo: Tempo, on_problems: Problems) -> Iterator[pl.DataFrame]:
    """Yield frames with ``service``, ``host`` and ``line`` of a log.

    ``name`` and a number are the hosts. A log that is not in the order of time is sorted first if it is to be played in
    a rhythm; that takes memory for all of it.
    """
    shift_ms = 0 if tempo.keep_time else tempo.end_ms(log.last_ms - log.first_ms) - log.last_ms
    frames = _moved_log(log, shift_ms, on_problems)
    if not isinf(tempo.speed) and not log.in_order:
        frames = iter([pl.concat(frames, how="diagonal").sort("occurred_at_ms")])
    for frame in tempo.played(frames):
        written = with_lines(frame, without=[LINE])
        good = _accepted(written, tempo.clock.now_ms(), on_problems)
        yield numbered_sources(good.drop(*_PLACE, strict=False), name, sources=_REPLAY_SOURCES)


def _moved_log(log: Log, shift_ms: int, on_problems: Problems) -> Iterator[pl.DataFrame]:
    for frame, problems in read_log(log):
        on_problems(problems)
        times = [name for name in ("occurred_at_ms", "started_at_ms") if name in frame.columns]
        yield frame.with_columns(pl.col(times) + shift_ms)


def _accepted(frame: pl.DataFrame, now_ms: int, on_problems: Problems) -> pl.DataFrame:
    """Leave out what consumers would reject, and tell of it."""
    doubtful = ~plainly_valid(frame.drop("line", LINE), now_ms=now_ms)
    if not doubtful.any():
        return frame
    asked = frame.filter(doubtful)
    refused = refusals(asked["line"], now_ms=now_ms)
    lines = asked[LINE].gather(list(refused))
    on_problems(Problem(line, reason) for line, reason in zip(lines, refused.values(), strict=True))
    return frame.filter(~pl.col(LINE).is_in(lines.implode()))
