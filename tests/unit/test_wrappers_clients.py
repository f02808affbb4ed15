"""Which requests are calls, of which provider, and does anything of a request change on its way?"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import anthropic
import httpx2
import openai
import pytest

from spendgauge.producers import RecordingProducer
from spendgauge.producers.adapters import ClaudeAgentUsage
from spendgauge.producers.wrappers import track, track_messages
from spendgauge.producers.wrappers.attempts import Attempt
from spendgauge.producers.wrappers.calls import ANTHROPIC, OPENAI, Api, asking_for_usage, characters_asked, find_call

USAGE = {"input_tokens": 12, "output_tokens": 3}
MESSAGE = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-opus-5",
    "content": [],
    "usage": USAGE,
}
ASKED: Any = {"model": "claude-opus-5", "max_tokens": 9, "messages": [{"role": "user", "content": "Hello"}]}


def _http(sent: list[httpx2.Request]) -> httpx2.Client:
    def answer(request: httpx2.Request) -> httpx2.Response:
        sent.append(request)
        return httpx2.Response(200, json=MESSAGE)

    return httpx2.Client(transport=httpx2.MockTransport(answer))


def _azure(http: httpx2.Client) -> Any:
    return openai.AzureOpenAI(api_key="k", azure_endpoint="https://a.test", api_version="2024-10-21", http_client=http)


def _vertex(http: httpx2.Client) -> Any:
    return anthropic.AnthropicVertex(access_token="t", region="global", project_id="p", http_client=http)


def _bedrock(http: httpx2.Client) -> Any:
    return anthropic.AnthropicBedrock(api_key="k", aws_region="us-east-1", http_client=http)


def _foundry(http: httpx2.Client) -> Any:
    return anthropic.AnthropicFoundry(api_key="k", resource="r", http_client=http)


@pytest.mark.parametrize(
    ("make", "provider"),
    [
        (lambda http: anthropic.Anthropic(api_key="k", http_client=http), "anthropic"),
        (lambda http: openai.OpenAI(api_key="k", http_client=http), "openai"),
        (_azure, "azure.ai.openai"),
        (_vertex, "gcp.vertex_ai"),
        (_bedrock, "aws.bedrock"),
        (_foundry, "azure.ai.inference"),
    ],
)
def test_the_sdks_other_clients_are_tracked_too(make: Callable[[Any], Any], provider: str) -> None:
    """Each client of the two SDKs is counted under the provider where it runs, and stays of its own class."""
    producer = RecordingProducer()
    with _http([]) as http:
        plain = make(http)
        client = track(plain, producer=producer)
        assert type(client) is type(plain)
        if isinstance(client, openai.OpenAI):
            client.responses.create(model="gpt-5-mini", input="Hello")
        else:
            client.messages.create(**ASKED)
    (event,) = producer.events
    assert (event.provider, event.input_tokens, event.output_tokens) == (provider, 12, 3)
    assert event.request_model == ("gpt-5-mini" if "openai" in provider else "claude-opus-5")


def test_a_request_is_sent_as_it_was() -> None:
    """Method, address, headers and body of a tracked client's request are the plain one's, to the last byte."""
    sent: list[httpx2.Request] = []
    with _http(sent) as http:
        plain = anthropic.Anthropic(api_key="k", http_client=http)
        for client in (plain, track(plain, producer=RecordingProducer())):
            client.messages.create(**ASKED)
    tracked, other = ((one.method, one.url, one.headers.raw, one.content) for one in sent)
    assert tracked == other


def _request(path: str, body: Any, method: str = "POST", **headers: str) -> httpx2.Request:
    return httpx2.Request(method, f"https://host.test{path}", json=body, headers=headers)


@pytest.mark.parametrize(
    ("api", "path", "operation", "model"),
    [
        (ANTHROPIC, "/v1/messages?beta=true", "chat", "m"),
        (ANTHROPIC, "/model/us.anthropic.claude-opus-5%3A0/invoke", "chat", "us.anthropic.claude-opus-5:0"),
        (ANTHROPIC, "/model/a/invoke-with-response-stream", "chat", "a"),
        (ANTHROPIC, "/v1/projects/p/locations/l/publishers/anthropic/models/a@1:rawPredict", "chat", "a@1"),
        (ANTHROPIC, "/v1/projects/p/locations/l/publishers/anthropic/models/a@1:streamRawPredict", "chat", "a@1"),
        (ANTHROPIC, "/v1/messages/count_tokens", None, ""),
        (ANTHROPIC, "/v1/messages/batches", None, ""),
        (ANTHROPIC, "/v1/projects/p/models/count-tokens:countTokens", None, ""),
        (OPENAI, "/openai/deployments/d/chat/completions?api-version=1", "chat", "m"),
        (OPENAI, "/v1/completions", "text_completion", "m"),
        (OPENAI, "/v1/responses", "chat", "m"),
        (OPENAI, "/v1/embeddings", "embeddings", "m"),
        (OPENAI, "/v1/responses/resp_1/cancel", None, ""),
        (OPENAI, "/v1/threads/t/messages", None, ""),
        (OPENAI, "/v1/files", None, ""),
    ],
)
def test_a_call_is_told_by_its_path(api: Api, path: str, operation: str | None, model: str) -> None:
    """What asks a model is a call, and its model is in the path or in the body; nothing else is a call."""
    call = find_call(api, _request(path, {"model": "m"}))
    assert (None if call is None else (call.operation, call.model)) == (operation and (operation, model))
    assert find_call(api, _request(path, {"model": "m"}, method="GET")) is None


@pytest.mark.parametrize(
    ("body", "model"),
    [
        ({"messages": [{"content": 'say {"model": "other"}'}], "model": "m"}, "m"),
        ({"tools": [{"input_schema": {"model": "deeper"}}], "model": "m"}, "m"),
        ({"messages": [{"content": [{"type": "tool_use", "input": {"model": "first"}}]}], "model": "m"}, "m"),
        ({"model": "a prompt that stands in the wrong place"}, ""),
        ({"model": 7}, ""),
        ([], ""),
    ],
)
def test_the_model_is_the_requests_own(body: Any, model: str) -> None:
    """A model's name that is deeper in the body, or within a text, is not taken for the request's."""
    call = find_call(OPENAI, _request("/v1/responses", body))
    assert call is not None
    assert call.model == model


@pytest.mark.parametrize(("retries", "attempt"), [("0", 1), ("2", 3), ("", 1), ("many", 1), ("-1", 1), ("9" * 30, 1)])
def test_an_attempt_is_numbered_by_the_sdk(retries: str, attempt: int) -> None:
    """The SDKs say how often they have tried; anything else in that header is the first attempt."""
    call = find_call(OPENAI, _request("/v1/responses", {}, **{"x-stainless-retry-count": retries}))
    assert call is not None
    assert call.attempt == attempt


def test_a_body_that_cannot_be_read_is_no_obstacle() -> None:
    """A body that is sent in pieces has no model that we could read, and is still a call."""
    request = httpx2.Request("POST", "https://host.test/v1/responses", content=iter([b"{}"]))
    call = find_call(OPENAI, request)
    assert call is not None
    assert (call.model, characters_asked(request)) == ("", 0)


@pytest.mark.parametrize(
    "body",
    [
        {"messages": []},
        {"messages": [], "stream": False},
        {"messages": [], "stream": True, "stream_options": {"include_usage": False}},
        {"prompt": "Hello", "stream": True, "stream_options": {"include_usage": True}},
        {"input": "Hello", "stream": True},
    ],
)
def test_usage_is_asked_for_where_nobody_has_said(body: dict[str, Any]) -> None:
    """Only a stream of chat completions whose caller has not said is changed; every other request is the same one."""
    request = _request("/v1/chat/completions", body)
    assert asking_for_usage(request) is request


def test_a_request_that_asks_for_usage_is_whole() -> None:
    """It has the caller's headers and body, one more option, and the length that it then has."""
    body = {"model": "m", "messages": [{"content": "Grüße"}], "stream": True}
    request = _request("/v1/chat/completions", body, authorization="Bearer k")
    asking = asking_for_usage(request)
    assert json.loads(asking.content) == body | {"stream_options": {"include_usage": True}}
    assert asking.headers["content-length"] == str(len(asking.content))
    assert asking.headers["authorization"] == "Bearer k"
    assert (asking.url, asking.extensions) == (request.url, request.extensions)


