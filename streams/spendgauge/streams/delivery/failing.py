"""Which channels cannot be reached, and who says so? An alert like any other, for the other channels; pure.

It is raised when three attempts in a row failed, when a message was refused for good, or when an attempt does not end;
it becomes a page where a page did not get through, and is over with the next message that does.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal

from spendgauge.schemas.alerts import NO_AMOUNTS, Alert, SentSeverity
from spendgauge.streams.delivery.channels import DELIVERY_RULE, DELIVERY_SERIES, failing_channel
from spendgauge.streams.delivery.tries import Outcome

__all__ = ["HANGING_MS", "Failing"]

HANGING_MS: Final = 90_000
"""An attempt that takes longer than this hangs: a channel's own timeout is at most a minute."""

_PATIENCE: Final = 3


@dataclass
class _Trouble:
    failures: int = 0
    alert: Alert | None = None


class Failing:
    """What is wrong with each channel."""

    def __init__(self, up: Iterable[Alert]) -> None:
        """Go on with the alerts that are up."""
        self._troubles: dict[str, _Trouble] = {}
        for alert in up:
            self.hear(alert)

    @property
    def channels(self) -> frozenset[str]:
        """Those that an alert is up of."""
        return frozenset(name for name, trouble in self._troubles.items() if trouble.alert)

    def hear(self, alert: Alert) -> None:
        """Hear of an alert: of this rule it is one's own, or that of the notifier before."""
        channel = failing_channel(alert)
        if channel is None:
            return
        trouble = self._of(channel)
        if alert.state != "resolved":
            trouble.alert = trouble.alert or alert
        elif trouble.alert is not None and trouble.alert.alert_id == alert.alert_id:
            trouble.alert = None

    def note(self, channel: str, outcome: Outcome, *, severity: SentSeverity, now_ms: int) -> list[Alert]:
        """Take in an attempt's outcome; say what is to be said of it on ``cost.alerts``."""
        trouble = self._of(channel)
        if outcome.fate == "sent":
            trouble.failures = 0
            return self._over(channel, f"Channel {channel} works again.", now_ms)
        trouble.failures += 1
        if outcome.fate == "failed" and trouble.failures < _PATIENCE and trouble.alert is None:
            return []
        return self._raise(channel, f"Channel {channel} does not get its messages: {outcome.reason}.", severity, now_ms)

    def hangs(self, channel: str, *, severity: SentSeverity, now_ms: int) -> list[Alert]:
        """Hear that an attempt does not end."""
        return self._raise(channel, f"Channel {channel} does not get its messages: it hangs.", severity, now_ms)

    def keep(self, channels: Iterable[str], *, now_ms: int) -> list[Alert]:
        """Forget all channels but these."""
        gone = sorted(self._troubles.keys() - set(channels))
        said = [
            alert
            for name in gone
            for alert in self._over(name, f"Channel {name} was taken out of the file of the channels.", now_ms)
        ]
        for name in gone:
            del self._troubles[name]
        return said

    def _of(self, channel: str) -> _Trouble:
        return self._troubles.setdefault(channel, _Trouble())

    def _raise(self, channel: str, message: str, severity: SentSeverity, now_ms: int) -> list[Alert]:
        trouble = self._of(channel)
        before = trouble.alert
        if before is not None and (before.severity == "page" or severity == "warn"):
            return []
        onset = before.onset if before else now_ms // 60_000 * 60
        state: Literal["raised", "escalated"] = "escalated" if before else "raised"
        trouble.alert = _alert(channel, message, onset=onset, now_ms=now_ms, severity=severity, state=state)
        return [trouble.alert]

    def _over(self, channel: str, message: str, now_ms: int) -> list[Alert]:
        trouble = self._of(channel)
        before, trouble.alert = trouble.alert, None
        if before is None:
            return []
        severity: SentSeverity = "page" if before.severity == "page" else "warn"
        return [_alert(channel, message, onset=before.onset, now_ms=now_ms, severity=severity, state="resolved")]


def _alert(
    channel: str,
    message: str,
    *,
    onset: int,
    now_ms: int,
    severity: SentSeverity,
    state: Literal["raised", "escalated", "resolved"],
) -> Alert:
    alert_id = f"{DELIVERY_RULE}:{DELIVERY_SERIES}:{channel}:{onset}"
    return Alert(
        alert_id=alert_id,
        incident_id=alert_id,
        rule=DELIVERY_RULE,
        state=state,
        severity=severity,
        series=DELIVERY_SERIES,
        key=(channel,),
        onset=onset,
        evaluated_at=now_ms // 1000,
        window_seconds=60,
        message=message[:1000],
        **NO_AMOUNTS,
    )
