"""Is the quick way of writing an event the authority's, byte for byte, wherever it claims to know?"""

import json
from datetime import UTC, datetime, timedelta, timezone
from enum import IntEnum, StrEnum
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.producers import CALL
from tests.strategies import event_fields, names

from spendgauge.producers.invalid import InvalidEventError
from spendgauge.producers.lane import Lane
from spendgauge.producers.shorthand import Shorthand
from spendgauge.schemas import LEAVES, UsageEvent
from spendgauge.schemas.events import MAX_TOKENS
from spendgauge.schemas.lines import event_line

ID = "0190c5b0-3d6e-7c41-9f0e-2a6f1d0b7e55"
NOW_MS = 1_800_000_000_007
SOURCE = 'a"p\u00ef@h#1'
DEFAULTS = {"service": "api", "team": "search"}
SHORTHAND = Shorthand(frozenset(DEFAULTS))


def quick(fields: dict[str, Any], *, now_ms: int = NOW_MS) -> bytes | None:
    """Write an event the quick way, where that can be."""
    values = {**DEFAULTS, **fields}
    return SHORTHAND.line(values, event_id=ID, source_json=json.dumps(SOURCE, ensure_ascii=False), seq=7, now_ms=now_ms)


def by_authority(fields: dict[str, Any], *, now_ms: int = NOW_MS) -> bytes | None:
    """Have the same event validated and written by pydantic; None where it is refused."""
    lane = Lane(SOURCE, defaults=DEFAULTS, max_events=1, max_bytes=1)
    lane.skip(7)
    try:
        return event_line(lane.event((ID, now_ms, fields)))
    except (InvalidEventError, ValueError):
        return None


class Text(StrEnum):
    """A text that is more than a text."""

    OK = "ok"


class Number(IntEnum):
    """A number that is more than a number."""

    ONE = 1


EDGES: Final[list[Any]] = [
    *(None, True, False, -1, 0, 1, 1.0, 0.5, 2**31 - 1, 2**31, 1_000_000, 1_000_001, MAX_TOKENS, MAX_TOKENS + 1),
    *(8 * MAX_TOKENS, 8 * MAX_TOKENS + 1, 2**70, float("nan")),
    *("", "x", "ok", "standard", "provider", "exclusive", "chat", "x" * 64, "x" * 65, "x" * 256, "x" * 257),
    *(
        "\ud800",
        "a\ud800b",
        "\u00e9" * 256,
        "\U0001f600",
        "\x00\x1f\x7f\u2028\ufeff",
        '\\"/\b\f\n\r\t',
        Text.OK,
        Number.ONE,
    ),
    *(ID, ID.upper(), "00000000-0000-0000-0000-000000000000", f"{ID}\n", "2026-01-31T12:00:00Z"),
    *(
        datetime(2026, 1, 31, 12, 0, 0, 999_999, tzinfo=UTC),
        datetime(2026, 1, 31, tzinfo=UTC).replace(tzinfo=None),
        datetime(2019, 12, 31, tzinfo=UTC),
    ),
    *(datetime(2026, 1, 31, tzinfo=timezone(timedelta(hours=2))), datetime(2100, 1, 1, tzinfo=UTC)),
    *({}, {"a": "b"}, {"": "b"}, {"a": 1}, {"x" * 65: ""}, {"a": "x" * 257}, {"\ud800": ""}, []),
    *({f"{number}": "" for number in range(count)} for count in (16, 17)),
    {"x" * 60 + f"{number:02d}": "\U0001f600" * 256 for number in range(10)},
    *(b"x", "1", "1.0", "-1", "2026-01-31", {"a": True}),
]
ODD_TEXT = st.one_of(names, st.text(max_size=8))


@settings(deadline=None)
@given(
    fields=event_fields(),
    odd=st.dictionaries(
        st.sampled_from([*UsageEvent.model_fields, "prompt"]), st.one_of(st.sampled_from(EDGES), ODD_TEXT), max_size=3
    ),
    now_ms=st.one_of(st.just(NOW_MS), st.sampled_from([0, 1_577_836_799_999, 1_577_836_800_000, 4_102_444_800_000])),
)
def test_what_it_writes_is_what_the_authority_writes(fields: dict[str, Any], odd: dict[str, Any], now_ms: int) -> None:
    """Whatever is emitted: either nothing is claimed, or it is valid and its line is the authority's."""
    given = fields | odd
    line = quick(given, now_ms=now_ms)
    assert line is None or line == by_authority(given, now_ms=now_ms)


@pytest.mark.parametrize("name", [*UsageEvent.model_fields, "prompt"])
def test_no_field_is_judged_otherwise(name: str) -> None:
    """Whatever stands in one field, alone or beside those that it is looked at with: the verdict is the authority's."""
    for edge in EDGES:
        for beside in ({}, {"output_tokens": 1}, {"reasoning_tokens": 1, "output_tokens": 1}):
            given = {**CALL, **beside, name: edge}
            line = quick(given)
            assert line is None or line == by_authority(given), edge


PLAIN: dict[str, Any] = {
    **CALL,
    **dict.fromkeys(LEAVES, 3),
    **dict.fromkeys(("reasoning_tokens", "reported_total_tokens", "attempt", "latency_ms", "ttft_ms"), 2),
    **dict.fromkeys(("tenant", "team", "environment", "service", "feature", "agent", "operation"), "\u00e9"),
    **dict.fromkeys(("user_id", "session_id", "api_key_id", "entity_id", "request_model", "response_id"), '"'),
    "event_id": "0190c5b0-3d6e-7c41-9f0e-2a6f1d0b7e56",
    "occurred_at": datetime(2026, 1, 31, 12, 0, 0, 999_999, tzinfo=UTC),
    "started_at": datetime(2026, 1, 31, tzinfo=UTC),
    "service_tier": "batch",
    "usage_source": "estimated",
    "usage_convention": "inclusive",
    "status": "error",
    "error_type": "timeout",
    "tags": {"a": "b", "c": ""},
}


@settings(deadline=None)
@given(left_out=st.sets(st.sampled_from(sorted(set(PLAIN) - {"provider", "model", "output_tokens"}))), data=st.data())
def test_plain_events_are_written_the_quick_way(left_out: set[str], data: st.DataObject) -> None:
    """Any choice of fields with plain values, in any order, is written without asking the authority."""
    given = {name: PLAIN[name] for name in data.draw(st.permutations(sorted(PLAIN))) if name not in left_out}
    line = quick(given)
    assert line is not None
    assert line == by_authority(given)


@pytest.mark.parametrize("name", sorted(set(UsageEvent.model_fields) - {"source", "seq", "kind", "adjusts"}))
def test_defaults_are_left_out(name: str) -> None:
    """A field that holds its default, or None where that counts as not given, does not make the line longer."""
    default = UsageEvent.model_fields[name].default
    if name in CALL or UsageEvent.model_fields[name].is_required():
        assert quick({**CALL, name: None}) == by_authority({**CALL, name: None})
        return
    for value in (default, None):
        assert quick({**CALL, name: value}) in (by_authority({**CALL, name: value}), None)
    assert by_authority({**CALL, name: default}) == by_authority(CALL) or name in DEFAULTS
