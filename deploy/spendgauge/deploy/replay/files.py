"""How is a usage log read? In batches of text columns, from CSV or JSON lines, compressed or not.

A line that cannot be read (too few cells, not JSON) is reported and does not stop the others.
"""

import gzip
import zlib
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, Final, cast

import orjson
import polars as pl

from spendgauge.deploy.replay.batches import LINE, Batch, Problem
from spendgauge.deploy.replay.csv import csv_batches
from spendgauge.schemas import ConfigurationError

__all__ = ["has_header", "read_batches"]

_BATCH_ROWS: Final = 50_000
_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"


def read_batches(path: Path) -> Iterator[Batch]:
    """Yield the rows of a ``.csv`` or ``.jsonl`` file (or ``.ndjson``; ``.gz`` after any of them).

    Raises ``ConfigurationError`` where the file cannot be opened, is of another kind, or is damaged.
    """
    kinds = {".csv": csv_batches, ".jsonl": _json_batches, ".ndjson": _json_batches}
    suffix = _kind(path)
    if suffix not in kinds:
        raise ConfigurationError(
            f"{path} cannot be read: its name must end in .csv, .jsonl or .ndjson, with .gz after it or not"
        )
    try:
        with _open(path) as file:
            if file.read(3) != _BYTE_ORDER_MARK:
                file.seek(0)
            yield from kinds[suffix](path, file)
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror or error}") from None
    except (EOFError, zlib.error) as error:
        raise ConfigurationError(f"{path} is damaged or was not written to its end: {error}") from None
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{path} is not UTF-8 ({error.reason}); convert it with iconv") from None


def has_header(path: Path) -> bool:
    """Tell whether the file's first line names all its columns."""
    return _kind(path) == ".csv"


def _kind(path: Path) -> str:
    return Path(path.stem).suffix if path.suffix == ".gz" else path.suffix


def _open(path: Path) -> BinaryIO:
    return cast(BinaryIO, gzip.open(path, "rb")) if path.suffix == ".gz" else path.open("rb")


def _json_batches(_: Path, file: BinaryIO) -> Iterator[Batch]:
    numbered = enumerate(file, start=1)
    while lines := list(islice(numbered, _BATCH_ROWS)):
        yield _json_batch([(number, line) for number, line in lines if line.strip()])


def _json_batch(lines: Iterable[tuple[int, bytes]]) -> Batch:
    good: list[tuple[int, dict[str, Any]]] = []
    problems = []
    for number, line in lines:
        try:
            value = orjson.loads(line)
        except orjson.JSONDecodeError as error:
            problems.append(Problem(number, f"it is not JSON: {error}"))
            continue
        if isinstance(value, dict):
            good.append((number, dict(_flat(value))))
        else:
            problems.append(Problem(number, "it is not a JSON object"))
    names = dict.fromkeys(name for _, row in good for name in row)
    columns = {name: pl.Series([_text(row.get(name)) for _, row in good], dtype=pl.String) for name in names}
    return Batch(pl.DataFrame({**columns, LINE: pl.Series([n for n, _ in good], dtype=pl.Int64)}), tuple(problems))


def _flat(row: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Name nested values by their path, such as ``usage.input_tokens``; ``tags`` stay whole."""
    for name, value in row.items():
        if isinstance(value, dict) and name != "tags":
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    return "" if value is None else orjson.dumps(value).decode()
