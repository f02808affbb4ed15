"""What is printed? A table of ratios: each of our figures beside that of a bare loop in the same run."""

import platform
from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

__all__ = ["Row", "show"]


@dataclass(frozen=True)
class Row:
    """One figure of ours and the one that it is held against; ``peer`` empty: it stands alone."""

    what: str
    ours: float
    peer: str
    theirs: float
    unit: str

    @property
    def ratio(self) -> str:
        """Ours as a multiple of theirs."""
        return f"{self.ours / self.theirs:.2f}" if self.peer else ""


def show(rows: Sequence[Row], *, console: Console | None = None) -> None:
    """Print the rows as a table."""
    table = Table(title=f"Python {platform.python_version()}, {platform.machine()}; medians", title_justify="left")
    table.add_column("what")
    table.add_column("spendgauge", justify="right")
    table.add_column("beside it, in the same run")
    table.add_column("it", justify="right")
    table.add_column("ratio", justify="right")
    table.add_column("unit")
    for row in rows:
        theirs = _figure(row.theirs) if row.peer else ""
        table.add_row(row.what, _figure(row.ours), row.peer, theirs, row.ratio, row.unit)
    console = console or Console()
    if not console.is_terminal:
        console.width = 140  # a file or a pipe has no edge to break lines at
    console.print(table)


def _figure(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.2f}"