class _Pieces(httpx2.SyncByteStream):
    def __iter__(self) -> Iterator[bytes]:
        yield from (json.dumps(MESSAGE)[:40].encode(), json.dumps(MESSAGE)[40:].encode())


def test_nothing_is_kept_when_a_call_is_over() -> None:
    """After the last byte no request, no answer and no context is held by what observed them."""
    transport = httpx2.MockTransport(lambda _: httpx2.Response(200, stream=_Pieces()))
    producer = RecordingProducer()
    with httpx2.Client(transport=transport) as http:
        client = track(anthropic.Anthropic(api_key="k", http_client=http), producer=producer)
        with client.messages.with_streaming_response.create(**ASKED) as response:
            attempt = response.http_response.stream._attempt  # ours, within the SDK's
            assert isinstance(attempt, Attempt)
            assert attempt.request is not None
            response.read()
            assert attempt.request is None
            assert "Hello" not in repr(vars(attempt))
            assert producer.events[0].input_tokens == 12


def test_an_answer_that_somebody_closed_is_an_event() -> None:
    """A hook of the HTTP client that closes an answer unread leaves nothing to read, and no exception of ours."""
    producer = RecordingProducer()
    transport = httpx2.MockTransport(lambda _: httpx2.Response(200, stream=_Pieces()))
    with httpx2.Client(transport=transport, event_hooks={"response": [lambda response: response.close()]}) as http:
        client = track(anthropic.Anthropic(api_key="k", http_client=http), producer=producer)
        with client.messages.with_streaming_response.create(**ASKED) as response:
            assert response.is_closed
    (event,) = producer.events
    assert (event.status, event.usage_source, event.output_tokens) == ("ok", "estimated", 0)


