"""Do the adapters keep their promises whatever they are given? Nothing raises, nothing is negative, no text gets in."""

import ast
import json
import subprocess
import sys
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum
from types import SimpleNamespace
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.adapters import CASES, Case
from tests.rooms import modules

from spendgauge.producers import RecordingProducer, adapters
from spendgauge.producers.adapters import (
    AnthropicStream,
    ClaudeAgentUsage,
    OpenAIStream,
    anthropic_events,
    claude_agent_events,
    estimate_tokens,
    litellm_events,
    openai_events,
    otel_events,
    with_own,
)
from spendgauge.producers.adapters.leaves import TOKEN_LEAVES, input_leaves, output_leaves
from spendgauge.producers.adapters.reading import Counts, amount_usd, field, identifier, label, moment

PEOPLES_NAMES: Final = {"tenant", "team", "environment", "service", "agent", "user_id", "session_id", "api_key_id"}
"""Fields that hold names as people give them, blanks and all."""

CONTENT: Final = {"text", "content", "message", "messages", "result", "query", "url", "error_str", "traceback", "delta"}
"""Members that hold what was said, asked or searched, in one provider's objects or another's."""

OPEN: Final = {"modelUsage", "attributes", "resource"}
"""Members whose names are data: models, and attributes."""

cases = st.sampled_from(CASES)
texts = st.text(min_size=1, max_size=40).map(lambda text: f"Dear {text}")
counts = st.integers(0, 10_000)
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=8),
    st.just("9" * 400),
    st.sampled_from([10**400, 10**8, 10**9, -1, 0, 1e300]),
)
anything = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner)
)


def _tokens(fields: dict[str, Any]) -> int:
    return sum(fields.get(name, 0) for name in TOKEN_LEAVES)


def _changed(draw: st.DrawFn, value: Any, share: int) -> Any:
    """Replace about one in ``share`` of an object's values with anything at all."""
    if draw(st.integers(1, share)) == 1:
        return draw(anything)
    if isinstance(value, list):
        return [_changed(draw, entry, share) for entry in value]
    if isinstance(value, dict):
        return {name: _changed(draw, entry, share) for name, entry in value.items()}
    return value


@st.composite
def spoiled_cases(draw: st.DrawFn) -> tuple[Case, Any]:
    """Draw a case, and its input with some values replaced by nonsense."""
    case = draw(cases)
    given_ = case.document["input"]
    if isinstance(given_, list):
        return case, [_changed(draw, entry, 12) for entry in given_]
    return case, _changed(draw, given_, 12)


@settings(max_examples=400, deadline=None)
@given(spoiled_cases())
def test_nothing_raises_and_all_is_valid(spoiled: tuple[Case, Any]) -> None:
    """Whatever stands in whichever field, an adapter raises nothing and gives valid events or none."""
    case, given_ = spoiled
    producer = RecordingProducer()
    for fields in case.run(given_ if given_ is not None else {}):
        assert producer.emit(**fields) is not None, producer.invalid
    assert all(getattr(event, name) >= 0 for event in producer.events for name in TOKEN_LEAVES)


def _with_unknown(value: Any, text: str) -> Any:
    if isinstance(value, list):
        return [_with_unknown(entry, text) for entry in value]
    if not isinstance(value, dict):
        return value
    kept = {name: entry if name in OPEN else _with_unknown(entry, text) for name, entry in value.items()}
    said = {name: text for name, entry in kept.items() if name in CONTENT and isinstance(entry, str)}
    return kept | said | {"a_field_of_tomorrow": text, "prompt": text, "system": [{"type": "text", "text": text}]}


def _length_counts(case: Case) -> bool:
    """Say whether the case is estimated from the length of what was said."""
    return any(fields.get("usage_source") == "estimated" for fields in case.expected)


@settings(max_examples=10)
@given(texts)
def test_what_was_said_changes_nothing(text: str) -> None:
    """Text in content, and in fields that nobody knows yet, changes no event: there is no way in for it."""
    for case in CASES:
        if not _length_counts(case):
            assert case.run(_with_unknown(case.document["input"], text)) == case.run(), case.label


def _overwritten(value: Any, text: str) -> Any:
    if isinstance(value, list):
        return [_overwritten(entry, text) for entry in value]
    if isinstance(value, dict):
        return {name: _overwritten(entry, text) for name, entry in value.items()}
    return text if isinstance(value, str) else value


