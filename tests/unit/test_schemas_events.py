"""What must be true of a usage event, however it is made?"""

import json
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from pydantic import ValidationError
from tests.strategies import usage_events

from spendgauge.schemas import DIMENSIONS, LEAVES, UsageEvent
from spendgauge.schemas.events import MAX_EVENT_BYTES, MAX_TOKENS
from spendgauge.schemas.lines import event_line

AN_ID = "0190c5b0-3d6e-7c41-9f0e-2a6f1d0b7e55"
ANOTHER_ID = "0190c5b0-3d6e-7c41-9f0e-2a6f1d0b7e56"
NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
REQUIRED: dict[str, Any] = {"event_id": AN_ID, "occurred_at": NOON, "provider": "openai", "model": "gpt-5"}


def event(**fields: Any) -> UsageEvent:
    """Make an event of the required fields and these."""
    return UsageEvent(**(REQUIRED | fields))


@settings(max_examples=100, deadline=None)
@given(usage_events())
def test_a_line_is_read_back_as_it_was_written(sent: UsageEvent) -> None:
    """Writing an event as a line and reading the line gives an equal event."""
    assert UsageEvent.model_validate_json(event_line(sent)) == sent


@settings(max_examples=50, deadline=None)
@given(usage_events())
def test_a_line_is_one_line_of_ascii_structure(sent: UsageEvent) -> None:
    """A line holds no newline, whatever the names hold, and names no field that has its default."""
    line = event_line(sent)
    assert b"\n" not in line
    document = json.loads(line)
    defaults = {name: field.get_default() for name, field in UsageEvent.model_fields.items() if not field.is_required()}
    assert not [name for name in document if name in defaults and getattr(sent, name) == defaults[name]]


def test_a_line_is_written_like_this() -> None:
    """A plain event is written compactly, in the model's order, times in UTC with milliseconds, money as text."""
    line = event_line(event(input_tokens=7, tags={"b": "é"}, reported_cost_usd=Decimal("0.010"), tenant=""))
    assert line.decode() == (
        f'{{"event_id":"{AN_ID}","occurred_at":"2026-01-31T12:00:00.000Z","provider":"openai","model":"gpt-5",'
        '"input_tokens":7,"tags":{"b":"é"},"reported_cost_usd":"0.010"}'
    )


def test_a_line_that_consumers_would_reject_is_not_written() -> None:
    """An event beyond 8 KiB raises in the producer, which names its size and the limit."""
    tags = {f"{number}": "é" * 256 for number in range(16)}
    assert len(event_line(event(tags={**tags, "15": "é" * 20}))) <= MAX_EVENT_BYTES
    with pytest.raises(ValueError, match=rf"event {AN_ID} has 8\d\d\d bytes as JSON, and at most 8192 are accepted"):
        event_line(event(tags=tags, tenant="x" * 100))


def test_an_event_cannot_be_changed() -> None:
    """The ledger is append-only: a field of an event cannot be set."""
    with pytest.raises(ValidationError, match="frozen"):
        setattr(event(), "input_tokens", 5)  # noqa: B010  # as a caller would, unseen by the type checker


def test_defaults_say_that_nothing_is_known() -> None:
    """What is not given is zero tokens, empty names, and null where zero would be a claim."""
    plain = event()
    assert {getattr(plain, name) for name in LEAVES} == {0}
    assert {getattr(plain, name) for name in DIMENSIONS} == {""}
    nullable = ("seq", "adjusts", "started_at", "latency_ms", "ttft_ms", "quality_score", "reported_cost_usd")
    assert {getattr(plain, name) for name in nullable} == {None}


