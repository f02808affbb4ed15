"""Which alarms are one incident? Those of a key and of what contains it that are raised within 15 minutes.

``total`` contains every key, ``feature`` the keys of ``feature+model`` with the same feature. The one that is raised
first gives the incident its id, so a person hears of it once, whichever of them that was.
"""

from dataclasses import dataclass
from typing import Final

from spendgauge.streams.spikes.lanes import SpikeKey

__all__ = ["JOIN_MINUTES", "Incidents", "contains"]

JOIN_MINUTES: Final = 15


@dataclass(frozen=True)
class _Open:
    incident_id: str
    raised: int


class Incidents:
    """The alarms that are up, and the incidents they belong to."""

    def __init__(self) -> None:
        """Begin with nothing up."""
        self._open: dict[SpikeKey, _Open] = {}

    def __len__(self) -> int:
        """Say how many alarms are up."""
        return len(self._open)

    def join(self, key: SpikeKey, alert_id: str, minute: int) -> str:
        """Take in an alarm that is raised in this minute; give the id of its incident: an open one, or its own.

        Alarms of one minute are to come with the containing ones first.
        """
        related = [
            (other.raised, other.incident_id)
            for name, other in self._open.items()
            if minute - other.raised <= JOIN_MINUTES and (contains(name, key) or contains(key, name))
        ]
        incident_id = min(related)[1] if related else alert_id
        self._open[key] = _Open(incident_id, minute)
        return incident_id

    def of(self, key: SpikeKey, alert_id: str) -> str:
        """Give the incident of an alarm that is up; its own, if it is not known here."""
        known = self._open.get(key)
        return known.incident_id if known else alert_id

    def leave(self, key: SpikeKey, alert_id: str) -> str:
        """Take out an alarm that is resolved; give the id of its incident."""
        incident_id = self.of(key, alert_id)
        self._open.pop(key, None)
        return incident_id

    def restore(self, key: SpikeKey, *, incident_id: str, raised: int) -> None:
        """Take in an alarm that was up when a worker ended, as its alert said."""
        self._open[key] = _Open(incident_id, raised)


def contains(outer: SpikeKey, inner: SpikeKey) -> bool:
    """Whether all that one key costs is part of what another, larger one costs."""
    theirs, ours = _dimensions(inner), _dimensions(outer)
    return len(ours) < len(theirs) and ours.items() <= theirs.items()


def _dimensions(key: SpikeKey) -> dict[str, str]:
    series, values = key
    return {} if series == "total" else dict(zip(series.split("+"), values, strict=True))
