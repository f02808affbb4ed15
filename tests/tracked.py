"""How are tracked clients tested? With the real SDKs, against a provider that is played on this machine."""

import ssl
from collections.abc import Callable, Iterable
from functools import cache
from inspect import iscoroutinefunction
from typing import Any, Final

import anthropic
import openai
from tests.providers.server import Played

from spendgauge.producers import RecordingProducer
from spendgauge.producers.wrappers import track
from spendgauge.schemas import UsageEvent

__all__ = [
    "CLAUDE",
    "GPT",
    "PROMPT",
    "Way",
    "anthropic_ways",
    "asked_of_claude",
    "asked_of_gpt",
    "claude",
    "gpt",
    "openai_ways",
    "tokens",
    "tokens_served",
]

CLAUDE: Final = "claude-opus-5-20260801"
GPT: Final = "gpt-5-mini-2025-08-07"
PROMPT: Final = "please sort the tickets of today by how angry they are"

Way = Callable[[Any], object]
"""One way to call a model through a client."""


def asked_of_claude(**more: Any) -> dict[str, Any]:
    """Make the arguments of a request to Claude."""
    return {"model": CLAUDE, "max_tokens": 9, "messages": [{"role": "user", "content": PROMPT}], **more}


def asked_of_gpt(**more: Any) -> dict[str, Any]:
    """Make the arguments of a request for a chat completion."""
    return {"model": GPT, "messages": [{"role": "user", "content": PROMPT}], **more}


def claude(
    played: Played, producer: RecordingProducer, *, kind: Any = anthropic.Anthropic, play: str = "ok", **options: Any
) -> Any:
    """Make a tracked client of Anthropic's SDK that speaks to the played provider."""
    told = {name: options.pop(name) for name in ("guard", "estimate") if name in options}
    client = kind(
        api_key="sk-ant-secret",
        base_url=played.url,
        default_headers={"x-play": play},
        http_client=_http(anthropic, kind),
        **options,
    )
    _close_at_end(played, client)
    return track(client, producer=producer, feature="triage", **told)


def gpt(
    played: Played, producer: RecordingProducer, *, kind: Any = openai.OpenAI, play: str = "ok", **options: Any
) -> Any:
    """Make a tracked client of OpenAI's SDK that speaks to the played provider."""
    told = {name: options.pop(name) for name in ("ask_for_usage", "provider", "guard", "estimate") if name in options}
    client = kind(
        api_key="sk-secret",
        base_url=f"{played.url}/v1",
        default_headers={"x-play": play},
        http_client=_http(openai, kind),
        **options,
    )
    _close_at_end(played, client)
    return track(client, producer=producer, feature="triage", **told)


def _http(sdk: Any, kind: Any) -> Any:
    """Make the SDK's own HTTP client, without loading the certificates of the world for each."""
    asynchronous = kind.__name__.startswith("Async")
    return (sdk.DefaultAsyncHttpxClient if asynchronous else sdk.DefaultHttpxClient)(verify=_tls())


@cache
def _tls() -> ssl.SSLContext:
    return ssl.create_default_context()


def _close_at_end(played: Played, client: Any) -> None:
    """Close a client before the garbage collector does, which may close sockets first and complain of it."""
    if not iscoroutinefunction(client.close):
        played.at_end.append(client.close)


def tokens(events: Iterable[UsageEvent]) -> int:
    """Add up all tokens of events."""
    leaves = ("input_tokens", "cache_read_tokens", "cache_write_5m_tokens", "cache_write_1h_tokens", "output_tokens")
    return sum(getattr(event, leaf) for event in events for leaf in leaves)


def tokens_served(played: Played) -> int:
    """Add up all tokens that the played provider has counted, by its own totals."""
    if all("total_tokens" in entry.usage for entry in played.served):
        return sum(entry.usage["total_tokens"] for entry in played.served)
    names = ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens", "output_tokens")
    return sum(entry.usage[name] for entry in played.served for name in names)


def anthropic_ways() -> dict[str, Way]:
    """Name the ways to call Claude through a client that is not asynchronous."""

    def streamed(client: Any) -> object:
        return [event.type for event in client.messages.create(stream=True, **asked_of_claude())]

    def helper(client: Any) -> object:
        with client.messages.stream(**asked_of_claude()) as stream:
            return stream.get_final_message()

    def texts(client: Any) -> object:
        with client.messages.stream(**asked_of_claude()) as stream:
            return list(stream.text_stream)

    def unread(client: Any) -> object:
        with client.messages.with_streaming_response.create(**asked_of_claude()) as response:
            return response.read()

    return {
        "create": lambda client: client.messages.create(**asked_of_claude()),
        "beta": lambda client: client.beta.messages.create(**asked_of_claude()),
        "with_raw_response": lambda client: client.messages.with_raw_response.create(**asked_of_claude()).parse(),
        "with_streaming_response": unread,
        "with_options": lambda client: client.with_options(timeout=5).messages.create(**asked_of_claude()),
        "copy": lambda client: client.copy(max_retries=0).messages.create(**asked_of_claude()),
        "stream=True": streamed,
        "stream": helper,
        "text_stream": texts,
    }


def openai_ways() -> dict[str, Way]:
    """Name the ways to call OpenAI's models through a client that is not asynchronous."""
    asked, counted = asked_of_gpt(), {"include_usage": True}
    answered = {"model": GPT, "input": PROMPT}

    def helper(client: Any) -> object:
        with client.responses.stream(**answered) as stream:
            return stream.get_final_response()

    def chats(client: Any) -> object:
        with client.chat.completions.stream(stream_options=counted, **asked) as stream:
            return stream.get_final_completion()

    return {
        "chat": lambda client: client.chat.completions.create(**asked),
        "chat.parse": lambda client: client.chat.completions.parse(**asked),
        "chat raw": lambda client: client.chat.completions.with_raw_response.create(**asked).parse(),
        "chat stream=True": lambda client: list(
            client.chat.completions.create(stream=True, stream_options=counted, **asked)
        ),
        "chat.stream": chats,
        "responses": lambda client: client.responses.create(**answered),
        "responses stream=True": lambda client: list(client.responses.create(stream=True, **answered)),
        "responses.stream": helper,
        "embeddings": lambda client: client.embeddings.create(model=GPT, input=[PROMPT, PROMPT]),
        "with_options": lambda client: client.with_options(max_retries=0).responses.create(**answered),
    }
