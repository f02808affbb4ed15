"""When may a channel be tried again, and with which messages? What one channel's failures say; pure.

    one message failed      it alone waits, twice as long each time: the fault may be its own
    another failed too      the channel fails: all wait, twice as long each time, and then it is tried with one message
    the receiver asks       all wait until then
    one got through         what waits may go, one a second until nothing waits

While a channel fails the message that was tried least is the next one, so none that fails by itself keeps it failing.
"""

from dataclasses import dataclass, replace
from typing import Final

from spendgauge.streams.delivery.memory import Step
from spendgauge.streams.delivery.tries import Outcome, pause_ms

__all__ = ["Patience"]

_PACE_MS: Final = 1_000
"""As slow as Slack wants it. *Source*: Slack's "Rate limits", incoming webhooks: one a second."""

_Place = tuple[str, Step]
"""One message: an incident, and what is told of it."""


@dataclass(frozen=True)
class _Pause:
    """A wait that ends in time, and where the clock is set back before its beginning."""

    since_ms: int = 0
    until_ms: int = 0

    def holds(self, now_ms: int) -> bool:
        return self.since_ms <= now_ms < self.until_ms


@dataclass(frozen=True)
class _Try:
    attempts: int
    pause: _Pause
    begun_ms: int


class Patience:
    """What is known of one channel since it was last set up."""

    def __init__(self) -> None:
        """Begin with a channel that works."""
        self._tries: dict[_Place, _Try] = {}
        self._suspects: set[_Place] = set()
        """What failed since a message got through; of more than two it is enough to know two."""
        self._failures = 0
        self._pause = _Pause()
        self._slow = False

    def waits(self, now_ms: int) -> bool:
        """Whether nothing may be sent now."""
        return self._pause.holds(now_ms)

    def rank(self, place: _Place, *, now_ms: int) -> tuple[int, int] | None:
        """Say how early a message is to be tried, the lowest first; None: not now.

        While the channel fails the attempts decide, and pages come first among equals; else pages come first.
        """
        tried, grave = self._tries.get(place), 0 if place[1] == "page" else 1
        attempts = tried.attempts if tried else 0
        if self._fails:
            return attempts, grave
        return None if tried and tried.pause.holds(now_ms) else (grave, attempts)

    def rest(self) -> None:
        """Hear that nothing waits: what comes next is new, and need not come slowly."""
        self._slow = False
        self._tries.clear()

    def note(self, place: _Place, outcome: Outcome, *, now_ms: int, chance: float) -> int:
        """Take in what came of an attempt; say for how long the message has failed: milliseconds."""
        if outcome.fate != "failed":
            self._got_through(place, now_ms)
            return 0
        self._failures += 1
        if not self._fails:
            self._suspects.add(place)
        before = self._tries.get(place)
        attempts, begun_ms = (before.attempts + 1, before.begun_ms) if before else (1, now_ms)
        self._tries[place] = _Try(attempts, _Pause(now_ms, now_ms + pause_ms(attempts, chance=chance)), begun_ms)
        if self._fails or outcome.retry_after_seconds:
            self._slow = True
            wait_ms = pause_ms(self._failures, chance=chance, asked_seconds=outcome.retry_after_seconds)
            self._pause = _Pause(now_ms, now_ms + wait_ms)
        return now_ms - begun_ms

    @property
    def _fails(self) -> bool:
        return len(self._suspects) > 1

    def _got_through(self, place: _Place, now_ms: int) -> None:
        if self._fails:
            self._tries = {one: replace(tried, attempts=0, pause=_Pause()) for one, tried in self._tries.items()}
        self._tries.pop(place, None)
        self._suspects.clear()
        self._failures = 0
        self._pause = _Pause(now_ms, now_ms + _PACE_MS) if self._slow else _Pause()
