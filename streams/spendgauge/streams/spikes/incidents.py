"""Which alarms are one incident? Those of a key and of what contains it that are raised within 15 minutes.

``total`` contains every key, ``feature`` the keys of ``feature+model`` with the same feature. Where neither contains
the other (a model, and the agent that calls it), an alarm joins that of a key that made at least half of its excess.
The one that is raised first gives the incident its id, so a person hears of it once, whichever of them that was.
"""

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Final

from spendgauge.streams.spikes.lanes import SpikeKey

__all__ = ["JOIN_MINUTES", "Incidents", "contains", "dimensions"]

JOIN_MINUTES: Final = 15


@dataclass(frozen=True)
class _Alarm:
    incident_id: str
    raised: int
    resolved: int | None = None

    def is_joined(self, minute: int) -> bool:
        """Whether it is up and young in this minute, whatever came later: whoever judges it again finds the same."""
        return self.raised <= minute <= self.raised + JOIN_MINUTES and (self.resolved is None or minute < self.resolved)


class Incidents:
    """The alarms that are up here, or in other workers, and the incidents they belong to."""

    def __init__(self) -> None:
        """Begin with nothing up."""
        self._own: dict[SpikeKey, _Alarm] = {}
        self._elsewhere: dict[SpikeKey, _Alarm] = {}

    def __len__(self) -> int:
        """Say how many alarms are up here."""
        return sum(alarm.resolved is None for alarm in self._own.values())

    def join(self, key: SpikeKey, alert_id: str, minute: int, *, causes: Collection[SpikeKey] = ()) -> str:
        """Take in an alarm that is raised in this minute; give the id of its incident: an open one, or its own.

        Alarms of one minute are to come with the containing ones first. ``causes``: keys that made half of it.
        """
        self._forget(minute)
        related = [
            (alarm.raised, alarm.incident_id)
            for name, alarm in (*self._elsewhere.items(), *self._own.items())
            if alarm.is_joined(minute) and (name in causes or contains(name, key) or contains(key, name))
        ]
        incident_id = min(related)[1] if related else alert_id
        self._own[key] = _Alarm(incident_id, minute)
        return incident_id

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

    def restore(self, key: SpikeKey, *, incident_id: str, raised: int, resolved: int | None = None) -> None:
        """Take in an alarm of another worker that ended, as its alerts said."""
        self._elsewhere.pop(key, None)
        self._own[key] = _Alarm(incident_id, raised, resolved)

    def hand_over(self, key: SpikeKey) -> None:
        """Know an alarm as another worker's from now on."""
        if (alarm := self._own.pop(key, None)) is not None:
            self._elsewhere[key] = alarm

    def hear(self, key: SpikeKey, *, incident_id: str, raised: int) -> None:
        """Take in an alarm that is up, in another worker unless it is one of ours."""
        self._forget(raised)
        if key not in self._own:
            self._elsewhere[key] = _Alarm(incident_id, raised)

    def hear_end(self, key: SpikeKey) -> None:
        """Take out an alarm that was up in another worker."""
        self._elsewhere.pop(key, None)

    def _forget(self, minute: int) -> None:
        """Drop what nothing can join any more."""
        young = minute - JOIN_MINUTES
        self._elsewhere = {key: alarm for key, alarm in self._elsewhere.items() if alarm.raised >= young}
        self._own = {key: alarm for key, alarm in self._own.items() if alarm.resolved is None or alarm.raised >= young}


def contains(outer: SpikeKey, inner: SpikeKey) -> bool:
    """Whether all that one key costs is part of what another, larger one costs."""
    theirs, ours = dimensions(inner), dimensions(outer)
    return len(ours) < len(theirs) and ours.items() <= theirs.items()


def dimensions(key: SpikeKey) -> dict[str, str]:
    """Name the dimensions of a key with their values."""
    series, values = key
    return {} if series == "total" else dict(zip(series.split("+"), values, strict=True))
