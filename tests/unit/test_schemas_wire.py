"""What must be true of contributions, rejects and alerts on the wire?"""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from spendgauge.schemas import DEFAULT_SERIES, LEAVES, MEASURES, Alert, RateContribution, RejectedEvent

COUNTS = dict.fromkeys((*MEASURES[:-1],), 0)
RATE: dict[str, Any] = {
    "series": "feature+model",
    "key": ("chat", ""),
    "pane_start": 1_769_860_800,
    "pane_seconds": 10,
    "stream": "id:8",
    "partition": 0,
    "block": 0,
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
    assert [name.replace("cost_usd", "cost_picodollars") for name in fields[8:]] == list(MEASURES)
    assert set(LEAVES) < set(MEASURES)


def test_no_two_default_series_share_a_name() -> None:
    """A series' name alone tells its dimensions and its panes apart from all others."""
    names = [series.name for series in DEFAULT_SERIES]
    assert len(set(names)) == len(names)
    assert names[:2] == ["total", "environment"]


@pytest.mark.parametrize("model", [RateContribution, RejectedEvent, Alert])
def test_every_field_is_described(model: type[RateContribution]) -> None:
    """Each field says what it means: the JSON Schema is made of it."""
    assert [name for name, field in model.model_fields.items() if not field.description] == []
