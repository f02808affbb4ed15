"""How far is a consumer behind its log, in records and in seconds?

In seconds: all that was in the log so long ago is done. It needs no timestamps of records, which producers write and
replays repeat, and it grows whatever the reason: too much to do, a flush that hangs, a broker that is silent. Only what
the consumer was told anyway is used; nothing is asked.
"""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

__all__ = ["CATCH_UP_SECONDS", "CatchUp", "End", "Progress"]

CATCH_UP_SECONDS: Final = 10.0
"""A consumer is caught up while it is at most so long behind. Fetches and commits alone make it one to three."""


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

    @property
    def lag(self) -> int:
        """How many records are still to be read."""
        return max(self.end.offset - self.position, 0) if self.end else 0

    @property
    def committed_lag(self) -> int:
        """How many records are still to be committed."""
        return max(self.end.offset - self.committed, 0) if self.end else 0


@dataclass
class _Mark:
    """When all was done that was in the log, and what must be done so that this may be said of a later time."""

    begun_at_ms: int
    done_at_ms: int | None = None
    goal: End | None = None


class CatchUp:
    """Remembers of each partition when the consumer had last done all that was in it."""

    def __init__(self) -> None:
        self._marks: dict[Hashable, _Mark] = {}

    def observe(self, found: Mapping[Hashable, Progress], *, now_ms: int) -> None:
        """Look at all partitions. A key that is new begins behind; one that is no longer there is forgotten."""
        self._marks = {key: self._marks.get(key) or _Mark(now_ms) for key in found}
        for key, progress in found.items():
            _advance(self._marks[key], progress)

    def seconds(self, key: Hashable, *, now_ms: int) -> float:
        """Return how far behind a partition is; at least so far where it has not caught up since it was got."""
        mark = self._marks.get(key)
        if mark is None:
            return 0.0
        since = mark.begun_at_ms if mark.done_at_ms is None else mark.done_at_ms
        return max(now_ms - since, 0) / 1000

    def is_behind(self, key: Hashable, *, now_ms: int) -> bool:
        """Say whether a partition is behind for too long, or has never caught up since it was got."""
        mark = self._marks.get(key)
        never = mark is None or mark.done_at_ms is None
        return never or self.seconds(key, now_ms=now_ms) > CATCH_UP_SECONDS


def _advance(mark: _Mark, progress: Progress) -> None:
    """Move the mark where its goal was reached, and set the next goal: the end as it is told now."""
    done = min(progress.position, progress.committed)
    if mark.goal and done >= mark.goal.offset:
        mark.done_at_ms, mark.goal = mark.goal.told_at_ms, None
    if progress.end and done >= progress.end.offset:
        mark.done_at_ms, mark.goal = progress.end.told_at_ms, None
    mark.goal = mark.goal or progress.end
