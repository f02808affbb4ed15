"""What is printed? A table of ratios: each of our figures beside that of a bare loop in the same run."""

import platform
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from rich.console import Console
from rich.table import Table

from benchmarks.watch import Pace

__all__ = ["Row", "compare", "show"]


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


def show(rows: Sequence[Row], *, console: Console | None = None) -> None:
    """Print the rows as a table."""
    table = Table(title=f"Python {platform.python_version()}, {platform.machine()}; medians", title_justify="left")
    table.add_column("what")
    table.add_column("spendgauge", justify="right")
    table.add_column("beside it, in the same run")
    table.add_column("it", justify="right")
    table.add_column("ratio", justify="right")
    table.add_column("per CPU", justify="right")
    table.add_column("unit")
    for row in rows:
        theirs, ratio = (_figure(row.theirs), f"{row.ours / row.theirs:.2f}") if row.peer else ("", "")
        cpu = f"{row.cpu_ratio:.2f}" if row.cpu_ratio else ""
        table.add_row(row.what, _figure(row.ours), row.peer, theirs, ratio, cpu, row.unit)
    console = console or Console()
    if not console.is_terminal:
        console.width = 160  # a file or a pipe has no edge to break lines at
    console.print(table)


def _middle(paces: Sequence[Pace], name: str) -> float:
    return median(float(getattr(pace, name)) for pace in paces)


def _figure(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.2f}"
