"""What do the costs look like at a glance? A few tables and a plot of cost per minute, for a terminal.

The numbers come exact from the database; only what is printed is rounded.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

from clickhouse_connect.driver.client import Client
from rich.box import SIMPLE_HEAD
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from spendgauge.insights.asking import ask_rows
from spendgauge.insights.incidents import fetch_incidents, incidents_of
from spendgauge.insights.periods import Period
from spendgauge.insights.plot import bars, spread
from spendgauge.insights.queries import (
    cost_by_feature,
    cost_by_model,
    cost_by_user,
    cost_per_minute,
    top_entities,
)
from spendgauge.schemas.alerts import SEVERITIES

__all__ = ["Report", "fetch_report", "print_report", "render_report"]

_MINUTE: Final = 60
_PLOT_HEIGHT: Final = 6
_MOST_BARS: Final = 96
_WIDTH_OF_A_FILE: Final = 110
_TITLES: Final = {
    "model": "Cost by model",
    "feature": "Cost by feature",
    "user_id": "Cost by user (the dearest 10)",
    "entity_id": "The 10 dearest entities",
}

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Report:
    """The answers: each table's rows, the cost of each minute (seconds since 1970 UTC, USD), incidents by severity."""

    tables: Mapping[str, Sequence[Row]]
    minutes: Sequence[tuple[int, Decimal]]
    incidents: Mapping[str, int] = field(default_factory=dict)


def fetch_report(client: Client, period: Period) -> Report:
    """Ask all questions of the report about a period."""
    questions = {
        "model": cost_by_model(period),
        "feature": cost_by_feature(period),
        "user_id": cost_by_user(period),
        "entity_id": top_entities(period),
    }
    tables = {name: ask_rows(client, query) for name, query in questions.items()}
    minutes = [(_seconds(row["minute"]), row["total_cost_usd"]) for row in ask_rows(client, cost_per_minute(period))]
    incidents = fetch_incidents(client, incidents_of(period, severity="warn"))
    return Report(tables, minutes, Counter(incident.severity for incident in incidents))


def print_report(client: Client, period: Period) -> None:
    """Print the report about a period on standard output."""
    console = Console()
    if not console.is_terminal:
        console = Console(width=_WIDTH_OF_A_FILE)
    console.print(render_report(fetch_report(client, period), width=console.width))


def render_report(report: Report, *, width: int) -> RenderableType:
    """Lay the report out for a terminal so many characters wide."""
    parts: list[RenderableType] = []
    for name, rows in report.tables.items():
        parts += [_table(name, rows), ""]
    return Group(*parts, _plot(report.minutes, width=width), "", _incidents(report.incidents))


def _incidents(counts: Mapping[str, int]) -> RenderableType:
    told = ", ".join(f"{counts[severity]} {severity}" for severity in reversed(SEVERITIES) if counts.get(severity))
    return Text.assemble(("Incidents", "bold"), f"\n{told}; spendgauge alerts list --since 7d" if told else "\nnone")


def _seconds(time: datetime) -> int:
    return int((time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp())


def _table(name: str, rows: Sequence[Row]) -> Table:
    table = Table(title=_TITLES[name], title_justify="left", title_style="bold", box=SIMPLE_HEAD, pad_edge=False)
    table.add_column(name.removesuffix("_id"), overflow="fold")
    unpriced = any(row["unpriced"] for row in rows)
    for heading in ("calls", "tokens", "USD", "%", "USD a call", *(["unpriced"] if unpriced else [])):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in rows:
        table.add_row(*_cells(name, row), *([f"{row['unpriced']:,}" if row["unpriced"] else ""] if unpriced else []))
    return table


def _cells(name: str, row: Row) -> list[str]:
    label = f"{row['provider']}/{row['model']}" if name == "model" else str(row[name]) or "(not given)"
    shown = {"total_cost_usd": ",.2f", "percent": ".1f", "cost_per_call_usd": ",.5f"}
    money = ["-" if row[column] is None else format(row[column], spec) for column, spec in shown.items()]
    return [label, f"{row['calls']:,}", _rounded(row["total_tokens"]), *money]


def _rounded(count: int) -> str:
    """Write a large count with four digits, such as 518.4M."""
    for unit, size in (("T", 10**12), ("G", 10**9), ("M", 10**6), ("k", 10**3)):
        if abs(count) >= size:
            return f"{count / size:,.1f}{unit}"
    return str(count)


def _plot(minutes: Sequence[tuple[int, Decimal]], *, width: int) -> RenderableType:
    """Draw the cost a minute, each bar the mean of its share of the time between the first and the last minute."""
    title = Text("Cost per minute, USD", style="bold")
    if not minutes:
        return Group(title, "nothing yet")
    start, count = minutes[0][0], (minutes[-1][0] - minutes[0][0]) // _MINUTE + 1
    minutes_per_bar = -(-count // min(width - 12, _MOST_BARS))
    columns = -(-count // minutes_per_bar)
    end = start + columns * minutes_per_bar * _MINUTE
    points = [(second, float(cost) * _MINUTE) for second, cost in minutes]
    means = spread(points, start=start, end=end, columns=columns)
    lines = bars(means, height=_PLOT_HEIGHT)
    scale = [f"{max(means):>10,.4f}", *[" " * 10] * (_PLOT_HEIGHT - 2), f"{0:>10}"]
    drawn = [f"{label} {line}" for label, line in zip(scale, lines, strict=True)]
    first, last = (datetime.fromtimestamp(at, UTC).strftime("%b %d %H:%M") for at in (start, end))
    axis = f"{'':10} {first}{f'{last} UTC':>{max(columns - len(first), len(last) + 5)}}"
    peak_at, peak = max(minutes, key=lambda minute: minute[1])
    dearest = f"{'':10} dearest minute: {peak:,.4f} USD at {datetime.fromtimestamp(peak_at, UTC):%b %d %H:%M} UTC"
    return Group(title, Text("\n".join([*drawn, axis, dearest]), no_wrap=True))
