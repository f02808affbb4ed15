"""What is to be told of an incident on a channel now? One step, or nothing; pure.

up      nothing while every alert of it that the channel wants is silenced
        a severity that was not told yet, and that nobody acknowledged
over    that it is over, if anything of it was told or may have been, whoever is silenced meanwhile
quiet   only pages, and that they are over
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

from spendgauge.schemas.alerts import SEVERITIES
from spendgauge.schemas.silences import Acknowledgement, Silence, matches
from spendgauge.streams.delivery.channels import Channel
from spendgauge.streams.delivery.incidents import Incident
from spendgauge.streams.delivery.memory import KeptAlert, Sent, Step

__all__ = ["Told", "Wanted", "wanted"]

Told = Mapping[Step, Sent]
"""What was told of an incident on a channel."""

_RAISES: Final[tuple[Step, ...]] = ("warn", "page")
_ENDS: Final[tuple[Step, ...]] = ("warn_resolved", "page_resolved")


@dataclass(frozen=True)
class Wanted:
    """A step to be told, and the alert that says it best."""

    step: Step
    kept: KeptAlert
    escalates: bool = False
    """Whether something less grave was told before."""

    @property
    def is_end(self) -> bool:
        """Whether it says that the incident is over."""
        return self.step in _ENDS


def wanted(
    incident: Incident,
    channel: Channel,
    *,
    told: Told,
    silences: Collection[Silence] = (),
    acknowledgement: Acknowledgement | None = None,
    quiet: bool = False,
) -> Wanted | None:
    """Say what is to be told; ``silences`` are those in force, ``quiet`` whether the channel is left alone now."""
    found = _raise(incident, channel, told, silences, acknowledgement) or _end(incident, channel, told)
    return None if found and quiet and not found.step.startswith("page") else found


def _raise(
    incident: Incident,
    channel: Channel,
    told: Told,
    silences: Collection[Silence],
    acknowledgement: Acknowledgement | None,
) -> Wanted | None:
    due = [
        kept
        for kept in incident.up
        if channel.covers(kept.alert, severity=kept.severity) and not any(matches(one, kept.alert) for one in silences)
    ]
    if not due:
        return None
    kept = _spokesman(due, incident)
    known = [step for step in _RAISES if step in told and told[step].fate != "begun"]
    done = max(map(SEVERITIES.index, known), default=0)
    if acknowledgement is not None:
        done = max(done, incident.severity_at(int(acknowledgement.at.timestamp() * 1000)))
    severity = SEVERITIES.index(kept.severity)
    if severity <= done:
        return None
    return Wanted(_RAISES[severity - 1], kept, escalates=bool(known))


def _end(incident: Incident, channel: Channel, told: Told) -> Wanted | None:
    sent = [step for step in _RAISES if step in told and told[step].fate != "refused"]
    if not sent:
        return None
    step = _ENDS[_RAISES.index(sent[-1])]
    known = list(incident.alerts.values())
    mine = [
        kept for kept in known if channel.covers(kept.alert, severity=kept.severity)
    ] or known  # its filter may be another by now
    if step in told or any(kept.up for kept in mine):
        return None
    return Wanted(step, _spokesman(mine, incident))


def _spokesman(kept: Collection[KeptAlert], incident: Incident) -> KeptAlert:
    """Choose the gravest; of those the one that the others joined, else the first."""
    return min(
        kept,
        key=lambda one: (
            -SEVERITIES.index(one.severity),
            one.alert.alert_id != incident.incident_id,
            one.alert.onset,
            one.alert.alert_id,
        ),
    )
