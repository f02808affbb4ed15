"""Can what was asked or answered get out through a tracked client? Marked texts everywhere, and nothing of them comes
out: not in an event's bytes, not in a log line, not in a note on an exception."""

import json
import logging
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, Final

import anthropic
import httpx2
import openai
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.adapters import CASES, Case
from tests.providers import completions, messages

from spendgauge.producers import RecordingProducer
from spendgauge.producers.adapters import with_own
from spendgauge.producers.wrappers import track, track_messages

NAMES: Final = {
    # what an event takes over: which model, which answer, what kind of error
    "model", "id", "code", "service_tier", "status", "stop_reason", "finish_reason", "speed",
    # what kind of a thing an object is
    "type", "object", "role",
}  # fmt: skip
"""Members that hold a name of the protocol; all other texts may be somebody's words."""

IDENTIFYING: Final = {
    "user_id",
    "session_id",
    "tenant",
    "team",
    "agent",
    "api_key_id",
    "environment",
    "service",
    "feature",
}

marks = st.integers(0, 10**9).map(lambda number: f"MARK{number}END")
"""A text that would pass for a name wherever a name is taken, so that only its place can keep it out."""

statuses = st.sampled_from([200, 200, 200, 400, 429, 500])


def _marked(value: Any, mark: str) -> Any:
    """Put a mark in the place of every text that is no name of the protocol, and into a member that nobody knows."""
    if isinstance(value, list):
        return [_marked(entry, mark) for entry in value]
    if isinstance(value, dict):
        marked = {name: entry if name in NAMES else _marked(entry, mark) for name, entry in value.items()}
        return marked | {"unheard_of": mark}
    return mark if isinstance(value, str) else value