@settings(max_examples=10)
@given(texts)
def test_a_sentence_is_no_name(text: str) -> None:
    """A sentence where a model, an id, a tier or an error's type should be is dropped, not passed on."""
    for case in CASES:
        for fields in case.run(_overwritten(case.document["input"], text)):
            passed_on = {name: value for name, value in fields.items() if name not in PEOPLES_NAMES}
            assert text not in json.dumps(passed_on, default=str, ensure_ascii=False), case.label
            assert all("\n" not in fields.get(name, "") for name in PEOPLES_NAMES)


@given(counts, counts, st.tuples(counts, counts), counts)
def test_an_input_is_the_sum_of_its_parts(whole: int, read: int, write: tuple[int, int], audio: int) -> None:
    """Leaves are never negative, add up to the whole, and no part is more than was reported of it."""
    seen = Counts()
    leaves = input_leaves(whole, seen, read=read, write=write, audio=audio)
    assert sum(leaves.values()) == whole
    assert min(leaves.values()) >= 0
    assert leaves["cache_read_tokens"] <= read
    assert leaves["input_audio_tokens"] <= audio
    assert ("capped" in seen.faults) is (read + sum(write) + audio > whole)


@given(counts, counts, counts)
def test_reasoning_is_part_of_the_output(whole: int, audio: int, reasoning: int) -> None:
    """Output and its audio add up to the whole, and reasoning is within the output of text."""
    leaves = output_leaves(whole, Counts(), audio=audio, reasoning=reasoning)
    assert leaves["output_tokens"] + leaves["output_audio_tokens"] == whole
    assert 0 <= leaves["reasoning_tokens"] <= leaves["output_tokens"]


@given(st.lists(st.tuples(counts, counts, counts), min_size=1, max_size=6))
def test_the_turns_of_a_session_add_up_to_its_totals(turns: list[tuple[int, int, int]]) -> None:
    """What ``ClaudeAgentUsage`` gives for the turns of a session is, in all, the running total of its last result."""
    usage, running, given_ = ClaudeAgentUsage(), [0, 0, 0], 0
    for turn in turns:
        running = [before + used for before, used in zip(running, turn, strict=True)]
        names = ("inputTokens", "outputTokens", "cacheReadInputTokens")
        models = {"claude-opus-5": dict(zip(names, running, strict=True))}
        given_ += sum(map(_tokens, usage.add({"session_id": "s", "modelUsage": models})))
    assert given_ == sum(running)


def test_sessions_are_told_apart_and_the_oldest_forgotten() -> None:
    """Each session has its own totals; after a thousand others one is forgotten, and would count anew."""
    usage = ClaudeAgentUsage()

    def tokens(session: str, total: int) -> int:
        result = {"session_id": session, "modelUsage": {"m": {"inputTokens": total}}}
        return sum(map(_tokens, usage.add(result)))

    assert [tokens("a", 10), tokens("b", 10), tokens("a", 15)] == [10, 10, 5]
    assert [tokens(f"s{number}", 1) for number in range(1_000)] == [1] * 1_000
    assert tokens("a", 20) == 20


@given(st.integers(0, 6))
def test_a_stream_can_be_asked_at_any_time(heard: int) -> None:
    """However little of a stream was heard, its input is exact, and its status says whether it is complete."""
    events = next(case for case in CASES if case.label == "anthropic: stream").document["input"]
    stream = AnthropicStream()
    for event in events[:heard]:
        stream.add(event)
    (fields,) = stream.events() or [{"input_tokens": 0, "status": "cancelled"}]
    assert fields["input_tokens"] == (25 if heard else 0)
    assert fields.get("status", "ok") == ("ok" if heard == len(events) else "cancelled")
    assert stream.characters == len("Hello!"[: 5 * (heard > 2) + (heard > 3)])


def test_a_cut_stream_says_how_much_was_said() -> None:
    """Where no usage came, the number of characters did: enough for an estimate."""
    stream = OpenAIStream()
    for said in ("Hello, ", "world"):
        stream.add({"object": "chat.completion.chunk", "choices": [{"delta": {"content": said}}]})
    assert stream.events() == []
    assert estimate_tokens(stream.characters) == 3


@pytest.mark.parametrize(
    ("text", "tokens"), [("", 0), ("a", 1), ("four", 1), ("fours", 2), (17, 5), (0, 0), (-1, 0), ("é" * 8, 2)]
)
def test_an_estimate_is_a_token_for_four_characters(text: str | int, tokens: int) -> None:
    """Four characters are a token, and a token begun is one."""
    assert estimate_tokens(text) == tokens


