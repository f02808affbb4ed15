"""Does a tracked client count each call, however it is made, and is it otherwise the client that it was?"""

import gc
import logging
from typing import Any

import anthropic
import httpx2
import openai
import pytest
from tests.providers.server import Played
from tests.tracked import (
    CLAUDE,
    GPT,
    PROMPT,
    Way,
    anthropic_ways,
    asked_of_claude,
    asked_of_gpt,
    claude,
    gpt,
    openai_ways,
    tokens,
    tokens_served,
)

from spendgauge.producers import RecordingProducer
from spendgauge.producers.context import usage_context
from spendgauge.producers.wrappers import track, unobserved
from spendgauge.producers.wrappers.readers import BodyReader
from spendgauge.schemas import ConfigurationError

WORDS = len(PROMPT.split())


@pytest.mark.parametrize("way", anthropic_ways().values(), ids=anthropic_ways())
def test_each_way_to_call_claude_is_one_event(way: Way, played: Played, producer: RecordingProducer) -> None:
    """Whichever method makes the call, it is one event with the provider's counts, and nothing was unobserved."""
    client = claude(played, producer)
    way(client)
    (event,) = producer.events
    assert (event.input_tokens, event.output_tokens) == (WORDS, 9)
    assert (event.provider, event.model, event.request_model) == ("anthropic", CLAUDE, CLAUDE)
    assert (event.status, event.usage_source, event.attempt, event.feature) == ("ok", "provider", 1, "triage")
    assert event.response_id.startswith("msg_")
    assert event.latency_ms is not None
    assert tokens([event]) == tokens_served(played)
    assert unobserved(client) == 0


@pytest.mark.parametrize("way", openai_ways().values(), ids=openai_ways())
def test_each_way_to_call_openai_is_one_event(way: Way, played: Played, producer: RecordingProducer) -> None:
    """The same for OpenAI, whose input includes what was read from the cache."""
    client = gpt(played, producer)
    way(client)
    (event,) = producer.events
    (served,) = played.served
    prompt = served.usage.get("prompt_tokens", served.usage.get("input_tokens"))
    assert event.input_tokens + event.cache_read_tokens == prompt
    assert (event.provider, event.model, event.status, event.usage_source) == ("openai", GPT, "ok", "provider")
    assert event.operation == ("embeddings" if "embeddings" in served.path else "chat")
    assert event.reported_total_tokens == tokens([event]) == tokens_served(played)
    assert unobserved(client) == 0


def test_what_is_read_from_the_cache_has_its_own_leaf(played: Played, producer: RecordingProducer) -> None:
    """Anthropic counts cached input beside the other; both are kept apart, and their sum is the server's."""
    system = [{"type": "text", "text": "you are kind and brief", "cache_control": {"type": "ephemeral"}}]
    claude(played, producer).messages.create(**asked_of_claude(system=system))
    (event,) = producer.events
    assert (event.input_tokens, event.cache_read_tokens, event.output_tokens) == (WORDS, 5, 9)


def test_a_compressed_answer_is_read(played: Played, producer: RecordingProducer) -> None:
    """Compression of streams and of whole answers is undone for us as it is for the caller."""
    client = claude(played, producer, play="gzip")
    client.messages.create(**asked_of_claude())
    assert len(list(client.messages.create(stream=True, **asked_of_claude()))) > 9
    with client.messages.with_streaming_response.create(**asked_of_claude()) as response:
        assert response.read()
    assert [(event.output_tokens, event.usage_source) for event in producer.events] == [(9, "provider")] * 3
    assert unobserved(client) == 0


def test_other_requests_are_no_events(played: Played, producer: RecordingProducer) -> None:
    """Counting tokens, listing models and whatever else is no call to a model makes no event."""
    client = claude(played, producer, max_retries=0)
    with pytest.raises(anthropic.NotFoundError):
        client.messages.count_tokens(model=CLAUDE, messages=[])
    with pytest.raises(anthropic.APIStatusError):
        client.models.list()
    assert producer.events == []


def test_each_attempt_is_an_event(played: Played, producer: RecordingProducer) -> None:
    """Attempts that were refused cost nothing and say why; each repetition names its call's first attempt."""
    claude(played, producer, play="429,529,ok").messages.create(**asked_of_claude())
    claude(played, producer).messages.create(**asked_of_claude())
    kinds = [(event.attempt, event.status, event.error_type, tokens([event])) for event in producer.events]
    whole = WORDS + 9
    assert kinds[:3] == [(1, "error", "rate_limit_error", 0), (2, "error", "overloaded_error", 0), (3, "ok", "", whole)]
    assert kinds[3] == (1, "ok", "", whole)
    first = producer.events[0].event_id
    assert [event.tags.get("retry_of") for event in producer.events] == [None, first, first, None]


