"""What does a webhook get? One JSON object a message, in the frame of Standard Webhooks: type, timestamp, data."""

from typing import Annotated, Final, Literal

from pydantic import Field

from spendgauge.schemas.alerts import Alert, SentSeverity
from spendgauge.schemas.fields import Milliseconds, Total
from spendgauge.schemas.wire import WireModel

__all__ = ["NOTIFICATION_SCHEMA", "IncidentNotice", "Notification", "NotificationData"]

NOTIFICATION_SCHEMA: Final = "spendgauge.notification/1"

_Text = Annotated[str, Field(min_length=1)]


class IncidentNotice(WireModel):
    """How the incident stands that the alert belongs to."""

    incident_id: _Text = Field(description="As in an alert.")
    short_id: _Text = Field(description="Its name for people: what `spendgauge alerts ack` takes.")
    alerts: int = Field(ge=1, description="How many alerts it has had.")
    up: int = Field(ge=0, description="How many of them are not resolved.")
    onset: Total = Field(description="The earliest onset of its alerts, seconds since 1970 UTC, event time.")


class NotificationData(WireModel):
    """What happened, for people and for programs."""

    channel: _Text = Field(description="The channel's name in channels.toml.")
    severity: SentSeverity = Field(description="The gravest of the incident's alerts on this channel.")
    subject: _Text = Field(description="One line.")
    text: _Text = Field(description="Some lines, with the amounts, the incident and how to acknowledge it.")
    acknowledge: str = Field(description="The command that acknowledges the incident; empty: it is over.")
    incident: IncidentNotice
    alert: Alert = Field(description="The line of cost.alerts that says it best.")


class Notification(WireModel):
    """One message: that an incident is up, that it is graver now, or that it is over."""

    type: Literal["alert.raised", "alert.escalated", "alert.resolved", "alert.test"] = Field(
        description="What happened to the incident; alert.test: nothing, somebody tries the channel."
    )
    timestamp: Milliseconds = Field(description="When: the alert's evaluated_at.")
    data: NotificationData
