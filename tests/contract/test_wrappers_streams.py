"""What becomes of a stream that is not read to its end? An event all the same, with what was surely used."""

import gc
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import anthropic
import httpx2
import openai
import pytest
from tests.providers.server import SLOW_SECONDS, Played
from tests.tracked import CLAUDE, GPT, PROMPT, asked_of_claude, asked_of_gpt, claude, gpt

from spendgauge.producers import RecordingProducer
from spendgauge.producers.context import usage_context
from spendgauge.producers.wrappers import unobserved
from spendgauge.schemas import UsageEvent

WORDS = len(PROMPT.split())
ESTIMATED = -(-len(PROMPT) // 4)


def _only(producer: RecordingProducer) -> UsageEvent:
    gc.collect()
    (event,) = producer.events
    return event


def _leave(stream: Any) -> None:
    """Stop reading and drop the stream, without a word."""
    for number, _ in enumerate(stream):
        if number == 5:
            break


def _close(stream: Any) -> None:
    next(iter(stream))
    stream.close()


def _never_read(stream: Any) -> None:
    del stream


@pytest.mark.parametrize("way", [_leave, _close, _never_read])
def test_a_stream_that_is_left_is_cancelled(
    way: Callable[[Any], None], played: Played, producer: RecordingProducer
) -> None:
    """Closed, dropped or never read: the input is what the provider said or an estimate, and the status cancelled."""
    client = claude(played, producer, play="stall")
    way(client.messages.create(stream=True, **asked_of_claude()))
    event = _only(producer)
    assert (event.status, event.usage_source, event.error_type) == ("cancelled", "estimated", "")
    assert event.input_tokens == (ESTIMATED if way is _never_read else WORDS)
    assert event.output_tokens >= {"_leave": 5, "_close": 1, "_never_read": 0}[way.__name__]
    assert unobserved(client) == 0


def test_a_stream_that_was_complete_is_not_cancelled(played: Played, producer: RecordingProducer) -> None:
    """Who closes a stream after its last event has read all of it."""
    for event in (stream := claude(played, producer).messages.create(stream=True, **asked_of_claude())):
        if event.type == "message_stop":
            stream.close()
            break
    assert (_only(producer).status, producer.events[0].output_tokens) == ("ok", 9)


@pytest.mark.parametrize(("how", "kind"), [("cut", "connection"), ("end", "incomplete"), ("fail", "overloaded_error")])
def test_a_stream_that_fails_says_why(how: str, kind: str, played: Played, producer: RecordingProducer) -> None:
    """A broken connection, an early end and an error event are errors; what had come is counted."""
    stream = claude(played, producer, play=how).messages.create(stream=True, **asked_of_claude())
    _read_what_comes(stream, anthropic.APIError)
    event = _only(producer)
    assert (event.status, event.error_type, event.usage_source) == ("error", kind, "estimated")
    assert (event.input_tokens, event.model) == (WORDS, CLAUDE)
    assert 0 < event.output_tokens < 9


@pytest.mark.parametrize(("how", "kind"), [("cut", "connection"), ("end", "incomplete"), ("fail", "server_error")])
def test_a_stream_of_chunks_that_fails_says_why(
    how: str, kind: str, played: Played, producer: RecordingProducer
) -> None:
    """The same for OpenAI's chunks, whose usage would have come at the very end."""
    stream = gpt(played, producer, play=how).chat.completions.create(stream=True, **asked_of_gpt())
    _read_what_comes(stream, openai.APIError)
    event = _only(producer)
    assert (event.status, event.error_type, event.usage_source) == ("error", kind, "estimated")
    assert (event.input_tokens, event.model) == (ESTIMATED, GPT)
    assert event.output_tokens > 0


def _read_what_comes(stream: Any, error: type[Exception]) -> None:
    """Read a stream until it ends, or fails: as this SDK's do, or with the HTTP library's own error."""
    with suppress(error, httpx2.TransportError):
        for _ in stream:
            pass


def test_chunks_without_usage_are_estimated(played: Played, producer: RecordingProducer) -> None:
    """OpenAI counts a stream of chunks only if asked; else four characters are a token, and the event says so."""
    chunks = list(gpt(played, producer).chat.completions.create(stream=True, **asked_of_gpt()))
    said = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    event = _only(producer)
    assert (event.status, event.usage_source, event.response_id) == ("ok", "estimated", chunks[0].id)
    assert (event.input_tokens, event.output_tokens) == (ESTIMATED, -(-len(said) // 4))


@pytest.mark.parametrize("options", [{}, {"stream_options": {"include_obfuscation": False}}])
def test_usage_can_be_asked_for(options: dict[str, Any], played: Played, producer: RecordingProducer) -> None:
    """With ``ask_for_usage`` the provider counts, and the rest of the request is what the caller wrote."""
    client = gpt(played, producer, ask_for_usage=True)
    chunks = list(client.chat.completions.create(stream=True, **options, **asked_of_gpt()))
    assert chunks[-1].choices == []
    event = _only(producer)
    assert (event.usage_source, event.input_tokens + event.cache_read_tokens) == ("provider", WORDS)
    asked = dict(played.bodies[0])
    assert asked.pop("stream_options") == {"include_usage": True, **options.get("stream_options", {})}
    assert asked == {"stream": True, **asked_of_gpt()}


@pytest.mark.parametrize("wish", [True, False])
def test_what_the_caller_wants_stands(wish: bool, played: Played, producer: RecordingProducer) -> None:
    """Who has said whether usage shall come is not asked again, and other requests are left alone."""
    client = gpt(played, producer, ask_for_usage=True)
    list(client.chat.completions.create(stream=True, stream_options={"include_usage": wish}, **asked_of_gpt()))
    client.chat.completions.create(**asked_of_gpt())
    assert played.bodies[0]["stream_options"] == {"include_usage": wish}
    assert "stream_options" not in played.bodies[1]
    assert [event.usage_source for event in producer.events] == ["provider" if wish else "estimated", "provider"]


def test_the_first_token_has_its_time(played: Played, producer: RecordingProducer) -> None:
    """The time to the first token is that of the first text, not of the headers, and is within the whole."""
    list(claude(played, producer, play="slow").messages.create(stream=True, **asked_of_claude()))
    event = _only(producer)
    assert event.ttft_ms is not None
    assert event.latency_ms is not None
    assert SLOW_SECONDS * 1000 <= event.ttft_ms <= event.latency_ms
    assert event.started_at is not None
    assert event.started_at <= event.occurred_at


def test_an_event_belongs_to_whoever_asked(played: Played, producer: RecordingProducer) -> None:
    """Where the end of a stream is noticed in somebody else's context, the event is still its asker's."""
    with usage_context(user_id="alice", session_id="one"):
        stream = claude(played, producer).messages.create(stream=True, **asked_of_claude())
    with usage_context(user_id="bob", tags={"plan": "free"}, entity_id="ticket-1"):
        list(stream)
    event = _only(producer)
    assert (event.user_id, event.session_id, event.entity_id, event.tags) == ("alice", "one", "", {})
