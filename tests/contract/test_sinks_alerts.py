"""Do the tables of alerts and refusals keep each thing once, and do their views say what is up?"""

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from itertools import permutations
from typing import Any

import pytest
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import DatabaseError
from tests.sinks import NOW_MS, alert, chunk, quota_refusal, store

from spendgauge.deploy.alerts.ended import resolve_alerts
from spendgauge.insights.incidents import fetch_incidents, incidents_of
from spendgauge.insights.periods import Period
from spendgauge.schemas import ClickHouseSettings
from spendgauge.schemas.incidents import short_id
from spendgauge.schemas.prices import PriceBook
from spendgauge.sinks.clickhouse import connect
from spendgauge.sinks.migrate import migrate

pytestmark = pytest.mark.integration

NOW = NOW_MS // 1000
BOOK = PriceBook.load()


@pytest.fixture(scope="module")
def migrated_at(embedded_clickhouse: str) -> ClickHouseSettings:
    """Where this module's database is."""
    return ClickHouseSettings(clickhouse=f"{embedded_clickhouse.replace('//', '//default@')}/test_alerts")


@pytest.fixture(scope="module")
def migrated(migrated_at: ClickHouseSettings) -> Iterator[Client]:
    """One migrated database for this module."""
    migrate(migrated_at)
    client = connect(migrated_at)
    yield client
    client.command("DROP DATABASE test_alerts SYNC")
    client.close()


@pytest.fixture
def database(migrated: Client) -> Client:
    """The module's database without rows."""
    for table in ("cost_alerts", "cost_refusals", "usage_rejected"):
        migrated.command(f"TRUNCATE TABLE {table}")
    return migrated


def say(database: Client, *lines: bytes, first: int = 0, now_ms: int = NOW_MS) -> None:
    """Store lines of cost.alerts, one a record, sent at this time."""
    store(database, [chunk("cost.alerts", *lines, first=first, now_ms=now_ms)], book=BOOK)


def rows(database: Client, query: str) -> list[tuple[Any, ...]]:
    """Ask."""
    return [tuple(row) for row in database.query(query).result_rows]


def step(minute: int, state: str, name: str = "a", **fields: Any) -> bytes:
    """Write a step of alert ``name``, so many minutes from now."""
    return alert(alert_id=name, state=state, evaluated_at=NOW + 60 * minute, **fields)


def test_a_step_is_kept_once_however_often_it_comes(database: Client) -> None:
    """A replay, a second saying, a merge: each step is one row; the same alert's other steps are others."""
    steps = [step(0, "raised"), step(1, "escalated", severity="page"), step(9, "resolved", severity="page")]
    for first in (0, 0, 100):
        say(database, *steps, first=first, now_ms=NOW_MS + first)
    query = "SELECT state, offset FROM alerts ORDER BY evaluated_at"
    assert rows(database, query) == [("raised", 0), ("escalated", 1), ("resolved", 2)]
    database.command("OPTIMIZE TABLE cost_alerts FINAL")
    assert rows(database, query) == [("raised", 0), ("escalated", 1), ("resolved", 2)]
    assert rows(database, "SELECT count() FROM cost_alerts") == [(3,)]


def test_an_alert_comes_back_as_it_was(database: Client) -> None:
    """The view gives what was said, amounts to the last digit, key by dimension, contributors in their order."""
    parts = [{"series": "feature+model", "key": ("c", "m"), "excess_usd": "2.000000000001"}]
    parts.append({"series": "session_id", "key": ("s",), "excess_usd": "-0.500000000000"})
    about: dict[str, Any] = {"series": "provider+model", "key": ("p", "it's"), "contributors": parts}
    say(database, step(0, "raised", seen_usd="12345678901234567890123456.000000000001", message='"so"', **about))
    row = next(iter(database.query("SELECT * FROM alerts").named_results()))
    assert row["dimensions"] == {"provider": "p", "model": "it's"}
    assert row["seen_usd"] == Decimal("12345678901234567890123456.000000000001")
    assert row["message"] == '"so"'
    assert [dict(one) for one in row["contributors"]] == [
        {"series": "feature+model", "key": ["c", "m"], "excess_usd": Decimal("2.000000000001")},
        {"series": "session_id", "key": ["s"], "excess_usd": Decimal("-0.5")},
    ]
    assert row["onset"].timestamp() == NOW - 120


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_what_is_up_is_the_last_step(database: Client, order: tuple[int, ...]) -> None:
    """Stored in whichever order, an alert is up with its last step's words until it is resolved."""
    steps = [step(0, "raised"), step(1, "escalated", severity="page"), step(2, "resolved", severity="page")]
    for number in order:
        say(database, steps[number], first=number)
        stored = order[: order.index(number) + 1]
        expected = [] if max(stored) == 2 else [("page" if max(stored) else "warn", NOW + 60 * max(stored))]
        found = rows(database, "SELECT severity, toUnixTimestamp(evaluated_at) FROM alerts_now")
        assert found == expected
    assert rows(database, "SELECT count() FROM alerts_now WHERE severity = 'warn' OR rule = 'spike'") == [(0,)]


def test_a_resolve_wins_over_what_was_said_again(database: Client) -> None:
    """A worker that died may raise again, later, what it resolved within the same second: that stays resolved."""
    say(database, step(0, "resolved"), now_ms=NOW_MS)
    say(database, step(0, "raised"), first=9, now_ms=NOW_MS + 5_000)
    assert rows(database, "SELECT alert_id FROM alerts_now") == []


