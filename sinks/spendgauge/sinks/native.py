"""How do columns become ClickHouse's Native format? Column by column with numpy, no Python object a value.

Native is what ClickHouse itself speaks: it reads a block without parsing. Of the formats tried through
``clickhouse-connect`` it is the cheapest on both sides (docs/tables.md has the figures).

*Source*: https://clickhouse.com/docs/interfaces/formats/Native and the types' ``serializeBinaryBulk`` in ClickHouse.
"""

import struct
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import orjson
import polars as pl
import pyarrow as pa

__all__ = ["Column", "Encoder", "encode_block", "encoder"]

Encoder = Callable[[pl.Series], bytes]
Column = tuple[str, str, bytes]
"""A column's name, its ClickHouse type and its encoded values."""

_WIDTHS: Final[Mapping[str, str]] = {
    "UInt8": "u1",
    "UInt16": "<u2",
    "UInt32": "<u4",
    "UInt64": "<u8",
    "Int32": "<i4",
    "Int64": "<i8",
    "Float64": "<f8",
    "DateTime64(3)": "<i8",
    "Decimal(18, 12)": "<i8",
}
"""DateTime64(3) comes as milliseconds, Decimal(18, 12) as picodollars."""

_KEYS_INLINE: Final = (1 << 9) | (1 << 10)
"""LowCardinality's flags: this block brings its own dictionary, and it is to be used from here on."""

_NIBBLES: Final = np.zeros(256, np.uint8)
_NIBBLES[np.frombuffer(b"0123456789abcdef", np.uint8)] = np.arange(16)
_HEX_PLACES: Final = np.array([place for place in range(36) if place not in (8, 13, 18, 23)])


def encode_block(columns: Sequence[Column], *, rows: int) -> bytes:
    """Write one block: counts, then each column's name, type and values. *shape*: at least one row."""
    parts = [_varint(len(columns)), _varint(rows)]
    for name, kind, values in columns:
        parts += (_text(name.encode()), _text(kind.encode()), values)
    return b"".join(parts)


def encoder(kind: str) -> Encoder:
    """Find how a series is written as this ClickHouse type. A null becomes 0 or "" in a type that is not Nullable."""
    if kind in _WIDTHS:
        return lambda series: _numbers(series, _WIDTHS[kind])
    if kind in _ENCODERS:
        return _ENCODERS[kind]
    if kind.startswith("Nullable("):
        inside = encoder(kind.removeprefix("Nullable(").removesuffix(")"))
        return lambda series: series.is_null().to_numpy().astype(np.uint8).tobytes() + inside(series)
    if kind.startswith("Array("):
        each = encoder(kind.removeprefix("Array(").removesuffix(")"))
        return lambda series: _ends(series.list.len()) + each(series.explode(empty_as_null=False))
    raise ValueError(f"{kind} has no encoder here")


def _numbers(series: pl.Series, width: str) -> bytes:
    return series.fill_null(0).to_numpy().astype(width, copy=False).tobytes()


def _strings(series: pl.Series) -> bytes:
    """Write each value behind its length; series of text or bytes."""
    data, offsets = _buffers(series.fill_null(b"" if series.dtype == pl.Binary else ""))
    sizes = np.diff(offsets)
    if sizes.size and sizes.max() > 127:
        whole = data.tobytes()
        return b"".join(
            _text(whole[start:end]) for start, end in zip(offsets[:-1].tolist(), offsets[1:].tolist(), strict=True)
        )
    out = np.empty(data.size + sizes.size, np.uint8)
    places = offsets[:-1] + np.arange(sizes.size)
    is_data = np.ones(out.size, bool)
    is_data[places] = False
    out[places] = sizes
    out[is_data] = data
    return out.tobytes()


