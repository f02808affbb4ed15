"""Which incidents are up, and which were there? Alerts that belong together, from the view ``incidents``."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from clickhouse_connect.driver.client import Client

from spendgauge.insights.asking import ask_rows
from spendgauge.insights.periods import Period
from spendgauge.insights.queries import Query
from spendgauge.schemas.alerts import SEVERITIES, Severity

__all__ = ["Contribution", "Incident", "fetch_incidents", "incidents_named", "incidents_of"]


_COLUMNS: Final = """incident_id, short_id, toString(rule) AS rule, severity, toString(series) AS series, key,
    toUnixTimestamp64Milli(onset) AS onset_ms,
    toUnixTimestamp64Milli(raised_at) AS raised_at_ms,
    toUnixTimestamp64Milli(resolved_at) AS resolved_at_ms,
    alerts, up, since_onset_usd, excess_usd_per_hour, toString(driver) AS driver, message,
    arrayMap(one -> tupleElement(one, 'series'), contributors) AS contributor_series,
    arrayMap(one -> tupleElement(one, 'key'), contributors) AS contributor_key,
    arrayMap(one -> tupleElement(one, 'excess_usd'), contributors) AS contributor_excess_usd"""


@dataclass(frozen=True)
class Contribution:
    """One of the keys that an excess came from."""

    series: str
    key: tuple[str, ...]
    excess_usd: Decimal


@dataclass(frozen=True)
class Incident:
    """One row of the view; rule, series, key and amounts are those of the alert that began it."""

    incident_id: str
    short_id: str
    rule: str
    severity: Severity
    series: str
    key: tuple[str, ...]
    onset_ms: int
    raised_at_ms: int
    resolved_at_ms: int | None
    """None: an alert of it is up."""
    alerts: int
    up: int
    """How many of its alerts are not resolved."""
    since_onset_usd: Decimal
    excess_usd_per_hour: Decimal
    driver: str
    message: str
    contributors: tuple[Contribution, ...]


def incidents_of(period: Period | None, *, severity: Severity) -> Query:
    """Ask for the incidents that are up (``period`` None), or that were up in a period, of this severity at least.

    The gravest first; those of a period the latest first. The condition on ids comes first to the table, through the
    view: of a million steps the few that matter are added up.
    """
    parameters: dict[str, Any] = {"severities": list(SEVERITIES[SEVERITIES.index(severity) :])}
    there, order = "SELECT incident_id FROM alerts_now", "severity = 'page' DESC, severity = 'warn' DESC, raised_at"
    began = "1"
    if period is not None:
        steps, since = Period(period.since_ms).condition("evaluated_at")
        began, until = Period(until_ms=period.until_ms).condition("raised_at")
        parameters |= since | until
        there, order = f"{there} UNION ALL SELECT incident_id FROM alerts WHERE {steps}", "raised_at DESC"
    condition = f"incident_id IN ({there}) AND {began} AND has({{severities:Array(String)}}, severity)"
    return _asked(condition, f"{order}, incident_id", parameters)


def incidents_named(name: str) -> Query:
    """Ask for the incidents of that id, or whose short id begins with these characters; those that are up first."""
    return _asked(
        "incident_id = {name:String} OR startsWith(short_id, lower({name:String}))",
        "resolved_at IS NOT NULL, raised_at DESC",
        {"name": name},
    )


def fetch_incidents(client: Client, query: Query) -> list[Incident]:
    """Ask one of these questions. Raises ``QueryError``."""
    return [_incident(row) for row in ask_rows(client, query)]


def _asked(condition: str, order: str, parameters: dict[str, Any]) -> Query:
    return Query(f"SELECT {_COLUMNS}\nFROM incidents\nWHERE {condition}\nORDER BY {order}", parameters)


def _incident(row: dict[str, Any]) -> Incident:
    parts: Sequence[list[Any]] = [row.pop(f"contributor_{name}") for name in ("series", "key", "excess_usd")]
    contributors = tuple(Contribution(series, tuple(key), excess) for series, key, excess in zip(*parts, strict=True))
    return Incident(**row | {"key": tuple(row["key"]), "contributors": contributors})