def test_an_alert_may_be_up_again(database: Client) -> None:
    """A forecast that was over its budget, then not, then again, is up; raised_at says since when at the earliest."""
    say(database, step(0, "raised"), step(1, "resolved"), step(7, "raised"))
    assert rows(database, "SELECT toUnixTimestamp(raised_at), toUnixTimestamp(evaluated_at) FROM alerts_now") == [
        (NOW, NOW + 420)
    ]


def test_alerts_that_belong_together_are_one_incident(database: Client) -> None:
    """It has the subject and the amounts of the alert that began it, the gravest severity of any, and ends with all."""
    child = {"incident_id": "a", "series": "session_id", "key": ("s",), "since_onset_usd": "9.000000000000"}
    say(
        database,
        step(0, "raised", since_onset_usd="1.000000000000", message="first"),
        step(1, "raised", "b", severity="page", **child),
        step(2, "escalated", since_onset_usd="4.000000000000", message="more"),
        step(3, "resolved", since_onset_usd="5.000000000000", message="back"),
        step(1, "raised", "other", severity="info", key=("a-2",)),
    )
    query = """SELECT incident_id, severity, key, toUnixTimestamp(raised_at), toUnixTimestamp(resolved_at), alerts, up,
        since_onset_usd, message FROM incidents ORDER BY raised_at"""
    other = ("other", "info", ["a-2"], NOW + 60, None, 1, 1, Decimal(0), "agent 'a-1' spends much.")
    assert rows(database, query) == [("a", "page", ["a-1"], NOW, None, 2, 1, Decimal(5), "more"), other]
    say(database, step(8, "resolved", "b", severity="page", **child), first=9)
    assert rows(database, query) == [("a", "page", ["a-1"], NOW, NOW + 480, 2, 0, Decimal(5), "more"), other]


def test_what_a_lost_broker_left_up_is_resolved(database: Client, migrated_at: ClickHouseSettings) -> None:
    """Alerts of streams that ended are over, with the money they came to; those of others stay up; once."""
    gone, here = (replace(chunk("cost.alerts", step(0, "raised", name)), stream=f"{name}:1") for name in ("a", "b"))
    store(database, [gone, here], book=BOOK)
    assert resolve_alerts(migrated_at, ["a:1", "none:1"]) == 1
    assert resolve_alerts(migrated_at, ["a:1", "none:1"]) == 0
    assert rows(database, "SELECT alert_id FROM alerts_now") == [("b",)]
    over = rows(database, "SELECT resolved_at > raised_at, message FROM incidents WHERE incident_id = 'a'")
    assert over == [(1, "agent 'a-1' spends much.")]


def test_an_incident_has_one_short_name(database: Client) -> None:
    """SQL and Python call it the same."""
    name = 'spike:agent:["ä-1"]:1790000000'
    say(database, step(0, "raised", name))
    assert rows(database, "SELECT short_id FROM incidents") == [(short_id(name),)]


@pytest.mark.parametrize(
    ("since", "until", "expected"),
    [(3, 9, ["later", "a", "up"]), (4, 9, ["later", "up"]), (0, 1, ["a", "up"]), (None, None, ["later", "a", "up"])],
)
def test_a_period_is_half_open(database: Client, since: int | None, until: int | None, expected: list[str]) -> None:
    """Incidents that were up in [since, until) are those that began before its end and had not ended before it."""
    say(database, step(0, "raised"), step(3, "resolved"), step(-9, "raised", "up"), step(5, "raised", "later"))
    period = Period(*(None if minute is None else NOW_MS + 60_000 * minute for minute in (since, until)))
    assert [one.incident_id for one in fetch_incidents(database, incidents_of(period, severity="warn"))] == expected
    assert fetch_incidents(database, incidents_of(period, severity="page")) == []


def test_a_refusal_is_kept_once(database: Client) -> None:
    """A line that comes twice counts once; a limit that nobody knew is NULL."""
    unknown = quota_refusal(2, reason="unknown", quota="", series="total", key=(), limit=None, resets_at=None)
    for first in (0, 50):
        lines = (quota_refusal(1), unknown)
        store(database, [chunk("cost.refusals", *lines, first=first)], book=BOOK)
    query = "SELECT dimensions['user_id'], quota_limit, estimate, resets_at FROM refusals ORDER BY refusal_id"
    assert rows(database, query)[1] == (
        "",
        None,
        Decimal("0.100000000001"),
        None,
    )
    assert rows(database, "SELECT count(), sum(spent), any(action) FROM refusals") == [(2, Decimal("49.8"), "refused")]


@pytest.mark.parametrize(
    ("table", "column"), [("cost_alerts", "evaluated_at"), ("cost_alerts", "onset"), ("cost_refusals", "refused_at")]
)
def test_the_tables_refuse_insane_times(database: Client, table: str, column: str) -> None:
    """Whoever writes, no step and no refusal lies outside [2020, 2100)."""
    other = "onset" if column == "evaluated_at" else "evaluated_at"
    known = f", {other}" if table == "cost_alerts" else ""
    values = "'2100-01-01 00:00:00'" + (", '2026-01-01 00:00:00'" if known else "")
    with pytest.raises(DatabaseError) as raised:
        database.command(f"INSERT INTO {table} ({column}{known}) VALUES ({values})")
    assert raised.value.code == 469