def test_a_callers_fields_win() -> None:
    """``with_own`` puts a caller's fields over an adapter's; None is not given; tags are kept side by side."""
    fields = {"model": "a", "feature": "b", "tags": {"usage_check": "capped"}}
    joined = with_own(fields, feature="triage", model=None, tags={"region": "eu"})
    assert joined == {"model": "a", "feature": "triage", "tags": {"region": "eu", "usage_check": "capped"}}
    assert with_own({"model": "a"}, feature="x") == {"model": "a", "feature": "x"}


def test_a_fault_never_costs_the_event() -> None:
    """Where a caller has all sixteen tags already, the fault is left out: seventeen would be invalid."""
    own = {f"t{number}": "x" for number in range(16)}
    assert with_own({"tags": {"usage_check": "capped"}}, tags=own)["tags"] == own


class _Sullen:
    """A value that cannot be written, hashed or compared."""

    def _refuse(self, *_: object) -> Any:
        raise RuntimeError("no")

    __str__ = __hash__ = __eq__ = __bool__ = __len__ = _refuse


def _everywhere(value: Any, plain: object) -> Any:
    if isinstance(value, list):
        return [_everywhere(entry, plain) for entry in value]
    if isinstance(value, dict):
        kept = {"type", "object"}  # they say which event of a stream it is
        return {name: entry if name in kept else _everywhere(entry, plain) for name, entry in value.items()}
    return plain


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.label)
@pytest.mark.parametrize("plain", [_Sullen(), "\ud800", 2, {}], ids=["sullen", "surrogate", "two", "object"])
def test_values_of_any_kind_are_borne(case: Case, plain: object) -> None:
    """Objects that raise at every touch, halves of characters, numbers for names: each is borne, in every field."""
    for fields in case.run(_everywhere(case.document["input"], plain)):
        assert RecordingProducer().emit(**fields)


STREAMED: Final = [case for case in CASES if isinstance(case.document["input"], list) and case.file != "claude_agent"]


@pytest.mark.parametrize("case", STREAMED, ids=lambda case: case.label)
def test_a_stream_keeps_no_text(case: Case) -> None:
    """What was said is not kept, not even in memory until the stream ends."""
    stream = getattr(adapters, case.document["call"])(**case.document.get("options", {}))
    for event in _said(case.document["input"], "Dear Sir or Madam"):
        stream.add(event)
    assert "Dear Sir" not in repr(vars(stream))


def _said(value: Any, text: str) -> Any:
    if isinstance(value, list):
        return [_said(entry, text) for entry in value]
    if not isinstance(value, dict):
        return value
    said = {name: text for name, entry in value.items() if name in CONTENT and isinstance(entry, str)}
    return {name: _said(entry, text) for name, entry in value.items()} | said


class _Rude:
    @property
    def usage(self) -> int:
        raise RuntimeError("no")


@pytest.mark.parametrize("foreign", [None, "a prompt", 7, [], {}, object(), _Rude(), {"usage": "a prompt"}])
def test_what_is_no_response_is_no_event(foreign: object) -> None:
    """Anything that is no response gives no event, and nothing is raised."""
    for read in (anthropic_events, openai_events, litellm_events, otel_events, claude_agent_events):
        assert read(foreign) == []


@pytest.mark.parametrize(
    ("given_", "read", "faults"),
    [
        (5, 5, set()),
        (5.0, 5, set()),
        ("5", 5, set()),
        (None, None, set()),
        (5.5, None, {"unreadable"}),
        (True, None, {"unreadable"}),
        ("five", None, {"unreadable"}),
        ([5], None, {"unreadable"}),
        (-1, 0, {"unreadable"}),
        (10**9, 10**8, {"unreadable"}),
        (float("nan"), None, {"unreadable"}),
    ],
)
def test_a_count_is_a_whole_number(given_: Any, read: int | None, faults: set[str]) -> None:
    """Whole numbers in any spelling are counts; all else is none, or the nearest that can be, and a fault."""
    seen = Counts({"n": given_})
    assert seen.read("n") == read
    assert seen.faults == faults


@pytest.mark.parametrize("name", ["gpt-5", "us.anthropic.claude:0", "models/gemini-2.5", "claude[1m]", "a" * 256])
def test_names_of_machines_pass(name: str) -> None:
    """Models, ids and ARNs pass as they are."""
    assert identifier(name) == name


@pytest.mark.parametrize("name", ["", "a b", "a\nb", "a" * 257, "-x", "é", 7, None, b"gpt"])
def test_what_may_be_a_text_is_no_identifier(name: object) -> None:
    """White space, other scripts and great length are dropped."""
    assert identifier(name) == ""


