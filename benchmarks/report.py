"""What is printed and written? Sheets of figures: each of ours beside that of another in the same run."""

import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.table import Table

from benchmarks.watch import Pace
from spendgauge.schemas import SystemClock

__all__ = ["Row", "Sheet", "compare", "compared", "conditions", "figure", "insert", "markdown", "show"]


@dataclass(frozen=True)
class Sheet:
    """One table. The first column is text, the others are figures."""

    title: str
    head: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Row:
    """One figure of ours and the one that it is held against; ``peer`` empty: it stands alone."""

    what: str
    ours: float
    peer: str
    theirs: float
    unit: str
    cpu_ratio: float | None = None
    """The ratio of what each does in a second of its processor."""


def compare(what: str, ours: Sequence[Pace], peer: str, theirs: Sequence[Pace]) -> Row:
    """Hold the median pace of our runs against that of theirs."""
    cpu = _middle(ours, "per_cpu_second") / _middle(theirs, "per_cpu_second")
    return Row(what, _middle(ours, "per_second"), peer, _middle(theirs, "per_second"), "events/s", cpu)


def compared(title: str, rows: Sequence[Row]) -> Sheet:
    """Put rows into a sheet."""
    head = ("what", "unit", "spendgauge", "beside it, in the same run", "it", "ratio", "per CPU")
    return Sheet(title, head, [_cells(row) for row in rows])


def figure(value: float) -> str:
    """Write a figure with as many digits as it is worth."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def conditions(command: str, *, broker: str) -> str:
    """Say when, on what and with which command was measured."""
    now = datetime.fromtimestamp(SystemClock().now_ms() / 1000, UTC)
    gibibytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    machine = f"{_processor()}, {os.cpu_count()} cores, {gibibytes:.0f} GiB"
    python = f"Python {platform.python_version()}"
    return f"Measured on {now.day} {now:%B %Y} on {machine}, {python}, {broker}, with `{command}`."


def show(sheets: Sequence[Sheet], *, console: Console | None = None) -> None:
    """Print the sheets."""
    console = console or Console()
    if not console.is_terminal:
        console.width = 160  # a file or a pipe has no edge to break lines at
    for sheet in sheets:
        table = Table(title=sheet.title, title_justify="left")
        for number, name in enumerate(sheet.head):
            table.add_column(name, justify="right" if number else "left")
        for row in sheet.rows:
            table.add_row(*row)
        console.print(table)
        for note in sheet.notes:
            console.print(note, highlight=False)


def markdown(sheet: Sheet) -> str:
    """Write a sheet as Markdown."""
    lines = [sheet.head, ("---", *["---:"] * (len(sheet.head) - 1)), *sheet.rows]
    table = "\n".join("| " + " | ".join(cells) + " |" for cells in lines)
    return "\n\n".join([f"**{sheet.title}**", table, *sheet.notes])


def insert(path: Path, name: str, text: str) -> None:
    """Replace what stands in a file between ``<!-- measured: name -->`` and ``<!-- end: name -->``.

    Raises ``ValueError`` where the marks are not there once each, in this order.
    """
    begin, end = f"<!-- measured: {name} -->", f"<!-- end: {name} -->"
    page = path.read_text(encoding="utf-8")
    if page.count(begin) != 1 or page.count(end) != 1 or page.index(begin) > page.index(end):
        raise ValueError(f"{path.name} must have {begin} and {end} once each, in this order")
    before, after = page.partition(begin)[0], page.partition(end)[2]
    path.write_text(f"{before}{begin}\n{text}\n{end}{after}", encoding="utf-8")


def _cells(row: Row) -> tuple[str, ...]:
    theirs, ratio = (figure(row.theirs), f"{row.ours / row.theirs:.2f}") if row.peer else ("", "")
    return (
        row.what,
        row.unit,
        figure(row.ours),
        row.peer,
        theirs,
        ratio,
        f"{row.cpu_ratio:.2f}" if row.cpu_ratio else "",
    )


def _middle(paces: Sequence[Pace], name: str) -> float:
    return median(float(getattr(pace, name)) for pace in paces)


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