def _answer(api: Any, mark: str, status: int, form: str) -> Callable[[httpx2.Request], httpx2.Response]:
    """Play a provider whose every word is marked: its texts, its headers, its errors, and bodies that are no JSON."""
    headers = {"x-request-id": mark, "retry-after-ms": "1", "server": mark}

    def answer(request: httpx2.Request) -> httpx2.Response:
        if form == "garbage":
            return httpx2.Response(status, text=f"{{{mark}", headers=headers | {"content-type": "application/json"})
        if status != 200:
            error = _marked(api.error_body(status, mark), mark)
            return httpx2.Response(status, json=error, headers=headers)
        reply = api.answer(request.url.path, json.loads(request.content), counted=form != "bare")
        if reply.body:
            return httpx2.Response(200, json=_marked(reply.body, mark), headers=headers)
        shown = reply.events if form == "whole" else reply.events[: len(reply.events) // 2]
        lines = "".join(f"event: {name}\ndata: {json.dumps(_marked(data, mark))}\n\n" for name, data in shown)
        lines += f"event: error\ndata: {json.dumps(_marked(api.error_event(mark)[1], mark))}\n\n" * (form == "bare")
        return httpx2.Response(200, text=lines, headers=headers | {"content-type": "text/event-stream"})

    return answer


def _call_claude(http: httpx2.Client, producer: RecordingProducer, mark: str, *, stream: bool) -> None:
    client = track(
        anthropic.Anthropic(api_key=mark, http_client=http, max_retries=1, default_headers={"x-who": mark}),
        producer=producer,
    )
    answer = client.messages.create(
        model="claude-opus-5",
        max_tokens=9,
        system=mark,
        messages=[{"role": "user", "content": [{"type": "text", "text": mark}]}],
        metadata={"user_id": mark},
        tools=[{"name": mark, "description": mark, "input_schema": {"type": "object", "model": mark}}],
        stop_sequences=[mark],
        stream=stream,
    )
    if stream:
        list(answer)


def _call_openai(http: httpx2.Client, producer: RecordingProducer, mark: str, *, stream: bool) -> None:
    client = track(
        openai.OpenAI(api_key=mark, http_client=http, max_retries=1, organization=mark, project=mark),
        producer=producer,
        ask_for_usage=True,
    )
    asked: Any = {"model": "gpt-5-mini", "user": mark, "metadata": {mark: mark}, "stream": stream}
    answers: list[Callable[[], Any]] = [
        lambda: client.chat.completions.create(messages=[{"role": "user", "content": mark, "name": mark}], **asked),
        lambda: client.responses.create(input=mark, instructions=mark, safety_identifier=mark, **asked),
        lambda: [] if stream else client.embeddings.create(input=[mark], model="text-embedding-3-small", user=mark),
    ]
    for call in answers:
        with suppress(Exception):
            answer = call()
            if stream:
                list(answer)


class _Log(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.text = ""

    def emit(self, record: logging.LogRecord) -> None:
        """Keep our own lines; what the SDKs log is theirs."""
        if record.name.startswith("spendgauge"):
            self.text += self.format(record)


@pytest.fixture
def log() -> Iterator[_Log]:
    """Hear all that is logged, however quietly."""
    handler, root = _Log(), logging.getLogger("spendgauge")
    before = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield handler
    root.removeHandler(handler)
    root.setLevel(before)


def _all_of(producer: RecordingProducer) -> str:
    """Write down all that a producer has got, what it refused as well."""
    events = "".join(event.model_dump_json() for event in producer.events)
    return events + "".join(row.reason for row in producer.invalid)


@pytest.mark.parametrize("call", [_call_claude, _call_openai])
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(mark=marks, status=statuses, form=st.sampled_from(["whole", "cut", "bare", "garbage"]), stream=st.booleans())
def test_no_text_gets_through_a_tracked_client(
    call: Callable[..., None], log: _Log, mark: str, status: int, form: str, stream: bool
) -> None:
    """Of prompts, answers, tools, metadata, keys, headers and errors, nothing gets into an event, a log or a note."""
    producer = RecordingProducer()
    api = messages if call is _call_claude else completions
    notes: list[str] = []
    with httpx2.Client(transport=httpx2.MockTransport(_answer(api, mark, status, form))) as http:
        try:
            call(http, producer, mark, stream=stream)
        except Exception as error:  # noqa: BLE001 - whatever the SDK raises; only notes on it would be ours
            notes = getattr(error, "__notes__", [])
    counted = {(event.status, event.usage_source) for event in producer.events}
    assert counted
    if (status, form) == (200, "whole"):
        assert counted == {("ok", "provider")}
    assert producer.invalid == []
    assert mark not in _all_of(producer)
    assert mark not in log.text
    assert notes == []


@given(case=st.sampled_from(CASES), mark=marks)
@settings(max_examples=200, deadline=None)
def test_no_text_gets_through_an_adapter(case: Case, mark: str) -> None:
    """The same for every adapter, of every provider, with a mark in each place that is no name."""
    kept = NAMES | IDENTIFYING | _NAMES_OF_OTHERS
    producer = RecordingProducer()
    for fields in case.run(_marked_but(case.document["input"], mark, kept)):
        producer.emit(**with_own(fields, feature="triage"))
    assert mark not in _all_of(producer)


_NAMES_OF_OTHERS: Final = {
    "modelId", "modelVersion", "responseId", "request_model", "model_group", "custom_llm_provider", "call_type",
    "uuid", "session_id", "subtype", "terminal_reason", "provider", "canonicalModel", "trace_id", "RequestId",
    "error_class", "end_user", "traceId", "spanId", "key", "stringValue", "name", "trafficType", "serviceTier",
    "blockReason", "finishReason", "user_api_key_org_id", "user_api_key_org_alias", "user_api_key_team_alias",
    "user_api_key_team_id", "user_api_key_user_id", "user_api_key_alias", "user_api_key_hash", "ttl", "modality",
}  # fmt: skip
"""Names that other formats hold; what they hold is documented as going into the event."""


def _marked_but(value: Any, mark: str, kept: set[str]) -> Any:
    if isinstance(value, list):
        return [_marked_but(entry, mark, kept) for entry in value]
    if isinstance(value, dict):
        open_ = "attributes" in value or "modelUsage" in value
        marked = {
            name: entry if name in kept or name == "attributes" else _marked_but(entry, mark, kept)
            for name, entry in value.items()
        }
        return marked if open_ else marked | {"unheard_of": mark}
    return mark if isinstance(value, str) else value


@given(words=st.text(min_size=1, max_size=40).map(lambda text: f"Dear {text}"), status=statuses)
@settings(max_examples=60, deadline=None)
def test_a_sentence_in_the_place_of_a_name_is_dropped(words: str, status: int) -> None:
    """A prompt that stands where a model, an id or an error's code should is no name, and does not get through."""

    def answer(_: httpx2.Request) -> httpx2.Response:
        usage = {"input_tokens": 3, "output_tokens": 4}
        body = {"id": words, "model": words, "type": "message", "role": "assistant", "content": [], "usage": usage}
        error = {"type": "error", "error": {"type": words, "message": words}}
        return httpx2.Response(status, json=body if status == 200 else error)

    producer = RecordingProducer()
    with httpx2.Client(transport=httpx2.MockTransport(answer)) as http:
        client = track(anthropic.Anthropic(api_key="k", http_client=http, max_retries=0), producer=producer)
        with suppress(anthropic.APIStatusError):
            client.messages.create(model=words, max_tokens=9, messages=[{"role": "user", "content": words}])
    (event,) = producer.events
    assert (event.model, event.request_model, event.response_id) == ("unknown", "", "")
    assert json.dumps(words)[1:-1] not in event.model_dump_json()


@given(mark=marks)
@settings(max_examples=20, deadline=None)
def test_no_text_gets_through_an_agents_messages(mark: str) -> None:
    """Of an agent's messages only the counts of its results are taken, and every message is passed on as it is."""
    import asyncio

    usage = {"claude-opus-5": {"inputTokens": 7, "outputTokens": 9}}
    sent = [
        {"type": "assistant", "message": {"content": mark, "usage": {"input_tokens": 1}}},
        {
            "type": "result",
            "subtype": "success",
            "num_turns": 1,
            "result": mark,
            "session_id": "s",
            "modelUsage": usage,
        },
    ]

    async def messages_() -> Any:
        for message in sent:
            yield message

    async def run() -> None:
        producer = RecordingProducer()
        passed = [message async for message in track_messages(messages_(), producer=producer, feature="triage")]
        assert all(one is other for one, other in zip(passed, sent, strict=True))
        (event,) = producer.events
        assert (event.input_tokens, event.output_tokens, event.feature) == (7, 9, "triage")
        assert mark not in _all_of(producer)

    asyncio.run(run())
