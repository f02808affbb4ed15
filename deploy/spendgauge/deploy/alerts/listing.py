"""How are incidents shown? A line of columns each, and beneath it what is said of it; or a line of JSON."""

import textwrap
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any, Final

from spendgauge.deploy.alerts.words import Words
from spendgauge.deploy.tail.lines import key_words, moment, rfc3339
from spendgauge.insights.incidents import Incident
from spendgauge.schemas.money import usd_rounded
from spendgauge.schemas.silences import Silence

__all__ = ["as_json", "as_text", "in_short", "silence_text"]

_WIDTH: Final = 100
_INDENT: Final = " " * 10
_SINCE: Final = "{:<9} {:<8} {:<12} "
_UNTIL: Final = "{:<12} "
_REST: Final = "{:>6} {:>12} {:>12}  {}"
_TITLES: Final = ("INCIDENT", "SEVERITY", "SINCE (UTC)", "UNTIL", "ALERTS", "USD ABOVE", "USD AN HOUR", "WHAT")


def as_text(incidents: Sequence[Incident], words: Words, *, history: bool = False) -> Iterator[str]:
    """Show incidents to people, in lines of a hundred characters; ``history``: with a column that says until when."""
    columns = _SINCE + (_UNTIL if history else "") + _REST
    if incidents:
        yield columns.format(*(title for title in _TITLES if history or title != "UNTIL"))
    for one in incidents:
        until = "" if one.resolved_at_ms is None else moment(one.resolved_at_ms)
        alerts = f"{one.up}/{one.alerts}" if one.up else str(one.alerts)
        above = (one.since_onset_usd, one.excess_usd_per_hour) if one.rule == "spike" else (0, 0)
        money = [usd_rounded(Decimal(amount)) if amount else "-" for amount in above]
        cells = (one.short_id, one.severity, moment(one.raised_at_ms), *([until] if history else []), alerts, *money)
        line = columns.format(*cells, in_short(one))
        fits = len(line) <= _WIDTH
        yield line if fits else columns.format(*cells, one.rule)
        whose = () if fits else (key_words(one.series, one.key),)
        for said in (*whose, one.message, *_marks(one, words)):
            yield textwrap.fill(said, _WIDTH, initial_indent=_INDENT, subsequent_indent=_INDENT)


def as_json(incident: Incident, words: Words) -> dict[str, Any]:
    """Give all that is known of an incident; money as exact decimal strings in USD, times as RFC 3339."""
    acknowledged = words.acknowledgement_of(incident)
    return {
        "incident_id": incident.incident_id,
        "short_id": incident.short_id,
        "severity": incident.severity,
        "rule": incident.rule,
        "series": incident.series,
        "key": incident.key,
        "onset": rfc3339(incident.onset_ms),
        "raised_at": rfc3339(incident.raised_at_ms),
        "resolved_at": None if incident.resolved_at_ms is None else rfc3339(incident.resolved_at_ms),
        "alerts": incident.alerts,
        "up": incident.up,
        "since_onset_usd": f"{incident.since_onset_usd:f}",
        "excess_usd_per_hour": f"{incident.excess_usd_per_hour:f}",
        "driver": incident.driver,
        "contributors": [
            {"series": one.series, "key": one.key, "excess_usd": f"{one.excess_usd:f}"} for one in incident.contributors
        ],
        "message": incident.message,
        "acknowledged": acknowledged and acknowledged.model_dump(mode="json", exclude={"incident_id"}),
        "silenced_by": [silence.silence_id for silence in words.silences_of(incident)],
    }


def in_short(incident: Incident) -> str:
    """Say in a few words what an incident is about."""
    return f"{incident.rule} {key_words(incident.series, incident.key)}"


def silence_text(silence: Silence) -> str:
    """Show a silence to people, in one line."""
    until = f"{silence.until:%b %d %H:%M}"
    why = f": {silence.reason}" if silence.reason else ""
    return f"{silence.silence_id:<9} until {until} UTC  {_subject(silence)}  by {silence.by}{why}"


def _subject(silence: Silence) -> str:
    """Say what a silence is about."""
    rule = silence.rule or "any rule"
    if silence.key:
        return f"{rule} {key_words(silence.series, silence.key)}"
    return f"{rule} of any {silence.series}" if silence.series else rule


def _marks(incident: Incident, words: Words) -> Iterator[str]:
    if found := words.acknowledgement_of(incident):
        yield f"acknowledged by {found.by}, {found.at:%b %d %H:%M}" + (f": {found.reason}" if found.reason else "")
    for silence in words.silences_of(incident):
        yield f"silenced by {silence.by} until {silence.until:%b %d %H:%M} ({silence.silence_id})" + (
            f": {silence.reason}" if silence.reason else ""
        )
