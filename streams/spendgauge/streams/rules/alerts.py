"""What is said of a rule's step? The alert for ``cost.alerts``."""

import json
from collections.abc import Mapping
from typing import Any, Final

from spendgauge.schemas.alerts import Alert, SentSeverity
from spendgauge.schemas.keys import named_key
from spendgauge.schemas.money import usd_text
from spendgauge.streams.rules.alarms import Step
from spendgauge.streams.rules.kept import Place
from spendgauge.streams.rules.rule import PAGE, WARN, Rule
from spendgauge.streams.spikes.alerts import alert_id

__all__ = ["rule_alert", "withdrawn_alert"]

_SEVERITIES: Final[dict[int, SentSeverity]] = {WARN: "warn", PAGE: "page"}
_MOST: Final = 1000


def rule_alert(rule: Rule, place: Place, step: Step, *, at: int, row: Mapping[str, Any] | None) -> Alert:
    """Write what happened at a second; ``row``: of the rule's ``judge``, None where the key is not there."""
    row = row or {}
    name = named_key(place[0], _values(place))
    message = rule.over(name) if step.state == "resolved" else rule.say(name, row)
    usual, seen = row.get("usual_picodollars", 0), row.get("seen_picodollars", 0)
    window = rule.window_minutes or rule.gap_minutes or 1
    return _alert(rule.name, place, step, at=at, window=window, amounts=(usual, seen), message=message)


def withdrawn_alert(rule: str, place: Place, step: Step, *, at: int) -> Alert:
    """Write that an alarm is over because its rule is gone."""
    who = named_key(place[0], _values(place))
    message = f"{who}: the rule {rule!r} does not hold any more, for rules.toml was changed."
    return _alert(rule, place, step, at=at, window=1, amounts=(0, 0), message=message)


def _alert(
    rule: str, place: Place, step: Step, *, at: int, window: int, amounts: tuple[int, int], message: str
) -> Alert:
    usual, seen = amounts
    key = place[0], _values(place)
    name = alert_id(rule, key, onset=step.onset * 60)
    excess = seen - usual
    return Alert(
        alert_id=name,
        incident_id=name,
        rule=rule,
        state=step.state,
        severity=_SEVERITIES[step.severity],
        series=key[0],
        key=key[1],
        onset=step.onset * 60,
        evaluated_at=at,
        window_seconds=window * 60,
        usual_usd=usd_text(usual),
        seen_usd=usd_text(seen),
        excess_usd=usd_text(excess),
        excess_usd_per_hour=usd_text(excess * 60 // window),
        since_onset_usd=usd_text(excess),
        driver="none",
        contributors=(),
        message=message[:_MOST],
    )


def _values(place: Place) -> tuple[str, ...]:
    return tuple(json.loads(place[1]))