def test_attempts_of_a_stream_are_events_too(played: Played, producer: RecordingProducer) -> None:
    """The SDK closes a refused stream without reading why, so the status stands for the reason."""
    list(gpt(played, producer, play="500,ok").responses.create(model=GPT, input=PROMPT, stream=True))
    kinds = [(event.attempt, event.status, event.error_type) for event in producer.events]
    assert kinds == [(1, "error", "http_500"), (2, "ok", "")]


@pytest.mark.parametrize("status", [400, 401, 429, 500])
def test_errors_are_what_they_were(status: int, played: Played, producer: RecordingProducer) -> None:
    """A tracked client raises the error that the plain one raises: the same kind, status and body."""
    tracked = gpt(played, producer, play=str(status), max_retries=0)
    plain = openai.OpenAI(
        api_key="k", base_url=f"{played.url}/v1", default_headers={"x-play": str(status)}, max_retries=0
    )
    errors = []
    for client in (tracked, plain):
        with client, pytest.raises(openai.APIStatusError) as raised:
            client.chat.completions.create(**asked_of_gpt())
        errors.append(raised.value)
    assert [type(error) for error in errors] == [type(errors[0])] * 2
    assert errors[0].body == errors[1].body
    (event,) = producer.events
    assert (event.status, tokens([event])) == ("error", 0)


def test_an_exception_passes_through_untouched(producer: RecordingProducer) -> None:
    """What the transport raises is the very object that the SDK has as its cause, without a note of ours."""
    boom = httpx2.ConnectError("boom")

    def refuse(_: httpx2.Request) -> httpx2.Response:
        raise boom

    http = httpx2.Client(transport=httpx2.MockTransport(refuse))
    client = track(anthropic.Anthropic(api_key="k", http_client=http, max_retries=0), producer=producer)
    with pytest.raises(anthropic.APIConnectionError) as raised:
        client.messages.create(**asked_of_claude())
    assert raised.value.__cause__ is boom
    assert getattr(boom, "__notes__", []) == []
    (event,) = producer.events
    assert (event.status, event.error_type, event.request_model) == ("error", "connection", CLAUDE)


@pytest.mark.parametrize(("how", "kind"), [("hang", "timeout"), ("reset", "connection"), ("cut", "connection")])
def test_no_answer_costs_nothing(how: str, kind: str, played: Played, producer: RecordingProducer) -> None:
    """A timeout and a broken connection are errors without tokens: nobody knows whether the model has worked."""
    client = claude(played, producer, play=how, max_retries=0, timeout=0.2 if how == "hang" else 30)
    with pytest.raises(anthropic.APIConnectionError):
        client.messages.create(**asked_of_claude())
    (event,) = producer.events
    assert (event.status, event.error_type, tokens([event])) == ("error", kind, 0)


