"""What does a rehearsal say to a program? All of it, as values that JSON has; money as exact decimal texts."""

from typing import Any

from spendgauge.deploy.rehearse.figures import figures_by_rule, lives_of
from spendgauge.deploy.rehearse.messages import messages_of
from spendgauge.deploy.rehearse.running import Rehearsed
from spendgauge.deploy.tail.lines import rfc3339
from spendgauge.schemas.alerts import SEVERITIES
from spendgauge.schemas.money import usd_text

__all__ = ["as_json"]


def as_json(found: Rehearsed, *, traffic: str) -> dict[str, Any]:
    """Write a rehearsal; times are ISO 8601 in UTC, but within alerts, which are as on ``cost.alerts``."""
    rules = [
        {
            "rule": one.rule,
            "alerts": one.alerts,
            **{severity: one.severities[severity] for severity in reversed(SEVERITIES)},
            "median_minutes": one.median_minutes,
            "longest_minutes": one.longest_minutes,
            "still_up": one.open,
        }
        for one in figures_by_rule(lives_of(found.alerts))
    ]
    messages = [
        {"at": rfc3339(one.at * 1000), "incident_id": one.incident_id, "step": one.step, "text": one.text}
        for one in messages_of(found.alerts)
    ]
    return {
        "traffic": _traffic(found, traffic),
        "rules": rules,
        "messages": messages,
        "alerts": [alert.model_dump(mode="json") for alert in found.alerts],
    }


def _traffic(found: Rehearsed, name: str) -> dict[str, Any]:
    first, last = found.first_minute, found.last_minute
    return {
        "name": name,
        "from": None if first is None else rfc3339(first * 60_000),
        "to": None if last is None else rfc3339((last + 1) * 60_000),
        "calls": found.requests,
        "unpriced": found.unpriced,
        "usd": usd_text(found.picodollars),
        "usd_by_day": {rfc3339(day * 86_400_000)[:10]: usd_text(cost) for day, cost in sorted(found.days.items())},
    }
