"""Does the fast way to read cost.rates accept only what pydantic accepts, with the same values?"""

import json
from decimal import Decimal
from itertools import chain
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from tests.sinks import chunk, contribution

from spendgauge.schemas import DEFAULT_SERIES, MEASURES, RateContribution
from spendgauge.sinks.contributions import CONTRIBUTION_FRAME, read_contributions, read_contributions_fast
from spendgauge.streams.rating.blocks import Contributions
from spendgauge.streams.rating.rates import rate_records

NAMES = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
TOTALS = st.integers(-(2**63), 2**63 - 1)
VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**64), 2**64), st.floats(), NAMES, st.lists(st.none() | NAMES, max_size=2)
)


@st.composite
def lines(draw: st.DrawFn) -> bytes:
    """Draw a line as a worker writes it."""
    dimensions = draw(st.sampled_from(["total", "feature", "provider+model"]))
    seconds = draw(st.sampled_from([10, 60]))
    fields: dict[str, Any] = {
        "series": dimensions,
        "key": tuple(draw(NAMES) for _ in range(0 if dimensions == "total" else dimensions.count("+") + 1)),
        "pane_start": draw(st.integers(-(10**9), 10**9)) * seconds,
        "pane_seconds": seconds,
        "input_tokens": draw(TOTALS),
        "version": draw(st.integers(0, 2**48 - 1)),
        "cost_usd": f"{draw(st.integers(-(10**26) + 1, 10**26 - 1))}.{draw(st.integers(0, 10**12 - 1)):012d}",
    }
    return contribution(**fields)


@st.composite
def spoiled(draw: st.DrawFn) -> bytes:
    """Draw a line with one member replaced, removed, added or repeated."""
    document = json.loads(draw(lines()))
    name = draw(st.sampled_from([*document, "prompt"]))
    if draw(st.booleans()):
        document[name] = draw(VALUES)
    else:
        document.pop(name, None)
    text = json.dumps(document, ensure_ascii=draw(st.booleans()), separators=(",", ":"))
    if draw(st.booleans()):
        text = text[:-1] + f',"{name}":0}}'
    return text.encode()


def accepted(line: bytes) -> RateContribution | None:
    """Ask pydantic."""
    try:
        return RateContribution.model_validate_json(line)
    except ValidationError:
        return None


@given(st.lists(lines(), min_size=1, max_size=5))
def test_a_workers_lines_take_the_fast_way(drawn: list[bytes]) -> None:
    """What a worker writes is read at once, and the careful way gives the same frame."""
    fast = read_contributions_fast([b"\n".join(drawn)])
    assert fast is not None
    spaced = [line.replace(b'{"series"', b'{ "series"') for line in drawn]
    slow, refused = read_contributions(chunk("cost.rates", b"\n".join(spaced)))
    assert refused == []
    assert slow.equals(fast)
    assert slow.schema == fast.schema == CONTRIBUTION_FRAME


@given(st.lists(spoiled(), min_size=1, max_size=4))
def test_the_fast_way_never_guesses(drawn: list[bytes]) -> None:
    """Lines the fast way accepts are lines pydantic accepts; each bad line is refused alone, its neighbours stay."""
    models = [accepted(line) for line in drawn]
    assert read_contributions_fast(drawn) is None or None not in models
    frame, refused = read_contributions(chunk("cost.rates", *drawn))
    good = [model for model in models if model is not None]
    assert frame.select("series", "key", "version", "input_tokens", "cost_usd").rows() == [
        (m.series, list(m.key), m.version, m.input_tokens, Decimal(m.cost_usd)) for m in good
    ]
    assert [row["value"] for row in refused] == [
        line for line, model in zip(drawn, models, strict=True) if model is None
    ]


def test_the_workers_own_writer_is_understood() -> None:
    """The lines that streams.rates puts together column-wise take the fast way, awkward names and all."""
    keys = ['["a/b"]', '["é\\"\\\\"]', '[""]']
    totals = pl.DataFrame(
        {
            "series": pl.Series([6, 6, 6], dtype=pl.Int64),
            "key": keys,
            "pane_start": [0, 10, 20],
            **{name: pl.Series([1, 2, 3], dtype=pl.Int64) for name in MEASURES},
        }
    )
    written = Contributions(stream="id:8", partition=2, block=3, edition=4, version=30, totals=totals)
    records = chain.from_iterable(rate_records([written], specs=DEFAULT_SERIES, partitions=1))
    frame = read_contributions_fast([record.value for record in records])
    assert frame is not None
    assert frame["key"].to_list() == [json.loads(key) for key in keys]
    assert frame["cost_usd"].to_list() == [Decimal(number).scaleb(-12) for number in (1, 2, 3)]


def test_lines_know_where_they_stood() -> None:
    """Each row names its record and its line in it, so a row that cannot be stored can be found again."""
    line = contribution()
    frame, _ = read_contributions(chunk("cost.rates", line + b"\n" + line, line + b"\n"))
    assert frame.select("place", "record_line").rows() == [(0, 0), (0, 1), (1, 0)]


@pytest.mark.parametrize("value", [None, b"", b"\n \n"])
def test_an_empty_record_is_refused_whole(value: bytes | None) -> None:
    """A record without a line is not skipped in silence."""
    frame, refused = read_contributions(chunk("cost.rates", contribution(), value))
    assert frame.height == 1
    assert [(row["offset"], row["line"], row["detail"]) for row in refused] == [(1, 0, "the record holds no line")]


def test_a_far_pane_stays_far() -> None:
    """A pane beyond any calendar does not wrap round into a sane one; the table's check will refuse it."""
    frame, _ = read_contributions(chunk("cost.rates", contribution(pane_start=2**63 - 8, pane_seconds=1)))
    assert frame["pane_start_ms"].to_list() == [100_000_000_000_000]