@pytest.mark.parametrize("name", DIMENSIONS)
def test_null_and_empty_both_mean_not_given(name: str) -> None:
    """A dimension given as null is the empty string."""
    assert getattr(event(**{name: None}), name) == ""


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (datetime(2026, 1, 31, 12, 0, 0, 999_999, tzinfo=UTC), datetime(2026, 1, 31, 12, 0, 0, 999_000, tzinfo=UTC)),
        (datetime(2026, 1, 31, 13, tzinfo=timezone(timedelta(hours=1))), NOON),
        ("2026-01-31T12:00:00Z", NOON),
        ("2026-01-31T07:00:00-05:00", NOON),
        ("2026-01-31T12:00:00.0009Z", NOON),
        ("2026-01-31T12:00:00.123456789Z", NOON + timedelta(milliseconds=123)),
        ("2020-01-01T00:30:00+01:00", None),
        ("2020-01-01T00:00:00Z", datetime(2020, 1, 1, tzinfo=UTC)),
        ("2099-12-31T23:59:59.999999Z", datetime(2099, 12, 31, 23, 59, 59, 999_000, tzinfo=UTC)),
        ("2100-01-01T00:00:00Z", None),
        ("2026-02-29T00:00:00Z", None),
        ("2026-01-31T24:00:00Z", None),
        ("2026-01-31T12:00:60Z", None),
        ("2026-01-31T12:00:00", None),
        ("2026-01-31", None),
        ("1769860800", None),
        (datetime(2026, 1, 31, 12), None),  # noqa: DTZ001  # naive: that is the test
        (1_769_860_800, None),
    ],
)
def test_times_are_utc_milliseconds(given: object, kept: datetime | None) -> None:
    """A time is cut, never rounded, to a millisecond in UTC; without a zone, or as a number, it is refused."""
    if kept is None:
        with pytest.raises(ValidationError):
            event(occurred_at=given)
    else:
        assert event(occurred_at=given).occurred_at == kept
        assert event(occurred_at=given).occurred_at.tzinfo is UTC


def test_ids_have_one_spelling() -> None:
    """An id in upper case or as a UUID object is kept in lower case; the nil UUID and other spellings are refused."""
    assert event(event_id=AN_ID.upper()).event_id == event(event_id=UUID(AN_ID)).event_id == AN_ID
    for wrong in (
        "00000000-0000-0000-0000-000000000000",
        AN_ID.replace("-", ""),
        f"{{{AN_ID}}}",
        f"urn:uuid:{AN_ID}",
        "",
    ):
        with pytest.raises(ValidationError):
            event(event_id=wrong)


@pytest.mark.parametrize("name", [*LEAVES, "reasoning_tokens", "reported_total_tokens"])
def test_only_an_adjustment_is_negative(name: str) -> None:
    """A usage event with a negative count is refused by name; an adjustment may take it away."""
    with pytest.raises(ValidationError, match=f"{name} -1 must be >= 0; only an adjustment may be negative"):
        event(**{name: -1})
    assert getattr(event(kind="adjustment", adjusts=ANOTHER_ID, **{name: -1}), name) == -1


def test_a_provider_does_not_pay_for_a_call() -> None:
    """A reported cost below zero belongs to an adjustment."""
    with pytest.raises(ValidationError, match=r"reported_cost_usd -0\.01 must be >= 0"):
        event(reported_cost_usd="-0.01")
    refund = event(kind="adjustment", adjusts=ANOTHER_ID, reported_cost_usd="-0.01")
    assert refund.reported_cost_usd == Decimal("-0.01")


@pytest.mark.parametrize(
    ("fields", "fault"),
    [
        ({"kind": "adjustment"}, "must say in adjusts which event it corrects"),
        ({"kind": "adjustment", "adjusts": AN_ID}, "adjusts must differ from event_id"),
        ({"adjusts": ANOTHER_ID}, "adjusts belongs to an adjustment"),
        ({"output_tokens": 5, "reasoning_tokens": 6}, "reasoning_tokens 6 are part of output_tokens 5"),
        ({"seq": 0}, "seq 0 counts the events of a source"),
        ({"input_tokens": MAX_TOKENS + 1}, "less than or equal to 100000000"),
        ({"input_tokens": 1.0}, "valid integer"),
        ({"quality_score": float("nan")}, "finite"),
        ({"provider": ""}, "at least 1 character"),
        ({"tenant": "x" * 257}, "at most 256 characters"),
        ({"tags": {str(number): "" for number in range(17)}}, "at most 16 items"),
        ({"reported_cost_usd": 0.01}, "write a decimal string"),
        ({"reported_cost_usd": Decimal("NaN")}, "write a decimal string"),
        ({"prompt": "hello"}, "Extra inputs are not permitted"),
    ],
)
def test_what_contradicts_itself_is_refused(fields: dict[str, Any], fault: str) -> None:
    """An event that breaks a rule is refused, and the error says which rule."""
    with pytest.raises(ValidationError, match=fault):
        event(**fields)


def test_a_wrong_value_is_not_repeated_at_length() -> None:
    """An error of ours shows the first characters of a value only: it may be a prompt in the wrong field."""
    with pytest.raises(ValidationError) as refused:
        event(occurred_at="secret " * 100)
    assert len(refused.value.errors()[0]["msg"]) < 160


def test_every_field_is_described() -> None:
    """Each field says what it means: the page and the JSON Schema are made of it."""
    assert [name for name, field in UsageEvent.model_fields.items() if not field.description] == []