def test_an_answer_without_usage_is_estimated(played: Played, producer: RecordingProducer) -> None:
    """Where a model has answered and nobody counted, four characters are a token, and the event says so."""
    answer = gpt(played, producer, play="bare").chat.completions.create(**asked_of_gpt())
    (event,) = producer.events
    assert (event.usage_source, event.status, event.response_id) == ("estimated", "ok", answer.id)
    said = answer.choices[0].message.content
    assert (event.input_tokens, event.output_tokens) == (-(-len(PROMPT) // 4), -(-len(said) // 4))


def test_it_is_the_same_client(played: Played, producer: RecordingProducer) -> None:
    """A tracked client is an instance of the same class, shares its connections and is closed with it."""
    plain = anthropic.Anthropic(api_key="k", base_url=played.url)
    client = track(plain, producer=producer)
    assert type(client) is anthropic.Anthropic
    assert (client.api_key, str(client.base_url)) == (plain.api_key, str(plain.base_url))
    with client:
        client.messages.create(**asked_of_claude())
    assert plain.is_closed()
    assert client.is_closed()


def test_either_client_lives_without_the_other(played: Played, producer: RecordingProducer) -> None:
    """That one of the two is dropped closes nothing that the other needs."""
    plain = anthropic.Anthropic(api_key="k", base_url=played.url)
    client: anthropic.Anthropic | None = track(plain, producer=producer)
    del client
    gc.collect()
    plain.messages.create(**asked_of_claude())
    client = track(plain, producer=producer)
    del plain
    gc.collect()
    with client:
        client.messages.create(**asked_of_claude())
    assert len(producer.events) == 1


def test_the_request_is_not_changed(played: Played, producer: RecordingProducer) -> None:
    """What a tracked client sends is, to the last member, what the plain one sends."""
    list(gpt(played, producer).chat.completions.create(stream=True, **asked_of_gpt()))
    with openai.OpenAI(api_key="k", base_url=f"{played.url}/v1") as plain:
        list(plain.chat.completions.create(stream=True, **asked_of_gpt()))
    assert played.bodies[0] == played.bodies[1]


def test_tracked_again_it_is_counted_once(played: Played, producer: RecordingProducer) -> None:
    """Tracking a tracked client gives it other dimensions, and does not count its calls twice."""
    client = track(claude(played, producer), producer=producer, feature="search", tags={"region": "eu"})
    client.messages.create(**asked_of_claude())
    (event,) = producer.events
    assert (event.feature, event.tags) == ("search", {"region": "eu"})


def test_a_context_wins_over_the_clients_dimensions(played: Played, producer: RecordingProducer) -> None:
    """What holds for one call is said closer to it than what holds for a client."""
    client = claude(played, producer)
    with usage_context(feature="search", user_id="user-7", tags={"plan": "free"}):
        client.messages.create(**asked_of_claude())
    client.messages.create(**asked_of_claude())
    assert [(event.feature, event.user_id) for event in producer.events] == [("search", "user-7"), ("triage", "")]


def test_a_user_named_in_the_request_is_not_taken(played: Played, producer: RecordingProducer) -> None:
    """Whom a request names to the provider is between those two."""
    claude(played, producer).messages.create(**asked_of_claude(metadata={"user_id": "somebody"}))
    gpt(played, producer).chat.completions.create(user="somebody", **asked_of_gpt())
    assert "somebody" not in "".join(event.model_dump_json() for event in producer.events)


def test_another_provider_can_be_named(played: Played, producer: RecordingProducer) -> None:
    """Others speak OpenAI's protocol; their prices are their own."""
    gpt(played, producer, provider="groq").chat.completions.create(**asked_of_gpt())
    assert [event.provider for event in producer.events] == ["groq"]


def test_what_is_no_client_is_refused() -> None:
    """Anything but a client of the two SDKs is refused in one sentence, when it is tracked and not later."""
    with pytest.raises(ConfigurationError, match="Client cannot be tracked: it is no client of the anthropic or"):
        track(httpx2.Client(), producer=RecordingProducer())
    with pytest.raises(TypeError, match="colour is no dimension"):
        track(anthropic.Anthropic(api_key="k"), producer=RecordingProducer(), colour="red")
    with pytest.raises(ConfigurationError, match="is not a client that track"):
        unobserved(anthropic.Anthropic(api_key="k"))


class _Broken(RecordingProducer):
    def emit(self, /, **_: Any) -> str | None:
        raise RuntimeError(f"a fault that quotes {PROMPT}")


def test_a_fault_of_ours_is_counted_and_never_raised(played: Played, caplog: pytest.LogCaptureFixture) -> None:
    """Whatever breaks in the observation, the call succeeds; the fault is counted, and logged without its text."""
    client = claude(played, _Broken())
    with caplog.at_level(logging.WARNING):
        for stream in (False, True):
            answer = client.messages.create(stream=stream, **asked_of_claude())
            assert not stream or len(list(answer)) > 9
    assert unobserved(client) == 2
    assert "RuntimeError" in caplog.text
    assert PROMPT not in caplog.text


def test_an_unreadable_piece_costs_the_counts_and_not_the_event(
    played: Played, producer: RecordingProducer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a body cannot be read, the event comes all the same, and is estimated."""

    def refuse(*_: object) -> None:
        raise ValueError("no")

    monkeypatch.setattr(BodyReader, "feed", refuse)
    client = claude(played, producer)
    assert client.messages.create(**asked_of_claude()).usage.output_tokens == 9
    (event,) = producer.events
    assert (event.status, event.usage_source, event.model) == ("ok", "estimated", CLAUDE)
    assert unobserved(client) == 1
