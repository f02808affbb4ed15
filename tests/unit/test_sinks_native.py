"""Are Native blocks what ClickHouse's own client reads?"""

from decimal import Decimal
from typing import Any
from uuid import UUID

import polars as pl
import pytest
from clickhouse_connect.driver.ctypes import RespBuffCls
from clickhouse_connect.driver.query import QueryContext
from clickhouse_connect.driver.transform import NativeTransform
from hypothesis import given, settings
from hypothesis import strategies as st

from spendgauge.sinks.native import encode_block, encoder

HEADERS = pl.List(pl.Struct({"name": pl.String, "value": pl.Binary}))
HEADERS_KIND = "Array(Tuple(name String, value Nullable(String)))"
INT64 = st.integers(-(2**63), 2**63 - 1)
TEXT = st.one_of(st.text(max_size=8), st.sampled_from(["é" * 70, "x" * 127, "x" * 128, "x" * 20_000]))
WIDE = st.decimals(-(10**25), 10**25, places=12)

KINDS: dict[str, tuple[Any, pl.DataType]] = {
    "Int64": (INT64, pl.Int64()),
    "UInt8": (st.integers(0, 2**8 - 1), pl.Int64()),
    "UInt16": (st.integers(0, 2**16 - 1), pl.Int64()),
    "UInt32": (st.integers(0, 2**32 - 1), pl.Int64()),
    "Nullable(Int32)": (st.none() | st.integers(-(2**31), 2**31 - 1), pl.Int64()),
    "Nullable(Float64)": (st.none() | st.floats(0, 1), pl.Float64()),
    "String": (TEXT, pl.String()),
    "Nullable(String)": (st.none() | TEXT, pl.String()),
    "LowCardinality(String)": (TEXT, pl.String()),
    "UUID": (st.uuids().map(str), pl.String()),
    "Nullable(UUID)": (st.none() | st.uuids().map(str), pl.String()),
    "Decimal(38, 12)": (WIDE, pl.Decimal(38, 12)),
    "Array(String)": (st.lists(TEXT, max_size=3), pl.List(pl.String())),
    "Nullable(Decimal(38, 12))": (st.none() | WIDE, pl.Decimal(38, 12)),
    "Array(Decimal(38, 12))": (st.lists(WIDE, max_size=3), pl.List(pl.Decimal(38, 12))),
    "Array(Array(String))": (st.lists(st.lists(TEXT, max_size=2), max_size=3), pl.List(pl.List(pl.String()))),
    "Array(Int64)": (st.lists(INT64, max_size=3), pl.List(pl.Int64())),
}
"""What to draw, and the series' type. The other types are the same encoders or have a test of their own."""


class _Source:
    """Bytes as the client's reader wants them."""

    def __init__(self, data: bytes) -> None:
        self.gen = iter([data])

    def close(self) -> None:
        """Nothing to close."""


def read(block: bytes) -> list[list[Any]]:
    """Read a block with clickhouse-connect; columns of values."""
    buffer: Any = RespBuffCls
    result: Any = NativeTransform().parse_response(buffer(_Source(block)), QueryContext())
    return [list(column) for column in zip(*result.result_set, strict=True)]


def written(kind: str, series: pl.Series) -> list[Any]:
    """Write a series as one column, and read it back."""
    return read(encode_block([("c", kind, encoder(kind)(series))], rows=len(series)))[0]


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
@settings(deadline=None)
def test_values_come_back(kind: str, data: st.DataObject) -> None:
    """What is written as a type, the client reads as the same values."""
    strategy, dtype = KINDS[kind]
    values = data.draw(st.lists(strategy, min_size=1, max_size=6))
    back = [str(value) if isinstance(value, UUID) else value for value in written(kind, pl.Series(values, dtype=dtype))]
    assert back == values


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
@settings(deadline=None)
def test_a_slice_is_written_like_a_copy(kind: str, data: st.DataObject) -> None:
    """A slice that shares its neighbours' memory is written like the same values alone: bisection cuts slices."""
    strategy, dtype = KINDS[kind]
    values = data.draw(st.lists(strategy, min_size=2, max_size=8))
    start = data.draw(st.integers(0, len(values) - 1))
    end = data.draw(st.integers(start + 1, len(values)))
    whole = pl.Series(values, dtype=dtype)
    assert encoder(kind)(whole[start:end]) == encoder(kind)(pl.Series(values[start:end], dtype=dtype))


def test_a_large_dictionary() -> None:
    """LowCardinality's indexes grow with the number of distinct values: one byte, two, four."""
    for distinct in (256, 257, 65_536, 65_537):
        values = [f"v{number}" for number in range(distinct)] * 2
        assert written("LowCardinality(String)", pl.Series(values)) == values


def test_maps_are_read_from_json() -> None:
    """Tags travel as JSON text in the frame and arrive as maps, empty ones among them."""
    series = pl.Series(['{"a":"1","b":"é"}', "{}", '{"a":"1","b":"é"}', '{"":"\\n"}'])
    assert written("Map(String, String)", series) == [{"a": "1", "b": "é"}, {}, {"a": "1", "b": "é"}, {"": "\n"}]
    assert written("Map(String, String)", pl.Series(["{}", "{}"])) == [{}, {}]


def test_headers_keep_order_and_nulls() -> None:
    """A record's headers are a list: names may repeat, values may be null or any bytes."""
    values = [[], [{"name": "a", "value": None}, {"name": "a", "value": b"\x00x"}], [{"name": "", "value": b""}]]
    back = written(HEADERS_KIND, pl.Series(values, dtype=HEADERS))
    assert back == [[], [{"name": "a", "value": None}, {"name": "a", "value": "\x00x"}], [{"name": "", "value": ""}]]


def test_money_is_exact() -> None:
    """Picodollars are a Decimal(18, 12)'s own integers, and null stays null."""
    series = pl.Series([1, None, -(10**18) + 1, 0], dtype=pl.Int64)
    back = written("Nullable(Decimal(18, 12))", series)
    assert back == [Decimal("0.000000000001"), None, Decimal("-999999.999999999999"), Decimal(0)]


def test_several_columns_share_a_block() -> None:
    """A block names its columns and their types, and counts its rows once."""
    block = encode_block(
        [
            ("n", "Int64", encoder("Int64")(pl.Series([1, 2]))),
            ("s", "String", encoder("String")(pl.Series(["a", "b"]))),
        ],
        rows=2,
    )
    assert read(block) == [[1, 2], ["a", "b"]]


def test_an_unknown_type_is_refused() -> None:
    """A type without an encoder is an error where the table is declared, not wrong bytes."""
    with pytest.raises(ValueError, match="IPv4 has no encoder"):
        encoder("IPv4")
