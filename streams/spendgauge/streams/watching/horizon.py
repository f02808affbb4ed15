"""Which minutes are over, and up to when is all known? Minutes that ended a while ago, all of whose lines were read.

A minute may be closed when three things are so:

* it ended ``hold_back_seconds`` ago: so long an event may take to its topic;
* what was on ``usage.events`` when it ended is rated: where the rates workers are behind, minutes wait for them. While
  they keep up nobody waits: they are always a second or two behind, which the first rule has room for;
* what was on ``cost.rates`` when both were found to be so is read.

Whoever is far behind must not hold the lines of days at once. Beyond a limit minutes are closed by the newest line
that was read: those that lie an hour before it. Pure: no clock, no I/O.
"""

from collections import deque
from collections.abc import Collection, Mapping
from typing import Final

from spendgauge.schemas.progress import End, Mark
from spendgauge.streams.judging import Rating

__all__ = ["MOST_LINES", "Horizon", "Rated"]

MOST_LINES: Final = 500_000
"""So many lines may lie unjudged in a worker while the log is read up to its end: 50 MB for each judge at most."""

_UNREAD_MINUTES: Final = 60
_KEEPS_UP_MS: Final = 5_000
_MINUTE_MS: Final = 60_000
_REMEMBERED: Final = 64


class Rated:
    """Remembers up to when ``usage.events`` was found to be rated."""

    def __init__(self) -> None:
        self._marks: dict[int, Mark] = {}
        self._found: deque[tuple[int, int | None]] = deque(maxlen=_REMEMBERED)
        self.last: Rating | None = None
        """What was taken in last."""

    def look(
        self,
        standing: Mapping[int, tuple[int, int]],
        *,
        asked_at_ms: int,
        answered_at_ms: int,
        overtaken: Collection[int] = (),
    ) -> None:
        """Take in of each partition what the rates workers have committed, and its end, as ``Rating`` has it."""
        self._marks = {number: self._marks.get(number) or Mark(asked_at_ms) for number in standing}
        for number, (committed, end) in standing.items():
            self._marks[number].advance(committed, End(end, asked_at_ms))
        done = [mark.done_at_ms for mark in self._marks.values()]
        known = [at for at in done if at is not None]
        rated = min(known, default=asked_at_ms) if len(known) == len(done) else None
        self._found.append((answered_at_ms, rated))
        self.last = Rating(answered_at_ms, standing, overtaken)

    def rated_at_ms(self, read_at_ms: int) -> int | None:
        """Say up to when all is rated, and read by whoever has read all that ``cost.rates`` held at a time.

        None: that is not known.
        """
        return next((rated for found, rated in reversed(self._found) if found <= read_at_ms), None)


class Horizon:
    """Says of one partition which minutes are over, and up to when all is known."""

    def __init__(
        self, rated: Rated, *, begun_at_ms: int, position: int, hold_back_seconds: float, most_lines: int = MOST_LINES
    ) -> None:
        """``position``: the offset at which reading begins; ``most_lines``: this partition's share of them."""
        self.position = position
        self.newest: int | None = None
        """The newest minute that a line is about."""
        self._rated = rated
        self._hold_back_ms = int(hold_back_seconds * 1000)
        self._mark = Mark(begun_at_ms)
        self._most_lines = most_lines
        self._lines = 0
        self._until: int | None = None
        self._known_ms: int | None = None

    def on_lines(self, position: int, lines: int, newest: int | None) -> None:
        """Hear how far has been read, how many lines that brought, and which is the newest minute that they name."""
        self.position = position
        self._lines += lines
        self.newest = max(self.newest or 0, newest) if newest is not None else self.newest

    def look(self, now_ms: int, end: End | None) -> None:
        """Take in where the log ends."""
        self._mark.advance(self.position, end)
        read_at = self._mark.done_at_ms
        rated_at = None if read_at is None else self._rated_at(read_at)
        until = None
        if read_at is not None and rated_at is not None:
            self._known_ms = max(rated_at, self._known_ms or 0)
            until = self._by_clock(now_ms, read_at=read_at, rated_at=rated_at)
        if until is None and self._lines > self._most_lines and self.newest is not None:
            until = self.newest - _UNREAD_MINUTES
        if until is not None and (self._until is None or until > self._until):
            self._until = until
            self._lines = 0

    @property
    def until(self) -> int | None:
        """All minutes up to this one are over; None: that is not known yet. It never goes back."""
        return self._until

    @property
    def known_ms(self) -> int | None:
        """What ``usage.events`` held at this time is rated and read; None: that is not known yet. It never goes back,
        and stands still while the rates workers do, or the log is not read to its end."""
        return self._known_ms

    @property
    def waits_for_rates(self) -> bool:
        """Whether minutes wait for the rates workers alone."""
        read_at = self._mark.done_at_ms
        return read_at is not None and self._rated_at(read_at) is None

    def _by_clock(self, now_ms: int, *, read_at: int, rated_at: int) -> int:
        over_at = min(now_ms, read_at) - self._hold_back_ms
        return (over_at if now_ms - rated_at <= _KEEPS_UP_MS else min(over_at, rated_at)) // _MINUTE_MS - 1

    def _rated_at(self, read_at: int) -> int | None:
        return self._rated.rated_at_ms(read_at)
