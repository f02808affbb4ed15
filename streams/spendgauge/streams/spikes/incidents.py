"""Which alarms are one incident? Those of a key and of what contains it that are raised within 15 minutes.

``total`` contains every key, ``feature`` the keys of ``feature+model`` with the same feature. Where neither contains
the other (a model, and the agent that calls it) and no dimension contradicts, an alarm joins that of a key that moved
with it, or whose alarm took a step in the same minute for an excess of nearly the same size. An escalation counts as a
raise does. The one that came first gives the incident its id, so a person hears of it once, whichever of them that was.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from spendgauge.streams.spikes.lanes import SpikeKey

__all__ = ["JOIN_MINUTES", "Incidents", "Steps", "contains", "dimensions", "may_be_part", "place"]

JOIN_MINUTES: Final = 15

Steps = tuple[tuple[int, int], ...]
"""The minutes in which an alarm was raised and escalated, and its excess in each."""


@dataclass(frozen=True)
class _Alarm:
    incident_id: str
    steps: Steps
    resolved: int | None = None

    def joined(self, minute: int) -> int | None:
        """Give the minute of the step it is joined by, None if it is over, or old, or not yet up.

        That is a matter of what came before: whoever judges a minute again finds the same.
        """
        if self.resolved is not None and minute >= self.resolved:
            return None
        return next((one for one, _ in self.steps if one <= minute <= one + JOIN_MINUTES), None)

    def is_like(self, minute: int, excess: int) -> bool:
        """Whether it took a step in this minute, for an excess that is at most a quarter larger or smaller."""
        return any(one == minute and 0 < 4 * max(mine, excess) <= 5 * min(mine, excess) for one, mine in self.steps)

    def is_known(self, since: int) -> bool:
        """Whether it took a step in this minute or later."""
        return self.steps[-1][0] >= since


class Incidents:
    """The alarms that are up here, or in other workers, and the incidents they belong to."""

    def __init__(self) -> None:
        """Begin with nothing up."""
        self._own: dict[SpikeKey, _Alarm] = {}
        self._elsewhere: dict[SpikeKey, _Alarm] = {}

    def __len__(self) -> int:
        """Say how many alarms are up here."""
        return sum(alarm.resolved is None for alarm in self._own.values())

    def join(
        self,
        key: SpikeKey,
        alert_id: str,
        minute: int,
        *,
        excess: int = 0,
        moved: Callable[[SpikeKey], bool] = lambda _key: False,
    ) -> str:
        """Take in an alarm that is raised in this minute; give the id of its incident: an open one, or its own.

        Alarms of one minute are to come in the order of ``place``, after those that escalate in it; a later one that
        is restored already changes nothing. ``moved``: whether another key moved with this one.
        """
        self._forget(minute)
        earlier = {
            name: alarm
            for name, alarm in self._own.items()
            if alarm.steps[0][0] < minute or place(name, alarm.steps[0][1]) < place(key, excess)
        }
        related = [
            (since, alarm.incident_id)
            for name, alarm in (*self._elsewhere.items(), *earlier.items())
            if (since := alarm.joined(minute)) is not None
            and (
                contains(name, key)
                or contains(key, name)
                or (may_be_part(key, name) and (alarm.is_like(minute, excess) or moved(name)))
            )
        ]
        incident_id = min(related)[1] if related else alert_id
        self._own[key] = _Alarm(incident_id, ((minute, excess),))
        return incident_id

    def escalate(self, key: SpikeKey, minute: int, *, excess: int) -> None:
        """Take in that an alarm escalates in this minute: what is raised from now on may join it again."""
        if (known := self._own.get(key)) is not None and known.resolved is None:
            self._own[key] = replace(known, steps=(*known.steps, (minute, excess)))

    def of(self, key: SpikeKey, alert_id: str) -> str:
        """Give the incident of an alarm that is up; its own, if it is not known here."""
        known = self._own.get(key)
        return known.incident_id if known and known.resolved is None else alert_id

    def leave(self, key: SpikeKey, alert_id: str, minute: int) -> str:
        """Take out an alarm that is resolved in this minute; give the id of its incident."""
        incident_id = self.of(key, alert_id)
        if key in self._own:
            self._own[key] = replace(self._own[key], resolved=minute)
        self._forget(minute)
        return incident_id

    def restore(self, key: SpikeKey, *, incident_id: str, steps: Steps, resolved: int | None = None) -> None:
        """Take in an alarm of another worker that ended, as its alerts said."""
        self._elsewhere.pop(key, None)
        self._own[key] = _Alarm(incident_id, steps, resolved)

    def hand_over(self, key: SpikeKey) -> None:
        """Know an alarm as another worker's from now on."""
        if (alarm := self._own.pop(key, None)) is not None:
            self._elsewhere[key] = alarm

    def hear(self, key: SpikeKey, minute: int, *, incident_id: str, excess: int) -> None:
        """Take in that an alarm was raised or escalated, in another worker unless it is one of ours."""
        self._forget(minute)
        if key not in self._own:
            self._elsewhere[key] = _Alarm(incident_id, ((minute, excess),))

    def hear_end(self, key: SpikeKey) -> None:
        """Take out an alarm that was up in another worker."""
        self._elsewhere.pop(key, None)

    def _forget(self, minute: int) -> None:
        """Drop what nothing can join any more."""
        young = minute - JOIN_MINUTES
        self._elsewhere = {key: alarm for key, alarm in self._elsewhere.items() if alarm.is_known(young)}
        self._own = {key: alarm for key, alarm in self._own.items() if alarm.resolved is None or alarm.is_known(young)}


def contains(outer: SpikeKey, inner: SpikeKey) -> bool:
    """Whether all that one key costs is part of what another, larger one costs."""
    theirs, ours = dimensions(inner), dimensions(outer)
    return len(ours) < len(theirs) and ours.items() <= theirs.items()


def place(key: SpikeKey, excess: int) -> tuple[int, int, SpikeKey]:
    """Say which alarm of a minute comes first: of what contains others, then of the larger excess."""
    return len(key[1]), -excess, key


def may_be_part(outer: SpikeKey, inner: SpikeKey) -> bool:
    """Whether some of what one key costs may be what another costs: they differ in no dimension that both have.

    A key that contains the other is no part of it, nor is what nobody named.
    """
    ours, theirs = dimensions(outer), dimensions(inner)
    if not all(theirs.values()) or theirs.keys() <= ours.keys():
        return False
    return all(ours[name] == theirs[name] for name in ours.keys() & theirs.keys())


def dimensions(key: SpikeKey) -> dict[str, str]:
    """Name the dimensions of a key with their values."""
    series, values = key
    return {} if series == "total" else dict(zip(series.split("+"), values, strict=True))
