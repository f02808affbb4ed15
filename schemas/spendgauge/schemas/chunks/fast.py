"""How are many lines read at once? One compiled pass over their bytes fills columns, which Polars takes as they are."""

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
import orjson
import polars as pl
import pyarrow as pa

from spendgauge.schemas.chunks.frame import COLUMNS, FRAME_SCHEMA
from spendgauge.schemas.chunks.layout import FIELDS, LIMITS, NO_TAGS, NUMBERS, TEXTS
from spendgauge.schemas.chunks.rules import RULES, TAG_LIMITS
from spendgauge.schemas.chunks.scanner import READ_BEYOND, Columns, Records, scan
from spendgauge.schemas.chunks.slow import tags_text
from spendgauge.schemas.compiled import Numbers

__all__ = ["read_lines"]

_LEAST_EVENT_BYTES: Final = 100
"""An event has more: its four required fields take so much. A megabyte of blank lines must not take a gigabyte."""

_CANNOT_BE_NULL: Final = {name for name, rule in RULES.items() if rule.default is not None or rule.required} | {"tags"}
_BITS: Final = {name: 1 << bit for bit, name in enumerate(RULES)}
_LEFT_OPEN: Final = _BITS["quality_score"] | _BITS["tags"]
_NOBODYS: Final = {
    name: pl.Series(COLUMNS[name], [NO_TAGS if name == "tags" else rule.default], FRAME_SCHEMA[COLUMNS[name]])
    for name, rule in RULES.items()
}


def read_lines(
    values: Sequence[bytes], offsets: Sequence[int], timestamps_ms: Sequence[int]
) -> tuple[pl.DataFrame, Numbers]:
    """Read the lines of records; return the rows that were accepted, and which lines were left.

    *shape*: rows have ``FRAME_SCHEMA`` and stand in order; of each line that was left, the record's place in
    ``values`` and the line's number there. Blank lines are in neither.
    """
    data = bytearray(b"\n").join(values) + b"\n" * READ_BEYOND
    seen = np.frombuffer(data, np.uint8)
    ends = np.cumsum(np.fromiter(map(len, values), np.int64, len(values)) + 1)
    times_ms = np.array(timestamps_ms, np.int64)
    columns = _room(lines=int(np.count_nonzero(seen == ord("\n"))), size=len(data))
    rows, left = scan(Records(seen, ends, times_ms, LIMITS), FIELDS, columns)
    place = columns.place[:rows]
    given = int(np.bitwise_or.reduce(columns.given[:rows], initial=0))
    frame = pl.DataFrame(
        [
            *(_column(name, columns, rows, data) if given & _BITS[name] else _nobodys(name, rows) for name in RULES),
            pl.Series("offset", np.array(offsets, np.int64)[place]),
            pl.Series("line", columns.line[:rows]),
            pl.Series("received_at_ms", times_ms[place]),
        ]
    )
    unread = np.stack([columns.left_place[:left], columns.left_line[:left]], axis=1)
    if not given & _LEFT_OPEN or (valid := _is_valid(frame)).all():
        return frame, unread
    wrong = (~valid).to_numpy()
    more = np.stack([place[wrong], columns.line[:rows][wrong]], axis=1)
    together = np.concatenate([unread, more])
    return frame.filter(valid), together[np.lexsort(together.T[::-1])]


def _room(*, lines: int, size: int) -> Columns:
    """Make room for what so many lines of so many bytes can hold."""
    rows = min(lines, size // _LEAST_EVENT_BYTES + 1)  # one more: a line is read into a row before it is rejected
    return Columns(
        texts=np.empty((len(TEXTS), rows, 2), np.int64),
        numbers=np.empty((len(NUMBERS), rows), np.int64),
        given=np.empty(rows, np.int64),
        place=np.empty(rows, np.int64),
        line=np.empty(rows, np.int64),
        follower=np.arange(1, len(RULES) + 1) % len(RULES),
        left_place=np.empty(lines, np.int64),
        left_line=np.empty(lines, np.int64),
    )


def _nobodys(name: str, rows: int) -> pl.Series:
    """Build the column of a field that no event gives."""
    return _NOBODYS[name].new_from_index(0, rows)


def _column(name: str, columns: Columns, rows: int, data: bytearray) -> pl.Series:
    """Take a field's column as it is, without copying."""
    given = None
    if name not in _CANNOT_BE_NULL:
        given = pa.py_buffer(np.packbits(columns.given[:rows] & _BITS[name] != 0, bitorder="little"))
    if name in NUMBERS:
        numbers = columns.numbers[NUMBERS.index(name), :rows]
        array = pa.Array.from_buffers(pa.int64(), rows, [given, pa.py_buffer(numbers)])
    else:
        views = columns.texts[TEXTS.index(name), :rows]
        array = pa.Array.from_buffers(pa.string_view(), rows, [given, pa.py_buffer(views), pa.py_buffer(data)])
    series = pl.Series(COLUMNS[name], array)
    return _FINISHED[name](series) if name in _FINISHED else series.cast(FRAME_SCHEMA[series.name])


def _is_valid(frame: pl.DataFrame) -> pl.Series:
    """Apply what the scanner left open: the limits of the score and of tags."""
    rule = RULES["quality_score"]
    return frame.select(
        pl.col("quality_score").is_between(rule.minimum, rule.maximum).fill_null(value=True)
        & pl.col("tags").is_not_null()
    ).to_series()


def _canonical_tags(texts: pl.Series) -> pl.Series:
    """Write each tags text in canonical form; null where it is invalid."""
    different = texts.unique()
    canonical = pl.Series(different.name, [_canonical(text) for text in different], pl.String)
    return texts if different.equals(canonical) else texts.replace_strict(different, canonical)


def _canonical(text: str) -> str | None:
    """Write one map of strings without escapes in canonical form; None where it breaks a rule."""
    tags: dict[str, str] = orjson.loads(text)
    twice = text.count('"') != 4 * len(tags)
    if twice or len(tags) > TAG_LIMITS.count or not all(map(_fits, tags, tags.values())):
        return None
    return tags_text(tags)


def _fits(name: str, value: str) -> bool:
    return 1 <= len(name) <= TAG_LIMITS.name_length and len(value) <= TAG_LIMITS.value_length


_FINISHED: Final[dict[str, Callable[[pl.Series], pl.Series]]] = {
    "quality_score": lambda series: series.cast(pl.Float64, strict=False),
    "tags": _canonical_tags,
}
