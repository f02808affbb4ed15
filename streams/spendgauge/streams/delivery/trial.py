"""Does each channel work? One message to each, now, whatever the hour and whatever it wants to hear of."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from spendgauge.schemas.alerts import NO_AMOUNTS, Alert
from spendgauge.schemas.clock import Clock
from spendgauge.schemas.moments import utc_time
from spendgauge.schemas.notifications import IncidentNotice, Notification, NotificationData
from spendgauge.streams.delivery.messages import Message, idempotency_key
from spendgauge.streams.delivery.senders import make_sender
from spendgauge.streams.delivery.targets import Target, read_targets
from spendgauge.streams.delivery.tries import Outcome

__all__ = ["try_channels"]

_RULE: Final = "test"


def try_channels(path: Path, environment: Mapping[str, str], clock: Clock) -> Iterator[tuple[str, Outcome]]:
    """Send a message to each channel of a file, one after the other; give each channel's name and what came of it.

    Raises ``ConfigurationError`` where the file cannot be used.
    """
    targets = read_targets(path, environment)
    senders = [(target, make_sender(target, clock)) for target in targets]
    for target, sender in senders:
        yield target.channel.name, sender.send(_message(target, now_ms=clock.now_ms()))
        sender.close()


def _message(target: Target, *, now_ms: int) -> Message:
    name, at = target.channel.name, now_ms // 1000
    alert = _alert(name, at)
    data = NotificationData(
        channel=name,
        severity="warn",
        subject=f"TEST: channel {name!r} of spendgauge",
        text=alert.message,
        acknowledge="",
        incident=IncidentNotice(incident_id=alert.alert_id, short_id=_RULE, alerts=1, up=0, onset=alert.onset),
        alert=alert,
    )
    notification = Notification(type="alert.test", timestamp=utc_time(now_ms), data=data)
    return Message(idempotency_key(alert.alert_id, str(now_ms), name), notification)


def _alert(channel: str, at: int) -> Alert:
    alert_id = f"{_RULE}:channel:{channel}:{at}"
    return Alert(
        alert_id=alert_id,
        incident_id=alert_id,
        rule=_RULE,
        state="resolved",
        severity="info",
        series="channel",
        key=(channel,),
        onset=at // 60 * 60,
        evaluated_at=at,
        window_seconds=60,
        message=f"Nothing has happened: somebody tries whether channel {channel} works.",
        **NO_AMOUNTS,
    )
