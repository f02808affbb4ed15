"""How are many lines read at once? By Polars' JSON reader, without Python's lock, and no line is taken on trust."""

from typing import Final

import orjson
import polars as pl

from spendgauge.schemas.chunks.guards import TAGS_MARK, guard
from spendgauge.schemas.chunks.rules import RULES

__all__ = ["read_lines"]

_POLARS_TYPES: Final = {"string": pl.String(), "integer": pl.Int64(), "number": pl.Float64()}
_FIELDS: Final[dict[str, pl.DataType]] = {TAGS_MARK: pl.String()} | {
    name: _POLARS_TYPES[rule.kind] for name, rule in RULES.items() if rule.kind in _POLARS_TYPES
}
_TOO_LONG_A_NUMBER: Final = "[0-9]{38}"
"""Polars calls it no JSON where a whole number exceeds 128 bits."""

_SMALL_SAMPLE: Final = 64
_LARGE_SAMPLE: Final = 512


def read_lines(lines: pl.DataFrame) -> pl.DataFrame:
    """Read the lines that can be read at once: the columns given, ``tags`` as text, and a column for each field found.

    A line that comes back is a JSON object of known names, each once, with values of the right JSON type, or null
    where the model takes null; all else is still unchecked. A line that is left out needs pydantic.
    """
    guarded = guard(lines)
    fields = _sampled_fields(guarded["json"])
    read = _read(guarded, fields)
    if read is None:
        guarded = guarded.filter(~pl.col("json").str.contains(_TOO_LONG_A_NUMBER))
        guarded = guarded.filter(pl.Series([_is_json(text) for text in guarded["json"]], dtype=pl.Boolean))
        read = _read(guarded, fields)
    if read is None:
        return lines.clear()
    return read.filter(*_trusted(read, fields)).drop("json", "members", "quotes", "nulls", TAGS_MARK, strict=False)


def _read(guarded: pl.DataFrame, fields: dict[str, pl.DataType]) -> pl.DataFrame | None:
    """Read all lines; None where one of them is not JSON."""
    if guarded.is_empty() or not fields:
        return None
    data = guarded["json"].str.join("\n").cast(pl.Binary).item()
    try:
        read = pl.read_ndjson(data, schema=fields, ignore_errors=True)
    except pl.exceptions.ComputeError:
        return None
    return guarded.hstack(read.get_columns()) if read.height == guarded.height else None


def _is_json(text: str) -> bool:
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError:
        return False
    return True


def _sampled_fields(json: pl.Series) -> dict[str, pl.DataType]:
    """Find the fields that lines name, in a sample: columns that nobody fills cost as much as the others.

    A line that names another field is not trusted, and goes to pydantic. The sample is random and always the same, so
    it does not fall in step with producers that take turns.
    """
    size = min(len(json), max(_SMALL_SAMPLE, min(_LARGE_SAMPLE, len(json) // 16)))
    names: set[str] = set()
    for text in json.sample(size, seed=0):
        try:
            names.update(orjson.loads(text))
        except orjson.JSONDecodeError:
            continue
    return {name: dtype for name, dtype in _FIELDS.items() if name in names}


def _trusted(read: pl.DataFrame, fields: dict[str, pl.DataType]) -> list[pl.Expr]:
    """State what holds only where no member was ignored, doubled, converted or lost.

    Each member is a null that may be, or filled a column; each string member filled a text column; the mark of tags
    stands for tags; and no column that was filled is null a second time.
    """
    none = pl.lit(0, pl.UInt32)
    texts = pl.sum_horizontal(none, *(pl.col(name).is_not_null() for name, t in fields.items() if t == pl.String()))
    filled = pl.sum_horizontal(none, *(pl.col(name).is_not_null() for name in fields))
    checks = [
        pl.col("members") == filled + pl.col("nulls"),
        pl.col("quotes") == 2 * (filled + texts + pl.col("nulls")),
    ]
    if TAGS_MARK in fields:
        checks.append(pl.col(TAGS_MARK).is_null() == pl.col("tags").is_null())
    if read["nulls"].sum():
        checks += [
            pl.col(name).is_null() | ~pl.col("json").str.contains(rf'"{name}":\s*null')
            for name in fields
            if name in RULES and RULES[name].nullable
        ]
    return checks
