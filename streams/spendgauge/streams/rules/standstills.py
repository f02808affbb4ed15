"""Since when does nothing move that should? The partitions of ``usage.events`` in which records wait and none is rated.

A backlog that is worked off moves, however long it takes; so what counts is that the offset up to which all is rated
stays where it is while records lie beyond it. Where retention removes what was to be rated next, that offset is the
log's beginning, and it is not the workers who move it. Time counts as far as it was watched: while the broker did not
answer, or no watcher was there, the rates workers may have been as helpless.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from pydantic import Field, ValidationError

from spendgauge.streams.judging.judge import Entry, KeptEntries, Rating
from spendgauge.streams.judging.models import KeptModel

__all__ = ["Standstill", "Standstills"]

_KEY: Final = b'["standstills"]'
_MOST_MS: Final = 10_000
"""Between two looks at most so much counts: the broker is asked every second."""
_MINUTE_MS: Final = 60_000


@dataclass(frozen=True)
class Standstill:
    """A partition that stands still."""

    partition: int
    rated: int
    """The offset up to which all is rated."""
    since_ms: int
    """When it was first found there with something to do: milliseconds since 1970 UTC."""
    stood_ms: int = 0
    """For so long it was watched standing there."""
    waiting: int = 0
    """So many records lie beyond."""


class _Kept(KeptModel):
    partitions: dict[int, tuple[int, int, int]] = Field(description="Of each rated, since_ms and stood_ms.")


class Standstills:
    """Where the rates workers stand still."""

    def __init__(self, kept: KeptEntries) -> None:
        """Go on from what is kept; what another version wrote begins anew."""
        self._now = {one.partition: one for one in _read(kept)}
        self._looked_at_ms: int | None = None
        self._written = self._minutes()

    @property
    def now(self) -> Sequence[Standstill]:
        """Those of the last look."""
        return list(self._now.values())

    def look(self, rating: Rating) -> None:
        """Take in how far the rates workers are; the same answer twice is one."""
        last, self._looked_at_ms = self._looked_at_ms, rating.at_ms
        watched_ms = 0 if last is None else min(max(rating.at_ms - last, 0), _MOST_MS)
        found = (
            self._stand(
                Standstill(partition, rated, rating.at_ms, waiting=end - rated),
                watched_ms,
                moved=partition not in rating.overtaken,
            )
            for partition, (rated, end) in rating.partitions.items()
            if rated < end
        )
        self._now = {one.partition: one for one in found}

    def entries(self, *, stepped: bool) -> list[Entry]:
        """Write what must be kept: where an alarm took a step, and else every minute of what stands for as long."""
        minutes = self._minutes()
        if minutes == self._written and not stepped:
            return []
        self._written = minutes
        found = [one for one in self.now if stepped or one.partition in minutes]
        kept = _Kept(partitions={one.partition: (one.rated, one.since_ms, one.stood_ms) for one in found})
        return [(_KEY, kept.encode() if found else None)]

    def _stand(self, one: Standstill, watched_ms: int, *, moved: bool) -> Standstill:
        """Go on counting; ``moved``: whether another offset says that something was rated, and not that it was lost."""
        before = self._now.get(one.partition)
        if before is None or (moved and before.rated != one.rated):
            return one
        return replace(before, rated=one.rated, stood_ms=before.stood_ms + watched_ms, waiting=one.waiting)

    def _minutes(self) -> dict[int, tuple[int, int]]:
        whole = {number: (one.rated, one.stood_ms // _MINUTE_MS) for number, one in self._now.items()}
        return {number: at for number, at in whole.items() if at[1]}


def _read(kept: KeptEntries) -> list[Standstill]:
    try:
        value = kept.get(_KEY)
        found = {} if value is None else _Kept.model_validate_json(value).partitions
    except ValidationError:
        return []
    return [Standstill(number, *where) for number, where in found.items()]
