"""What would a person have got of it? The messages of a channel that wants everything, as the notifier decides them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final

from pydantic import SecretStr

from spendgauge.schemas.alerts import Alert
from spendgauge.streams.delivery.channels import Channel
from spendgauge.streams.delivery.deciding import wanted
from spendgauge.streams.delivery.incidents import Heard, Incident, Incidents
from spendgauge.streams.delivery.memory import Sent, Step

__all__ = ["Message", "messages_of"]

_CHANNEL: Final = Channel(name="everybody", kind="apprise", url=SecretStr("rehearsed, and sent to nobody"))


@dataclass(frozen=True)
class Message:
    """One message about one incident."""

    at: int
    """Seconds since 1970 UTC, event time."""
    incident_id: str
    step: Step
    text: str

    @property
    def is_end(self) -> bool:
        """Whether it says that the incident is over."""
        return self.step.endswith("_resolved")


def messages_of(alerts: Sequence[Alert]) -> list[Message]:
    """Say what is sent of alerts, which are in the order of time: at most one an incident and severity, and its end."""
    incidents = Incidents({})
    told: dict[str, dict[Step, Sent]] = {}
    messages: list[Message] = []
    for at, group in groupby(alerts, key=lambda alert: alert.evaluated_at):
        said = list(group)
        incidents.hear([Heard(alert, at * 1000) for alert in said], now_ms=at * 1000)
        for incident_id in sorted({alert.incident_id for alert in said}):
            incident = incidents.get(incident_id)
            if incident is not None:
                messages += _told(incident, told.setdefault(incident_id, {}), at)
    return messages


def _told(incident: Incident, told: dict[Step, Sent], at: int) -> Iterator[Message]:
    while (one := wanted(incident, _CHANNEL, told=told)) is not None:
        told[one.step] = Sent(fate="sent", at_ms=at * 1000)
        yield Message(at, incident.incident_id, one.step, one.kept.alert.message)
