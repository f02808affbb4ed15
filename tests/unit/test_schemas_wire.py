"""What must be true of contributions, rejects and alerts on the wire?"""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from spendgauge.schemas import (
    DEFAULT_SERIES,
    LEAVES,
    MEASURES,
    Alert,
    RateContribution,
    RejectedEvent,
    SeqGap,
    SourceGaps,
)
from spendgauge.schemas.positions import EditionKey, PositionKey, PriceEdition, SourcePosition, read_key

COUNTS = dict.fromkeys((*MEASURES[:-1],), 0)
RATE: dict[str, Any] = {
    "series": "feature+model",
    "key": ("chat", ""),
    "pane_start": 1_769_860_800,
    "pane_seconds": 10,
    "stream": "id:8",
    "partition": 0,
    "block": 0,
    "edition": 0,
    "version": 0,
    **COUNTS,
    "cost_usd": "0.000000000000",
}
REJECT: dict[str, Any] = {
    "stream": "id:8",
    "topic": "usage.events",
    "partition": 0,
    "offset": 0,
    "line": 0,
    "received_at_ms": 0,
    "reason": "invalid_json",
    "detail": "not JSON",
}


@given(
    st.binary(max_size=40),
    st.none() | st.binary(max_size=8),
    st.lists(st.tuples(st.text(max_size=3), st.none() | st.binary())),
)
def test_a_reject_keeps_any_bytes(value: bytes, key: bytes | None, headers: list[tuple[str, bytes | None]]) -> None:
    """Bytes are given as they are, travel as base64, and come back equal."""
    sent = RejectedEvent(**REJECT, value=value, key=key, headers=tuple(headers))
    assert sent.value == value
    assert RejectedEvent.model_validate_json(sent.model_dump_json()) == sent


@pytest.mark.parametrize("text", ["!", "ew", "ew==="])
def test_bad_base64_is_refused(text: str) -> None:
    """A value that is not base64 is refused, not guessed at."""
    sent = RejectedEvent(**REJECT, value=b"{").model_dump_json()
    with pytest.raises(ValidationError):
        RejectedEvent.model_validate_json(sent.replace('"ew=="', f'"{text}"'))


@pytest.mark.parametrize(
    ("fields", "fault"),
    [
        ({"key": ("chat",)}, r"key \('chat',\) must have 2 values, one for each dimension of feature\+model"),
        ({"series": "total"}, "must have 0 values"),
        ({"series": "model", "key": ()}, "must have 1 values"),
        ({"pane_start": 1_769_860_801}, "pane_start 1769860801 must be a multiple of pane_seconds 10"),
        ({"cost_usd": "1"}, "pattern"),
    ],
)
def test_a_contribution_agrees_with_itself(fields: dict[str, Any], fault: str) -> None:
    """A key has a value for each dimension of its series, and a pane starts at a multiple of its length."""
    with pytest.raises(ValidationError, match=fault):
        RateContribution(**(RATE | fields))


def test_a_total_has_an_empty_key() -> None:
    """The series without dimensions is called total and has the empty key; empty values are values."""
    assert RateContribution(**(RATE | {"series": "total", "key": ()})).key == ()
    assert RateContribution(**RATE).key == ("chat", "")


def test_a_contribution_carries_every_measure() -> None:
    """Each measure is a field, in the same order; money is text in USD there and picodollars inside."""
    fields = list(RateContribution.model_fields)
    assert [name.replace("cost_usd", "cost_picodollars") for name in fields[9:]] == list(MEASURES)
    assert set(LEAVES) < set(MEASURES)


def test_no_two_default_series_share_a_name() -> None:
    """A series' name alone tells its dimensions and its panes apart from all others."""
    names = [series.name for series in DEFAULT_SERIES]
    assert len(set(names)) == len(names)
    assert names[:2] == ["total", "environment"]


@pytest.mark.parametrize(
    "model", [RateContribution, RejectedEvent, Alert, SeqGap, SourceGaps, SourcePosition, PriceEdition]
)
def test_every_field_is_described(model: type[BaseModel]) -> None:
    """Each field says what it means: the JSON Schema is made of it."""
    assert [name for name, field in model.model_fields.items() if not field.description] == []


@given(st.sampled_from(["a/b+c:1", "é:16384"]), st.integers(0, 2**50), st.text(min_size=1), st.integers(0, 65_535))
def test_a_key_is_read_as_it_was_written(stream: str, block: int, source: str, edition: int) -> None:
    """Both kinds of keys of usage.positions come back as they were, whatever the names hold, and stay apart."""
    for key in (PositionKey(stream, block, source), EditionKey(stream, edition)):
        assert read_key(key.encode()) == key
        assert type(read_key(key.encode())) is type(key)


@pytest.mark.parametrize(
    "key",
    [None, b"", b"{", b'["s"]', b'["s:1",1,2]', b'["s:1","novel",2]', b'["s:1",true,"a"]', b'["s",1,"a"]'],
)
def test_a_foreign_key_is_none(key: bytes | None) -> None:
    """What is no key of ours is told apart instead of guessed at."""
    assert read_key(key) is None