def _result(turns: int, total: int) -> dict[str, Any]:
    usage = {"claude-opus-5": {"inputTokens": total, "outputTokens": 1}}
    return {"type": "result", "subtype": "success", "num_turns": turns, "session_id": "s", "modelUsage": usage}


def test_turns_of_an_agent_are_counted_once() -> None:
    """A client that stays open states running totals; one ``usage`` for all its turns counts each token once."""
    producer, usage = RecordingProducer(), ClaudeAgentUsage()

    async def messages(result: dict[str, Any]) -> AsyncIterator[dict[str, Any]]:
        yield {"type": "system", "subtype": "init"}
        yield result

    async def run() -> None:
        for turn, total in ((1, 10), (2, 25)):
            tracked = track_messages(messages(_result(turn, total)), producer=producer, usage=usage, team="search")
            assert [message["type"] async for message in tracked] == ["system", "result"]

    asyncio.run(run())
    assert [(event.input_tokens, event.team) for event in producer.events] == [(10, "search"), (15, "search")]


def test_an_agents_messages_are_closed_with_their_reader() -> None:
    """Who stops reading closes the run below, as without us; a fault in reading a result is not the reader's."""
    closed = []

    class _Refusing(ClaudeAgentUsage):
        def add(self, result: object) -> list[dict[str, Any]]:  # noqa: ARG002 - its signature
            raise RuntimeError("no")

    async def messages() -> AsyncIterator[dict[str, Any]]:
        try:
            yield _result(1, 10)
            yield _result(2, 20)
        finally:
            closed.append(True)

    async def run() -> None:
        tracked: Any = track_messages(messages(), producer=RecordingProducer(), usage=_Refusing())
        assert (await anext(tracked))["num_turns"] == 1
        await tracked.aclose()

    asyncio.run(run())
    assert closed == [True]
