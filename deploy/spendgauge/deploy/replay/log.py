"""How does a usage log become events again? Looked through once for what its times mean, then read in frames.

Streaming: a log of any length is read in batches. Every row becomes an event or a problem with its line number.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from spendgauge.deploy.replay.batches import Problem
from spendgauge.deploy.replay.files import has_header, read_batches
from spendgauge.deploy.replay.mapping import FieldMapping
from spendgauge.deploy.replay.rows import TIMES, RowReader
from spendgauge.deploy.replay.times import is_number, ms_from_iso, ms_per_unit
from spendgauge.schemas import ConfigurationError

__all__ = ["Log", "look_through", "read_log"]


@dataclass(frozen=True)
class Log:
    """What the first look at a log found: how to read it, how many rows it has, and when the first and last are."""

    path: Path
    reader: RowReader
    rows: int
    first_ms: int
    last_ms: int
    in_order: bool


def look_through(path: Path, mapping: FieldMapping) -> Log:
    """Read the log once: count its rows, find the unit and the range of its times.

    Raises ``ConfigurationError`` where it cannot be read, lacks a column, or has no row with a time.
    """
    columns = {name: mapping.columns.get(name, name) for name in TIMES}
    times = {name: _Times() for name in TIMES}
    seen: dict[str, None] = {}
    rows = 0
    for batch in read_batches(path):
        if has_header(path) and not seen:
            mapping.resolve(batch.columns)
        seen |= dict.fromkeys(batch.columns)
        rows += len(batch.rows) + len(batch.problems)
        for name, column in columns.items():
            if column in batch.columns:
                times[name].add(batch.rows[column])
    resolved = mapping.resolve(list(seen))
    occurred = times["occurred_at"]
    if occurred.low is None or occurred.high is None:
        raise ConfigurationError(f"no row of {path} has a time in column {columns['occurred_at']}; nothing can be sent")
    units = {name: times[name].ms_per_unit(columns[name]) for name in TIMES}
    scale = units["occurred_at"] or 1
    reader = RowReader(mapping, resolved, units)
    return Log(path, reader, rows, round(occurred.low * scale), round(occurred.high * scale), occurred.in_order)


def read_log(log: Log) -> Iterator[tuple[pl.DataFrame, tuple[Problem, ...]]]:
    """Yield the log's events, as ``RowReader.read`` gives them, and the lines that are none."""
    return map(log.reader.read, read_batches(log.path))


@dataclass
class _Times:
    """What is known so far about one column of times, in its own unit."""

    numbers: bool | None = None
    low: float | None = None
    high: float | None = None
    in_order: bool = True

    def add(self, texts: pl.Series) -> None:
        given = texts.filter(texts != "")
        if self.numbers is None and len(given):
            self.numbers = is_number(given[0])
        read = given.cast(pl.Float64, strict=False) if self.numbers else ms_from_iso(given)
        values = read.filter(read.is_finite())
        if values.is_empty():
            return
        low, high = values.sort()[0], values.sort()[-1]
        self.in_order = self.in_order and values.is_sorted() and (self.high is None or low >= self.high)
        self.low = low if self.low is None else min(self.low, low)
        self.high = high if self.high is None else max(self.high, high)

    def ms_per_unit(self, column: str) -> float | None:
        """Tell how many milliseconds a unit has; None for ISO 8601."""
        return ms_per_unit(column, self.high or 0) if self.numbers else None
