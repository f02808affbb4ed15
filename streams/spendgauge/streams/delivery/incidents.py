"""Which alerts belong together, and how does each stand? Lines of ``cost.alerts`` in, incidents out; pure.

A line that says nothing newer than what is known of its alert changes nothing: a topic that is read again from the
beginning, or a line that was written twice, is heard once.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from spendgauge.schemas.alerts import SEVERITIES, Alert
from spendgauge.streams.delivery.memory import KeptAlert

__all__ = ["REMEMBERED_MS", "Heard", "Incident", "Incidents"]

_DAY_MS: Final = 86_400_000

REMEMBERED_MS: Final = 45 * _DAY_MS
"""How long a resolved alert is known, and how old a record may be to begin one: events are accepted for 30 days."""

_ABANDONED_MS: Final = 400 * _DAY_MS
"""An alert that nobody resolved is forgotten when nothing was said of it for so long: longer than a year's budget."""

_STATES: Final = ("raised", "escalated", "resolved")


@dataclass(frozen=True)
class Heard:
    """A line of ``cost.alerts``."""

    alert: Alert
    at_ms: int
    """Its record's timestamp."""


@dataclass
class Incident:
    """Alerts that belong together."""

    incident_id: str
    alerts: dict[str, KeptAlert] = field(default_factory=dict)

    @property
    def up(self) -> list[KeptAlert]:
        """Those that are not resolved."""
        return [kept for kept in self.alerts.values() if kept.up]

    def severity_at(self, at_ms: int) -> int:
        """The gravest that any of its alerts had been by then, as an index of ``SEVERITIES``; 0: none was grave."""
        known = [SEVERITIES.index(s) for kept in self.alerts.values() for s, ms in kept.heard_ms.items() if ms <= at_ms]
        return max(known, default=0)

    @property
    def begun_ms(self) -> int:
        """When it was first heard of."""
        return min(ms for kept in self.alerts.values() for ms in kept.heard_ms.values())

    def forgettable(self, now_ms: int) -> bool:
        """Whether it is over, or abandoned, for so long that nothing will be asked of it."""
        last_ms = max(kept.last_ms for kept in self.alerts.values())
        return now_ms - last_ms > (_ABANDONED_MS if self.up else REMEMBERED_MS)


class Incidents:
    """All incidents that are not forgotten."""

    def __init__(self, kept: Mapping[str, KeptAlert]) -> None:
        """Go on from what is kept."""
        self._incidents: dict[str, Incident] = {}
        self._home: dict[str, str] = {}
        for alert_id, one in kept.items():
            self._put(alert_id, one)

    def __iter__(self) -> Iterator[Incident]:
        """Give them all."""
        return iter(list(self._incidents.values()))

    def get(self, incident_id: str) -> Incident | None:
        """Find one."""
        return self._incidents.get(incident_id)

    def hear(self, heard: Iterable[Heard], *, now_ms: int) -> dict[str, KeptAlert]:
        """Take lines in; give the alerts that they changed, as they are now, which must be kept."""
        changed: dict[str, KeptAlert] = {}
        for one in heard:
            kept = self._next(one, now_ms)
            if kept is not None:
                changed[one.alert.alert_id] = kept
                self._put(one.alert.alert_id, kept)
        return changed

    def forget(self, now_ms: int) -> list[Incident]:
        """Drop the incidents of which nothing will be asked any more; give them."""
        gone = [incident for incident in self if incident.forgettable(now_ms)]
        for incident in gone:
            del self._incidents[incident.incident_id]
            for alert_id in incident.alerts:
                del self._home[alert_id]
        return gone

    def _next(self, heard: Heard, now_ms: int) -> KeptAlert | None:
        alert = heard.alert
        before = self._known(alert.alert_id)
        if before is None and not _begins(heard, now_ms):
            return None
        if before is not None and _place(alert) <= _place(before.alert):
            return None
        known = before.heard_ms if before else {}
        return KeptAlert(
            incident_id=before.incident_id if before else alert.incident_id,
            alert=alert,
            heard_ms={alert.severity: heard.at_ms, **known},
            last_ms=heard.at_ms,
        )

    def _known(self, alert_id: str) -> KeptAlert | None:
        home = self._home.get(alert_id)
        return self._incidents[home].alerts[alert_id] if home is not None else None

    def _put(self, alert_id: str, kept: KeptAlert) -> None:
        self._home[alert_id] = kept.incident_id
        self._incidents.setdefault(kept.incident_id, Incident(kept.incident_id)).alerts[alert_id] = kept


def _begins(heard: Heard, now_ms: int) -> bool:
    """Whether an unknown alert is to be known from now on: of what is never told, and of what is over, nothing is."""
    alert = heard.alert
    return alert.severity != "info" and alert.state != "resolved" and now_ms - heard.at_ms <= REMEMBERED_MS


def _place(alert: Alert) -> tuple[int, int]:
    return alert.evaluated_at, _STATES.index(alert.state)
