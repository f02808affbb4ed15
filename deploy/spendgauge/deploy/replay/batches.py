"""What is a usage log read as? Batches of text columns, and the lines that could not be read."""

from dataclasses import dataclass
from typing import Final

import polars as pl

__all__ = ["LINE", "Batch", "Problem"]

LINE: Final = "\0line"
"""The name of the column that holds each row's line number in the file; no file has such a column."""


@dataclass(frozen=True)
class Problem:
    """A line that cannot be sent, and why."""

    line: int
    reason: str


@dataclass(frozen=True)
class Batch:
    """Some consecutive rows: a text column for each of the file's columns (null or empty: not given) and ``LINE``."""

    rows: pl.DataFrame
    problems: tuple[Problem, ...] = ()

    @property
    def columns(self) -> list[str]:
        """The file's columns."""
        return [name for name in self.rows.columns if name != LINE]
