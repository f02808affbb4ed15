"""Which requests of an SDK are calls to a model, and what do they ask for?

Told by the path, and by the one member of the body that is read: the model's name.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol
from urllib.parse import unquote

from spendgauge.producers.adapters import (
    AnthropicStream,
    EventFields,
    OpenAIStream,
    anthropic_events,
    openai_events,
)
from spendgauge.producers.adapters.reading import identifier
from spendgauge.producers.wrappers.characters import characters_in

__all__ = ["ANTHROPIC", "OPENAI", "Api", "Call", "Stream", "asking_for_usage", "characters_asked", "find_call"]

_MODEL: Final = re.compile(rb'"model"\s*:\s*"((?:[^"\\]|\\.)*)"')
_MODEL_IN_PATH: Final = re.compile(r"/models?/([^/]+?)(?:/invoke|/invoke-with-response-stream|:\w*[rR]awPredict)$")
_RETRIES: Final = "x-stainless-retry-count"


class Stream(Protocol):
    """What is used of ``AnthropicStream`` and ``OpenAIStream``."""

    characters: int
    complete: bool

    @property
    def about(self) -> EventFields:
        """Who answers, and under which id."""

    def add(self, event: object, /) -> None:
        """Take one event."""

    def events(self) -> list[EventFields]:
        """Say what was used so far."""


@dataclass(frozen=True, slots=True)
class Api:
    """How one SDK's requests are told apart and its answers read."""

    read: Callable[..., list[EventFields]]
    stream: Callable[..., Stream]
    operations: Mapping[str, str]
    """What the end of a path asks for."""


ANTHROPIC: Final = Api(
    anthropic_events,
    AnthropicStream,
    {
        "/v1/messages": "chat",
        "/invoke": "chat",
        "/invoke-with-response-stream": "chat",
        ":rawPredict": "chat",
        ":streamRawPredict": "chat",
    },
)
OPENAI: Final = Api(
    openai_events,
    OpenAIStream,
    {
        "/chat/completions": "chat",
        "/completions": "text_completion",
        "/embeddings": "embeddings",
        "/responses": "chat",
        "/responses/compact": "chat",
    },
)


@dataclass(frozen=True, slots=True)
class Call:
    """What one attempt of a call asks for."""

    operation: str
    model: str
    attempt: int
    place: tuple[str, int]
    """Address and size of the request: the same for all attempts of a call."""


def find_call(api: Api, request: Any) -> Call | None:
    """Read an HTTP request; None where it is no call to a model."""
    path = request.url.path
    operation = next((what for end, what in api.operations.items() if path.endswith(end)), None)
    if operation is None or request.method != "POST":
        return None
    content = _content(request)
    retries = request.headers.get(_RETRIES, "")
    attempt = int(retries) + 1 if re.fullmatch("[0-9]{1,5}", retries) else 1
    return Call(operation, _model(path, content), attempt, (str(request.url), len(content)))


def characters_asked(request: Any) -> int:
    """Count the characters of a request's prompt; zero where it is no JSON."""
    try:
        return characters_in(json.loads(_content(request)))
    except (ValueError, RecursionError):
        return 0


def asking_for_usage(request: Any) -> Any:
    """Return a request that asks for usage at the end of its stream of chunks.

    It is the same request where it is no such stream, or where the caller has said already whether usage shall come.
    """
    body = json.loads(_content(request))
    options = body.get("stream_options") or {}
    if body.get("stream") is not True or "include_usage" in options or "messages" not in body:
        return request
    body["stream_options"] = {**options, "include_usage": True}
    content = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
    headers = request.headers.copy()
    headers["content-length"] = str(len(content))
    return type(request)(request.method, request.url, headers=headers, content=content, extensions=request.extensions)


def _model(path: str, content: bytes) -> str:
    """Find the model that is asked for, in the path or the body, which may be megabytes.

    A key within a string has its quotes escaped, so what the pattern finds are keys. Where it finds one name only, that
    is the request's own; where others are deeper in the body, all of it is parsed.
    """
    in_path = _MODEL_IN_PATH.search(path)
    if in_path:
        return identifier(unquote(in_path[1]))
    names = set(_MODEL.findall(content))
    if len(names) > 1:
        return identifier(json.loads(content).get("model"))
    return identifier(names.pop().decode()) if names else ""


def _content(request: Any) -> bytes:
    try:
        content = request.content
    except Exception:  # noqa: BLE001 - the library's own error: a body that is sent in pieces cannot be read
        return b""
    return content if isinstance(content, bytes) else b""
