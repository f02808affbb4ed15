"""From when to when does a budget count, where clocks change and months end?"""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spendgauge.streams.budgets import Periods

_ZONES = (
    "UTC",
    "Europe/Zurich",
    "America/New_York",
    "America/Havana",
    "America/Asuncion",
    "Atlantic/Azores",
    "Asia/Beirut",
    "Asia/Kathmandu",
    "Australia/Lord_Howe",
    "Pacific/Apia",
    "Africa/Casablanca",
)
_HOUR = 3600


def _second(text: str, zone: str = "UTC") -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp())


def _texts(period: tuple[int, int], zone: str = "UTC") -> list[str]:
    return [datetime.fromtimestamp(second, ZoneInfo(zone)).isoformat()[:16] for second in period]


def _month(anchor: int, zone: str = "UTC") -> Periods:
    return Periods("month", ZoneInfo(zone), anchor=anchor)


@settings(deadline=None, max_examples=300)
@given(
    st.sampled_from(["day", "week", "month"]),
    st.sampled_from(_ZONES),
    st.integers(1, 31),
    st.integers(_second("2020-01-01"), _second("2099-12-31")),
)
def test_periods_tile_the_time(kind: str, zone: str, anchor: int, moment: int) -> None:
    """Every moment is in exactly one period: it lies in its own, and the ones beside it begin and end there."""
    week = (anchor - 1) % 7 + 1
    periods = Periods(kind, ZoneInfo(zone), anchor=week if kind == "week" else anchor)  # type: ignore[arg-type]  # drawn
    start, end = periods.at(moment)
    assert start <= moment < end
    assert periods.at(start) == periods.at(end - 1) == (start, end)
    assert periods.at(start - 1)[1] == start
    assert periods.at(end)[0] == end


@pytest.mark.parametrize(
    ("day", "hours"), [("2026-03-29", 23), ("2026-03-30", 24), ("2026-10-25", 25), ("2026-10-26", 24)]
)
def test_a_day_has_the_hours_that_its_clock_has(day: str, hours: int) -> None:
    """Where the clock is moved, the day is as long as people there live through it."""
    start, end = Periods("day", ZoneInfo("Europe/Zurich")).at(_second(f"{day}T12:00", "Europe/Zurich"))
    assert end - start == hours * _HOUR
    assert _texts((start, start), "Europe/Zurich")[0] == f"{day}T00:00"


def test_a_day_without_midnight_begins_when_it_begins() -> None:
    """In Beirut the clock goes from 00:00 to 01:00: the day begins at 01:00, and none of it is lost."""
    zone = "Asia/Beirut"
    start, end = Periods("day", ZoneInfo(zone)).at(_second("2026-03-29T12:00", zone))
    assert _texts((start, end), zone) == ["2026-03-29T01:00", "2026-03-30T00:00"]
    assert end - start == 23 * _HOUR


@pytest.mark.parametrize(
    ("moment", "start", "end"),
    [
        ("2026-01-31T00:00", "2026-01-31", "2026-02-28"),
        ("2026-02-27T23:59", "2026-01-31", "2026-02-28"),
        ("2026-02-28T00:00", "2026-02-28", "2026-03-31"),
        ("2028-02-28T23:59", "2028-01-31", "2028-02-29"),
        ("2028-02-29T00:00", "2028-02-29", "2028-03-31"),
        ("2026-12-31T12:00", "2026-12-31", "2027-01-31"),
    ],
)
def test_a_month_from_the_31st(moment: str, start: str, end: str) -> None:
    """A month that begins on the 31st begins on the last day of shorter ones, on 29 February in a leap year."""
    assert _texts(_month(31).at(_second(moment))) == [f"{start}T00:00", f"{end}T00:00"]


def test_a_month_from_the_15th_ends_on_the_15th() -> None:
    """The 14th is in the month before, the 15th in this one, over the end of the year too."""
    assert _texts(_month(15).at(_second("2027-01-14T23:59"))) == ["2026-12-15T00:00", "2027-01-15T00:00"]
    assert _texts(_month(15).at(_second("2027-01-15T00:00"))) == ["2027-01-15T00:00", "2027-02-15T00:00"]


def test_a_week_begins_with_its_day() -> None:
    """22 November 2026 is a Sunday: in a week from Monday it is the last day, in one from Sunday the first."""
    moment = _second("2026-11-22T10:00")
    assert _texts(Periods("week", ZoneInfo("UTC")).at(moment)) == ["2026-11-16T00:00", "2026-11-23T00:00"]
    assert _texts(Periods("week", ZoneInfo("UTC"), anchor=7).at(moment)) == ["2026-11-22T00:00", "2026-11-29T00:00"]


def test_a_month_belongs_to_a_place() -> None:
    """At half past midnight in Zurich it is October in New York still."""
    moment = int(datetime(2026, 10, 31, 23, 30, tzinfo=UTC).timestamp())
    assert _texts(_month(1, "Europe/Zurich").at(moment), "Europe/Zurich")[0] == "2026-11-01T00:00"
    assert _texts(_month(1, "America/New_York").at(moment), "America/New_York")[0] == "2026-10-01T00:00"


def test_a_rolling_period_ends_now() -> None:
    """It is the last so many days of 86,400 seconds, wherever the clock has been moved."""
    zone = ZoneInfo("Europe/Zurich")
    moment = _second("2026-03-30T12:00", "Europe/Zurich")
    assert Periods("rolling", zone, days=7).at(moment) == (moment - 7 * 86_400, moment)
