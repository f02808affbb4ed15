"""How is CSV read fast, and still as the standard library reads it?

Blocks without a quote or a carriage return, in which every line has every cell, are split by Polars. From the first
block that is anything else, Python's ``csv`` reads on: it is the authority, and names the line of each fault.
"""

import csv
import io
from collections.abc import Iterator, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import BinaryIO, Final

import polars as pl

from spendgauge.deploy.replay.batches import LINE, Batch, Problem
from spendgauge.schemas import ConfigurationError

__all__ = ["csv_batches"]

_BLOCK_BYTES: Final = 4 * 1024 * 1024
_BATCH_ROWS: Final = 50_000


def csv_batches(path: Path, file: BinaryIO) -> Iterator[Batch]:
    """Yield the rows of a CSV file whose first line names the columns.

    Raises ``ConfigurationError`` where there is no such line, or the file is no CSV.
    """
    header = _header(path, file.readline().decode())
    lines, rest = 1, b""
    while block := file.read(_BLOCK_BYTES):
        whole, newline, rest = (rest + block).rpartition(b"\n")
        rows = _plain_rows(whole + newline, header)
        if rows is None:
            left = chain(io.BytesIO(whole + newline + rest + file.readline()), file)
            yield from _careful_batches(path, left, header, lines=lines)
            return
        yield Batch(rows.with_columns(pl.int_range(lines + 1, lines + 1 + pl.len()).alias(LINE)))
        lines += len(rows)
    if rest:
        yield from _careful_batches(path, iter([rest]), header, lines=lines)


def _header(path: Path, line: str) -> list[str]:
    try:
        header = next(csv.reader([line], strict=True), [])
    except csv.Error as error:
        raise ConfigurationError(f"{path} is no CSV in its first line: {error}") from None
    if not header:
        raise ConfigurationError(f"{path} is empty; its first line must name the columns")
    if len(set(header)) < len(header):
        raise ConfigurationError(f"{path} names a column twice: {', '.join(header)}")
    return header


def _plain_rows(block: bytes, header: Sequence[str]) -> pl.DataFrame | None:
    """Split whole lines without any quoting; None where there is anything that needs care."""
    if not block or b'"' in block or b"\r" in block:
        return None
    try:
        rows = pl.read_csv(block, has_header=False, infer_schema=False, new_columns=list(header), quote_char=None)
    except (pl.exceptions.PolarsError, ValueError):
        return None
    complete = len(rows) == block.count(b"\n") and block.count(b",") == len(rows) * (len(header) - 1)
    return rows if complete and rows.width == len(header) else None


def _careful_batches(path: Path, file: Iterator[bytes], header: Sequence[str], *, lines: int) -> Iterator[Batch]:
    """Let ``csv`` read what is left, ``lines`` lines having been read."""
    reader = csv.reader((line.decode() for line in file), strict=True)
    try:
        while rows := [(lines + reader.line_num, row) for row in islice(reader, _BATCH_ROWS)]:
            yield _batch(header, rows)
    except csv.Error as error:
        raise ConfigurationError(f"{path} is no CSV after line {lines + reader.line_num}: {error}") from None


def _batch(header: Sequence[str], rows: Sequence[tuple[int, list[str]]]) -> Batch:
    width = len(header)
    problems = [
        Problem(line, f"it has {len(row)} cells, and there are {width} columns")
        for line, row in rows
        if row and len(row) != width
    ]
    good = [(line, row) for line, row in rows if len(row) == width]
    cells = list(zip(*(row for _, row in good), strict=True)) or [()] * width
    columns = {name: pl.Series(values, dtype=pl.String) for name, values in zip(header, cells, strict=True)}
    return Batch(
        pl.DataFrame({**columns, LINE: pl.Series([line for line, _ in good], dtype=pl.Int64)}), tuple(problems)
    )
