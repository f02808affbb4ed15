"""How far is a consumer behind its log, in records and in seconds?

In seconds: all that was in the log so long ago is done. It needs no timestamps of records, which producers write and
replays repeat, and it grows whatever the reason: too much to do, a flush that hangs, a broker that is silent. Only what
the consumer was told anyway is used; nothing is asked.
"""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

from spendgauge.schemas.clock import Clock

__all__ = ["CATCH_UP_SECONDS", "End", "Mark", "Progress", "Standing", "Watch"]

CATCH_UP_SECONDS: Final = 10.0
"""A consumer is caught up while it is at most so long behind. Fetches and commits alone make it one to three."""

_MOST_TOLD: Final = 10


class End(NamedTuple):
    """Where a partition ended when the broker last told."""

    offset: int
    """The next record's."""
    told_at_ms: int
    """By this machine's clock."""


@dataclass(frozen=True)
class Progress:
    """How far a consumer is in one partition."""

    topic: str
    partition: int
    position: int
    """The next offset to be read."""
    committed: int
    """All before it is done: written, acknowledged, committed."""
    end: End | None
    """None: the broker has not told yet."""
    commits_later: bool = False
    """What is done is committed only when it will not be needed again: the position alone says how far it is."""

    @property
    def done(self) -> int:
        """All before it is done, as far as is known."""
        return self.position if self.commits_later else min(self.position, self.committed)

    @property
    def lag(self) -> int:
        """How many records are still to be read."""
        return max(self.end.offset - self.position, 0) if self.end else 0

    @property
    def committed_lag(self) -> int:
        """How many records are still to be committed."""
        return max(self.end.offset - self.committed, 0) if self.end else 0


@dataclass
class Mark:
    """When all was done that was in the log, and what must be done so that this may be said of a later time."""

    begun_at_ms: int
    done_at_ms: int | None = None
    goal: End | None = None

    def advance(self, done: int, end: End | None) -> None:
        """Move on where the goal was reached, and set the next goal: the end as it is told now."""
        if self.goal and done >= self.goal.offset:
            self.done_at_ms, self.goal = self.goal.told_at_ms, None
        if end and done >= end.offset:
            self.done_at_ms, self.goal = end.told_at_ms, None
        self.goal = self.goal or end

    def behind_seconds(self, now_ms: int) -> float:
        """Say how long ago all was done, or at least that it was not."""
        return max(now_ms - (self.begun_at_ms if self.done_at_ms is None else self.done_at_ms), 0) / 1000

    def keeps_up(self, now_ms: int) -> bool:
        """Say whether that is not long ago."""
        return self.done_at_ms is not None and self.behind_seconds(now_ms) <= CATCH_UP_SECONDS


@dataclass(frozen=True)
class Standing:
    """What a member of a consumer group knows of itself without asking."""

    answered: bool
    """The group's coordinator answers, as far as is known."""
    settled: bool
    """The partitions are shared out; this member may have none."""
    progress: Mapping[Hashable, Progress]
    """Of each assigned partition, under a key that changes when the partition is taken up anew."""


class Watch:
    """Remembers of each partition when all was done that was in it. One thread looks, any may ask."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._standing = Standing(answered=False, settled=False, progress={})
        self._marks: dict[Hashable, Mark] = {}

    def look(self, standing: Standing) -> None:
        """Take in how things stand. A new key begins behind; one that is no longer there is forgotten."""
        now_ms = self._clock.now_ms()
        marks = {key: self._marks.get(key) or Mark(now_ms) for key in standing.progress}
        for key, progress in standing.progress.items():
            marks[key].advance(progress.done, progress.end)
        self._marks, self._standing = marks, standing

    def behind(self) -> list[tuple[Progress, float]]:
        """List the partitions, each with how many seconds it is behind: at least so many where it never caught up."""
        now_ms, marks = self._clock.now_ms(), self._marks
        known = [(progress, marks.get(key)) for key, progress in self._standing.progress.items()]
        return [(progress, mark.behind_seconds(now_ms)) for progress, mark in known if mark]

    def obstacles(self) -> list[str]:
        """Say why this member is not ready, a sentence each; none where it is."""
        standing, now_ms = self._standing, self._clock.now_ms()
        found = [] if standing.answered else ["the group's coordinator does not answer"]
        if not standing.settled:
            return [*found, "the group has not shared out its partitions"]
        late = [key for key, mark in self._marks.items() if not mark.keeps_up(now_ms)]
        found += [_sentence(progress) for key, progress in standing.progress.items() if key in late]
        return found[:_MOST_TOLD] + ([f"and {len(found) - _MOST_TOLD} more"] if len(found) > _MOST_TOLD else [])


def _sentence(progress: Progress) -> str:
    where = f"{progress.topic}/{progress.partition}"
    if progress.end is None:
        return f"{where}: the broker has not told where it ends"
    if progress.commits_later and progress.lag:
        return f"{where}: {progress.lag} records still to be read"
    if not progress.lag and (progress.commits_later or not progress.committed_lag):
        return f"{where}: the broker has not told for a while where it ends"
    return f"{where}: {progress.lag} records still to be read, {progress.committed_lag} to be committed"