def _low_cardinality(series: pl.Series) -> bytes:
    """Write the distinct values once, then an index for each row."""
    keys, indexes = _distinct(series)
    kind = 0 if len(keys) <= 1 << 8 else 1 if len(keys) <= 1 << 16 else 2
    head = struct.pack("<QQQ", 1, _KEYS_INLINE | kind, len(keys))
    width = ("u1", "<u2", "<u4")[kind]
    return head + _strings(keys) + struct.pack("<Q", len(indexes)) + indexes.astype(width).tobytes()


def _uuids(series: pl.Series) -> bytes:
    """Write canonical lower-case UUID text as two little-endian halves."""
    data, _ = _buffers(series.fill_null("00000000-0000-0000-0000-000000000000"))
    nibbles = _NIBBLES[data.reshape(-1, 36)[:, _HEX_PLACES]]
    octets = nibbles[:, 0::2] << 4 | nibbles[:, 1::2]
    return np.concatenate([octets[:, 7::-1], octets[:, 15:7:-1]], axis=1).tobytes()


def _wide_decimals(series: pl.Series) -> bytes:
    """Write a Decimal(38, 12) series as 128-bit integers."""
    array = series.fill_null(0).to_arrow()
    start = array.offset * 16
    return bytes(array.buffers()[1][start : start + len(array) * 16])


def _string_maps(series: pl.Series) -> bytes:
    """Write JSON objects of strings: where each map ends, all keys, all values. Each distinct text is read once."""
    texts, indexes = _distinct(series)
    maps = [list(orjson.loads(text).items()) for text in texts]
    sizes = np.array([len(pairs) for pairs in maps], np.uint64)
    keys = [b"".join(_text(key.encode()) for key, _ in pairs) for pairs in maps]
    values = [b"".join(_text(value.encode()) for _, value in pairs) for pairs in maps]
    chosen = indexes.tolist() if any(keys) else []
    return b"".join(
        (
            np.cumsum(sizes[indexes], dtype="<u8").tobytes() if maps else b"",
            *(keys[index] for index in chosen),
            *(values[index] for index in chosen),
        )
    )


def _headers(series: pl.Series) -> bytes:
    """Write lists of structs (name, value): where each list ends, all names, which values are null, all values."""
    flat = series.explode(empty_as_null=False).struct.unnest()
    values = flat["value"]
    nulls = values.is_null().to_numpy().astype(np.uint8).tobytes()
    return _ends(series.list.len()) + _strings(flat["name"]) + nulls + _strings(values)


def _ends(sizes: pl.Series) -> bytes:
    return np.cumsum(sizes.to_numpy(), dtype="<u8").tobytes()


def _buffers(series: pl.Series) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """Give all bytes of the values, and where each begins and ends in them."""
    array = _arrow(series)
    offsets = np.frombuffer(array.buffers()[1], np.int64)[array.offset : array.offset + len(array) + 1]
    data = np.frombuffer(array.buffers()[2] or b"", np.uint8)
    if not offsets.size:
        return data[:0], np.zeros(1, np.int64)
    return data[offsets[0] : offsets[-1]], offsets - offsets[0]


def _distinct(series: pl.Series) -> tuple[pl.Series, npt.NDArray[np.int64]]:
    coded = _arrow(series).dictionary_encode()
    return pl.Series(coded.dictionary.cast(pa.large_string())), coded.indices.to_numpy(zero_copy_only=False)


def _arrow(series: pl.Series) -> Any:
    """Give one Arrow array whose strings lie behind each other."""
    return series.to_arrow(compat_level=pl.CompatLevel.oldest())


def _text(value: bytes) -> bytes:
    return _varint(len(value)) + value


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


_ENCODERS: Final[Mapping[str, Encoder]] = {
    "String": _strings,
    "LowCardinality(String)": _low_cardinality,
    "UUID": _uuids,
    "Decimal(38, 12)": _wide_decimals,
    "Map(String, String)": _string_maps,
    "Array(Tuple(name String, value Nullable(String)))": _headers,
}
