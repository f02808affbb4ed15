"""Do incidents and quotas read well in a hundred characters, whatever stands in them?"""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from spendgauge.deploy.alerts.listing import as_json, as_text
from spendgauge.deploy.alerts.standings import Row
from spendgauge.deploy.alerts.standings import as_text as quotas_as_text
from spendgauge.deploy.alerts.words import Words
from spendgauge.insights.incidents import Contribution, Incident
from spendgauge.schemas.quotas import QuotaLimit, QuotaStanding
from spendgauge.schemas.silences import Acknowledgement, Silence

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
INCIDENT = Incident(
    incident_id="spike:a",
    short_id="3f2a9c1e",
    rule="spike",
    severity="page",
    series="provider+model",
    key=("anthropic", "claude-sonnet-4-5-20250929"),
    onset_ms=1_767_268_680_000,
    raised_at_ms=1_767_268_800_000,
    resolved_at_ms=None,
    alerts=12,
    up=3,
    since_onset_usd=Decimal("1234.500000000000"),
    excess_usd_per_hour=Decimal("99.004999999999"),
    driver="requests",
    message=" ".join(["word"] * 40),
    contributors=(Contribution("session_id", ("s",), Decimal("0.100000000001")),),
)
ACK = Acknowledgement(incident_id="spike:a", by="ann", at=NOON, reason="on it")
SILENCE = Silence(silence_id="1", series="provider+model", key=("*", "x"), by="bob", until=NOON, created_at=NOON)


def test_an_incident_reads_in_a_hundred_characters() -> None:
    """Columns first; then a key that has no room there, the sentence and who is at it, wrapped and indented."""
    title, first, whose, *said = "\n".join(as_text([INCIDENT], Words((), (ACK,)))).splitlines()
    assert title == "INCIDENT  SEVERITY SINCE (UTC)  ALERTS    USD ABOVE  USD AN HOUR  WHAT"
    assert first == "3f2a9c1e  page     Jan 01 12:00   3/12     1,234.50        99.00  spike"
    assert whose == "          provider=anthropic model=claude-sonnet-4-5-20250929"
    assert [line.strip() for line in said[-1:]] == ["acknowledged by ann, Jan 01 12:00: on it"]
    assert " ".join(" ".join(said[:-1]).split()) == INCIDENT.message
    assert all(line.startswith(" " * 10) and len(line) <= 100 for line in said)


@pytest.mark.parametrize("rule", ["budget", "budget_burn", "mine"])
def test_only_a_spike_is_above_the_usual(rule: str) -> None:
    """What is left of a budget is no amount above anything: its sentence says what was spent of how much."""
    row = list(as_text([replace(INCIDENT, rule=rule, since_onset_usd=Decimal("-5.91"))], Words()))[1]
    assert row.startswith("3f2a9c1e  page     Jan 01 12:00   3/12            -            -  " + rule)


def test_history_says_until_when() -> None:
    """What is over shows its end, and how many alerts it was; no amount is a dash, not a nought."""
    over = replace(INCIDENT, resolved_at_ms=1_767_272_400_000, up=0, since_onset_usd=Decimal(0), message="m")
    short = replace(over, series="agent", key=("a",))
    row = "3f2a9c1e  page     Jan 01 12:00 Jan 01 13:00     12            -        99.00  spike"
    assert [line.startswith(row) for line in as_text([over, short], Words(), history=True)].count(True) == 2
    assert f"{row} agent=a" in as_text([short], Words(), history=True)


def test_json_has_every_digit() -> None:
    """Amounts are exact texts; who acknowledged and what silences it are there."""
    matching = SILENCE.model_copy(update={"key": ("anthropic", "*")})
    told = as_json(INCIDENT, Words((SILENCE, matching), (ACK,)))
    assert (told["excess_usd_per_hour"], told["raised_at"]) == ("99.004999999999", "2026-01-01T12:00:00Z")
    assert told["contributors"] == [{"series": "session_id", "key": ("s",), "excess_usd": "0.100000000001"}]
    assert told["acknowledged"] == {"by": "ann", "at": "2026-01-01T12:00:00.000Z", "reason": "on it"}
    assert told["silenced_by"] == ["1"]


@pytest.mark.parametrize(
    ("spent", "now", "expected"),
    [("4", 0, (4, "soft", 400)), ("1", 0, (1, "soft", 500)), ("11", 0, (11, "soft", 1100)), ("4", 100, (0, "ok", 0))],
)
def test_a_quota_is_measured_by_its_next_limit(spent: str, now: int, expected: tuple[int, str, int]) -> None:
    """What is spent counts against the lowest limit not reached, else the highest; after its period, nothing."""
    limit = QuotaLimit(
        kind="limit",
        name="q",
        series="total",
        key=(),
        unit="tokens",
        soft="2",
        hard="10",
        period="day",
        days=None,
        time_zone="UTC",
    )
    standing = QuotaStanding(
        kind="standing",
        name="q",
        series="total",
        key=(),
        unit="tokens",
        spent=spent,
        period_start=0,
        resets_at=100,
        as_of_ms=0,
        state="soft",
        partition=0,
    )
    row = Row(limit, standing, now_ms=now * 1000)
    assert (row.spent, row.state, row.per_mille) == expected


def test_small_amounts_of_a_quota_are_not_nothing() -> None:
    """A quota of less than a cent is shown with digits that say something, and nobody's spending as 0.00."""
    told = {"kind": "limit", "name": "q", "series": "total", "key": (), "unit": "usd", "days": None, "time_zone": "UTC"}
    limit = QuotaLimit(**told, soft="0.002400000000", hard="1234.000000000000", period="day")  # type: ignore[arg-type]
    line = list(quotas_as_text([Row(limit, None, now_ms=0)]))[1]
    assert line.split() == ["q", "total", "0.00", "0.0024", "1,234.00", "ok"]
