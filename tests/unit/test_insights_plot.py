"""Do numbers become bars that say the same?"""

from datetime import datetime
from decimal import Decimal
from io import StringIO

from rich.console import Console

from spendgauge.insights.periods import ALWAYS, DAY_MS, HOUR_MS, Period, last_days
from spendgauge.insights.plot import bars, spread
from spendgauge.insights.report import Report, render_report

ROW = {"calls": 12, "total_tokens": 1_234_567, "total_cost_usd": Decimal("1234.5678"), "percent": 99.96, "unpriced": 0}


def rendered(report: Report, width: int = 100) -> str:
    output = StringIO()
    Console(width=width, file=output).print(render_report(report, width=width))
    return output.getvalue()


def test_the_largest_value_fills_the_height() -> None:
    """Heights are in eighths of a character; zero is nothing, and anything above zero is something."""
    assert bars([0, 1, 4, 8, 0.001], height=1) == [" ▁▄█▁"]
    assert bars([16, 8, 4, 0], height=2) == ["█   ", "██▄ "]


def test_nothing_is_drawn_for_nothing() -> None:
    """No values, or only zeros, give empty lines of the right width."""
    assert bars([], height=2) == ["", ""]
    assert bars([0, 0, 0], height=2) == ["   ", "   "]


def test_points_are_spread_over_equal_parts() -> None:
    """[start, end) is cut into columns; a column is its points' sum over its width."""
    assert spread([(0, 3.0), (1, 3.0), (2, 8.0), (4, 100.0), (-1, 9.0)], start=0, end=4, columns=2) == [3.0, 4.0]


def test_a_period_is_half_open() -> None:
    """A period includes its beginning and not its end; an open end asks nothing."""
    text, parameters = Period(1, 2).condition("t")
    bounds = [f"fromUnixTimestamp64Milli({{{name}:Int64}}, 'UTC')" for name in ("since_ms", "until_ms")]
    assert text == f"t >= {bounds[0]} AND t < {bounds[1]}"
    assert parameters == {"since_ms": 1, "until_ms": 2}
    assert ALWAYS.condition("t") == ("1", {})


def test_whole_hours_widen_the_beginning_and_narrow_the_end() -> None:
    """An hour that a period begins in is judged, one that it ends in is not."""
    assert Period(HOUR_MS + 1, 3 * HOUR_MS - 1).whole_hours() == Period(HOUR_MS, 2 * HOUR_MS)
    assert last_days(1.5, now_ms=2 * DAY_MS) == Period(DAY_MS // 2)


def test_a_report_shows_what_it_was_given() -> None:
    """Tables round only what they print, say where nothing has a price, and the plot names the dearest minute."""
    unpriced = {"calls": 3, "total_tokens": 999, "total_cost_usd": None, "percent": None, "unpriced": 3}
    rows: list[dict[str, object]] = [
        {"provider": "p", "model": "m", "cost_per_call_usd": Decimal("0.1"), **ROW},
        {"provider": "p", "model": "own", "cost_per_call_usd": None, **unpriced},
    ]
    minutes = [(60 * number, Decimal(number)) for number in (1_000, 1_001, 1_500)]
    text = rendered(Report({"model": rows, "feature": []}, minutes))
    assert [line.split() for line in text.splitlines() if line.startswith(" p/")] == [
        ["p/m", "12", "1.2M", "1,234.57", "100.0", "0.10000"],
        ["p/own", "3", "999", "-", "-", "-", "3"],
    ]
    assert "dearest minute: 1,500.0000 USD at Jan 02 01:00 UTC" in text
    assert datetime.fromisoformat("1970-01-02T01:00:00+00:00").timestamp() == 1_500 * 60
    assert max(map(len, text.splitlines())) <= 100


def test_an_empty_report_is_no_error() -> None:
    """Without events there are empty tables, no plot and no incidents."""
    text = rendered(Report({"feature": []}, []))
    assert "nothing yet" in text
    assert text.endswith("\nIncidents\nnone\n")


def test_the_report_counts_incidents() -> None:
    """Those to be looked at now come first."""
    text = rendered(Report({}, [], {"warn": 5, "page": 2}))
    assert text.endswith("\nIncidents\n2 page, 5 warn; spendgauge alerts list --since 7d\n")
