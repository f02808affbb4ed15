"""What does a message say? One subject line, a body for people, and the same as a notification for programs."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from hashlib import sha256
from typing import Final, Literal

from spendgauge.schemas.alerts import Alert, Contributor, SentSeverity
from spendgauge.schemas.fields import EARLIEST, LATEST
from spendgauge.schemas.incidents import short_id
from spendgauge.schemas.keys import named_key
from spendgauge.schemas.money import usd_rounded
from spendgauge.schemas.notifications import IncidentNotice, Notification, NotificationData
from spendgauge.schemas.wire import compact_json
from spendgauge.streams.delivery.deciding import Wanted
from spendgauge.streams.delivery.incidents import Incident

__all__ = ["Message", "compose", "idempotency_key"]

_MOST_SUBJECT: Final = 160
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_FIRST: Final = int(EARLIEST.timestamp())
_LAST: Final = int(LATEST.timestamp()) - 1
_DRIVERS: Final = {"requests": "more requests", "size": "larger requests", "both": "more and larger requests"}

_OF_BUDGET: Final = ("budget", "budget_forecast")
"""Rules whose ``usual_usd`` is a whole budget."""

Kind = Literal["alert.raised", "alert.escalated", "alert.resolved", "alert.test"]


@dataclass(frozen=True)
class Message:
    """What is sent once, perhaps in several attempts."""

    key: str
    """The same at each attempt, and of no other message."""
    notification: Notification


def idempotency_key(incident_id: str, step: str, channel: str, *, stream: str = "") -> str:
    """Name a message by incident, step (severity, and whether it is over), channel, and the id of the topic that the
    alerts are on: what a broker that lost its memory says anew is no repetition. The name is a hash, in ASCII."""
    text = compact_json([stream, incident_id, step, channel])
    return f"sg_{sha256(text.encode()).hexdigest()[:32]}"


def compose(incident: Incident, wanted: Wanted, *, channel: str, stream: str, late: bool = False) -> Message:
    """Write the message of a step; ``stream``: the id of the topic that the alerts are on; ``late``: it is no news."""
    alert = wanted.kept.alert
    kind: Kind = "alert.resolved" if wanted.is_end else "alert.escalated" if wanted.escalates else "alert.raised"
    notice = IncidentNotice(
        incident_id=incident.incident_id,
        short_id=short_id(incident.incident_id),
        alerts=len(incident.alerts),
        up=len(incident.up),
        onset=min(kept.alert.onset for kept in incident.alerts.values()),
    )
    acknowledge = "" if wanted.is_end else f"spendgauge alerts ack {notice.short_id}"
    severity: SentSeverity = "page" if wanted.step.startswith("page") else "warn"
    head = f"RESOLVED {alert.rule}" if wanted.is_end else f"{severity.upper()} {alert.rule}"
    head = f"{head} since {_moment(notice.onset)}" if late else head
    data = NotificationData(
        channel=channel,
        severity=severity,
        subject=_subject(head, alert),
        text=_text(alert, notice, acknowledge, late=late),
        acknowledge=acknowledge,
        incident=notice,
        alert=alert,
    )
    return Message(
        idempotency_key(incident.incident_id, wanted.step, channel, stream=stream),
        Notification(type=kind, timestamp=_time(alert.evaluated_at), data=data),
    )


def _subject(head: str, alert: Alert) -> str:
    """Say what a locked screen shows: of a spike who and how fast, of all else its sentence, cut where it is long."""
    short = alert.rule == "spike" and alert.state != "resolved"
    over = f"{named_key(alert.series, alert.key)}{_mostly(alert)} ({_usd(alert.excess_usd_per_hour)}/h over usual)"
    line = _CONTROL.sub(" ", f"{head}: {over if short else alert.message}")
    return line if len(line) <= _MOST_SUBJECT else f"{line[: _MOST_SUBJECT - 3]}..."


def _mostly(alert: Alert) -> str:
    """Name the agent that made at least half of it: that is whom somebody can stop."""
    half = Decimal(alert.excess_usd) / 2
    agents = [one for one in alert.contributors if one.series == "agent" and Decimal(one.excess_usd) >= half]
    return f", mostly from {named_key(agents[0].series, agents[0].key)}" if agents else ""


def _text(alert: Alert, incident: IncidentNotice, acknowledge: str, *, late: bool) -> str:
    lines = [*_times(alert), *(_amounts(alert) if _is_money(alert) else [])]
    if alert.driver in _DRIVERS:
        lines.append(("cause", _DRIVERS[alert.driver]))
    lines += [("mostly from" if not place else "", _part(one)) for place, one in enumerate(alert.contributors)]
    if incident.alerts > 1:
        lines.append(("alerts", f"{incident.alerts} in this incident, {incident.up} of them up"))
    lines.append(("incident", incident.short_id))
    if acknowledge:
        lines.append(("acknowledge", acknowledge))
    said = f"This is told late and is still up. It was said on {_moment(alert.evaluated_at)}:\n{alert.message}"
    return "\n".join([said if late else alert.message, "", *(f"{name:<12}{value}" for name, value in lines)])


def _times(alert: Alert) -> list[tuple[str, str]]:
    """Say when it began and was over. A line of a budget begins with its period, which tells nobody anything."""
    began, over = _moment(alert.onset), _moment(alert.evaluated_at)
    of_period, is_over = alert.rule == "budget", alert.state == "resolved"
    after = "" if of_period else f", after {_lasted(alert.evaluated_at - alert.onset)}"
    return [*([] if of_period else [("began", began)]), *([("over", f"{over}{after}")] if is_over else [])]


def _amounts(alert: Alert) -> list[tuple[str, str]]:
    window = f"in {_span(alert.window_seconds)}"
    if alert.rule in _OF_BUDGET:
        since = f" since {_moment(alert.evaluated_at - alert.window_seconds)}"
        return [("budget", _usd(alert.usual_usd)), ("spent", f"{_usd(alert.seen_usd)}{_share(alert)},{since}")]
    if alert.rule == "budget_burn":
        return [("spent", f"{_usd(alert.seen_usd)} {window}"), ("even share", f"{_usd(alert.usual_usd)} {window}")]
    if alert.rule != "spike":
        line = [("lowest line", f"{_usd(alert.usual_usd)} {window}")] if Decimal(alert.usual_usd) else []
        return [("seen", f"{_usd(alert.seen_usd)} {window}"), *line]
    excess = f"{_usd(alert.excess_usd)}, that is {_usd(alert.excess_usd_per_hour)} an hour"
    return [
        ("usual", f"{_usd(alert.usual_usd)} {window}"),
        ("seen", f"{_usd(alert.seen_usd)} {window}"),
        *([("excess", excess)] if Decimal(alert.excess_usd) > 0 else []),
        ("in all", f"{_usd(alert.since_onset_usd)} above the usual since it began"),
    ]


def _is_money(alert: Alert) -> bool:
    return any(Decimal(amount) for amount in (alert.usual_usd, alert.seen_usd, alert.since_onset_usd))


def _share(alert: Alert) -> str:
    """Say how much of a budget is spent, never more than is."""
    budget = Decimal(alert.usual_usd)
    return f", {int(100 * Decimal(alert.seen_usd) / budget):,} %" if budget > 0 else ""


def _part(one: Contributor) -> str:
    return named_key(one.series, one.key) + (f": {_usd(one.excess_usd)}" if Decimal(one.excess_usd) else "")


def _usd(text: str) -> str:
    return f"{usd_rounded(Decimal(text))} USD"


def _span(seconds: int) -> str:
    for unit, length in (("days", 86_400), ("hours", 3_600), ("minutes", 60)):
        if seconds % length == 0 and seconds >= length:
            count = seconds // length
            return f"{count} {unit}" if count > 1 else f"a{'n' * (unit == 'hours')} {unit[:-1]}"
    return f"{seconds} seconds"


def _lasted(seconds: int) -> str:
    hours, minutes = divmod(max(seconds, 0) // 60, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"


def _moment(at: int) -> str:
    return _time(at).strftime("%Y-%m-%d %H:%M UTC")


def _time(at: int) -> datetime:
    """Read seconds since 1970 UTC; what no clock says is taken as the nearest that one may: nothing is lost for it."""
    return datetime.fromtimestamp(min(max(at, _FIRST), _LAST), UTC)