@pytest.mark.parametrize(("name", "kept"), [("Math Tutor", "Math Tutor"), ("a\nb", ""), ("a" * 257, ""), (7, "")])
def test_a_persons_name_is_one_short_line(name: object, kept: str) -> None:
    """Names that people give may have blanks, but only one line."""
    assert label(name) == kept


@pytest.mark.parametrize(
    ("given_", "amount"),
    [
        (0.1, Decimal("0.1")),
        ("0.0105", Decimal("0.0105")),
        (1e-13, Decimal(0)),
        (0, Decimal(0)),
        (-0.1, None),
        (1e6, None),
        (float("nan"), None),
        (float("inf"), None),
        ("free", None),
        (True, None),
        (None, None),
    ],
)
def test_an_amount_is_read_as_it_is_written(given_: Any, amount: Decimal | None) -> None:
    """An amount below a million is read digit by digit, to twelve decimals; anything else is none."""
    assert amount_usd(given_) == amount


@pytest.mark.parametrize(
    ("given_", "per_second", "at"),
    [
        (1793620800.25, 1, datetime(2026, 11, 2, 12, 0, 0, 250_000, UTC)),
        ("1793620800000000000", 10**9, datetime(2026, 11, 2, 12, tzinfo=UTC)),
        (0, 1, None),
        (10**30, 1, None),
        (float("inf"), 1, None),
        ("now", 1, None),
        (True, 1, None),
    ],
)
def test_a_moment_is_one_that_an_event_can_hold(given_: Any, per_second: int, at: datetime | None) -> None:
    """Seconds and nanoseconds since 1970 are read; what no event could hold is not given."""
    assert moment(given_, per_second=per_second) == at


class _Code(Enum):
    ERROR = 2


def test_an_sdks_span_is_read_as_otlp_is() -> None:
    """A span of OpenTelemetry's SDK, with its enumerations and integers, becomes the event of the same span in OTLP."""
    attributes = {"gen_ai.provider.name": "openai", "gen_ai.request.model": "gpt-5", "gen_ai.usage.input_tokens": 7}
    span = SimpleNamespace(
        attributes=attributes,
        start_time=1_793_620_800_000_000_000,
        end_time=1_793_620_801_000_000_000,
        status=SimpleNamespace(status_code=_Code.ERROR),
        context=SimpleNamespace(trace_id=7, span_id=8),
    )
    (fields,) = otel_events(span)
    assert (fields["input_tokens"], fields["status"], fields["latency_ms"]) == (7, "error", 1_000)
    assert field(span, "status", "status_code") == 2


@pytest.mark.parametrize("file", ["otel", "litellm", "claude_agent"])
def test_what_is_reported_twice_has_one_id(file: str) -> None:
    """A span, a payload or a result that comes twice has the same event id; each model of a result has its own."""
    for case in [case for case in CASES if case.file == file and case.expected]:
        once, again = ([fields["event_id"] for fields in case.run()] for _ in range(2))
        assert once == again
        assert len(set(once)) == len(once)


@pytest.mark.parametrize(
    ("file", "name", "other"), [("otel", "spanId", "00f067aa0ba902b7"), ("litellm", "startTime", 1793620802.0)]
)
def test_what_is_another_call_has_another_id(file: str, name: str, other: object) -> None:
    """Another span of a trace, and another attempt under one of LiteLLM's ids, is another event."""
    case = next(case for case in CASES if case.file == file and case.expected)
    first, second = (case.run(case.document["input"] | change)[0] for change in ({}, {name: other}))
    assert first["event_id"] != second["event_id"]


def test_no_sdk_is_imported() -> None:
    """Adapters import the standard library and our own schemas, nothing else."""
    ours = [module for module in modules("producers") if ".adapters" in module.name]
    assert len(ours) >= 12
    roots = {name.partition(".")[0] for module in ours for name in module.imports()}
    assert roots - set(sys.stdlib_module_names) == {"spendgauge"}
    rooms = {".".join(name.split(".")[:3]) for module in ours for name in module.imports() if "spendgauge" in name}
    schemas = {f"spendgauge.schemas.{name}" for name in ("events", "fields", "moments")}
    assert rooms <= {"spendgauge.producers.adapters", *schemas}


def test_adapters_are_imported_on_use() -> None:
    """Importing the room loads neither adapters nor wrappers: a service that needs none pays for none."""
    asked = "import sys, spendgauge.producers; print([name for name in sys.modules if name.startswith('spendgauge')])"
    done = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    loaded = ast.literal_eval(done.stdout)
    assert "spendgauge.producers.producer" in loaded
    assert [name for name in loaded if ".adapters" in name or ".wrappers" in name] == []
