"""What do OpenAI's Chat Completions, Responses and Embeddings answer? Their documented shapes, with counts of our own.

*Source*: OpenAI API reference, "Chat completions" (object, streaming), "Responses" (object, streaming), "Embeddings".
"""

from base64 import b64encode
from struct import pack
from typing import Any

from tests.providers.scripted import Reply, next_number, said, words

__all__ = ["answer", "error_body", "error_event"]

_AT = 1_790_000_000
_TYPES = {429: ("requests", "rate_limit_exceeded"), 400: ("invalid_request_error", "unsupported_value")}


def answer(path: str, request: dict[str, Any], *, counted: bool) -> Reply | None:
    """Answer a request; None where the path is none of this API's."""
    if path.endswith("/chat/completions"):
        return _chat(request, counted)
    if path.endswith("/responses"):
        return _response(request, counted)
    return _embeddings(request) if path.endswith("/embeddings") else None


def error_body(status: int, text: str) -> dict[str, Any]:
    """Write an error as this API does."""
    kind, code = _TYPES.get(status, ("server_error", None))
    return {"error": {"message": text, "type": kind, "param": None, "code": code}}


def error_event(text: str) -> tuple[str, dict[str, Any]]:
    """Write the error that ends a stream of chunks."""
    return "", error_body(500, text)


def _chat(request: dict[str, Any], counted: bool) -> Reply:
    texts = said(request.get("max_completion_tokens") or request.get("max_tokens"))
    prompt = words(request["messages"])
    usage = {
        "prompt_tokens": prompt,
        "completion_tokens": len(texts),
        "total_tokens": prompt + len(texts),
        "prompt_tokens_details": {"cached_tokens": prompt // 2, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
    }
    about = {"id": f"chatcmpl-{next_number():08d}", "created": _AT, "model": request["model"]}
    if not request.get("stream"):
        message = {"role": "assistant", "content": " ".join(texts), "refusal": None}
        choice = {"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}
        body = {"object": "chat.completion", **about, "choices": [choice], "service_tier": "default"}
        return Reply(usage, body=body | ({"usage": usage} if counted else {}))
    asked = (request.get("stream_options") or {}).get("include_usage") is True and counted
    chunks = _chunks({**about, "object": "chat.completion.chunk"}, texts, usage if asked else None)
    return Reply(usage, events=tuple(("", chunk) for chunk in chunks), last="[DONE]")


def _chunks(about: dict[str, Any], texts: list[str], usage: dict[str, Any] | None) -> list[dict[str, Any]]:
    deltas = [{"role": "assistant", "content": ""}, *({"content": f"{text} "} for text in texts), {}]
    last = len(deltas) - 1
    shared = about | ({} if usage is None else {"usage": None})
    chunks = [
        shared | {"choices": [{"index": 0, "delta": delta, "finish_reason": "stop" if number == last else None}]}
        for number, delta in enumerate(deltas)
    ]
    return chunks if usage is None else [*chunks, about | {"choices": [], "usage": usage}]


def _response(request: dict[str, Any], counted: bool) -> Reply:
    texts = said(request.get("max_output_tokens"))
    prompt = words(request.get("instructions") or "") + words(request["input"])
    usage = {
        "input_tokens": prompt,
        "input_tokens_details": {"cached_tokens": prompt // 2},
        "output_tokens": len(texts),
        "output_tokens_details": {"reasoning_tokens": len(texts) // 3},
        "total_tokens": prompt + len(texts),
    }
    part = {"type": "output_text", "text": " ".join(texts), "annotations": []}
    item = {"type": "message", "id": "msg_1", "status": "completed", "role": "assistant", "content": [part]}
    begun = {
        "id": f"resp_{next_number():08d}",
        "object": "response",
        "created_at": _AT,
        "model": request["model"],
        "status": "in_progress",
        "error": None,
        "output": [],
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "service_tier": "default",
        "usage": None,
    }
    done = begun | {"status": "completed", "output": [item], "usage": usage if counted else None}
    if not request.get("stream"):
        return Reply(usage, body=done)
    events = [*_response_events(begun, item, texts), {"type": "response.completed", "response": done}]
    numbered = ((event["type"], event | {"sequence_number": number}) for number, event in enumerate(events))
    return Reply(usage, events=tuple(numbered))


def _response_events(begun: dict[str, Any], item: dict[str, Any], texts: list[str]) -> list[dict[str, Any]]:
    at = {"item_id": item["id"], "output_index": 0, "content_index": 0}
    (part,) = item["content"]
    empty = item | {"status": "in_progress", "content": []}
    return [
        {"type": "response.created", "response": begun},
        {"type": "response.in_progress", "response": begun},
        {"type": "response.output_item.added", "output_index": 0, "item": empty},
        {"type": "response.content_part.added", **at, "part": part | {"text": ""}},
        *({"type": "response.output_text.delta", **at, "delta": f"{text} ", "logprobs": []} for text in texts),
        {"type": "response.output_text.done", **at, "text": part["text"], "logprobs": []},
        {"type": "response.content_part.done", **at, "part": part},
        {"type": "response.output_item.done", "output_index": 0, "item": item},
    ]


def _embeddings(request: dict[str, Any]) -> Reply:
    texts = [request["input"]] if isinstance(request["input"], str) else request["input"]
    usage = {"prompt_tokens": words(texts), "total_tokens": words(texts)}
    vector = [0.25, -0.5, 1.0]
    written: object = vector
    if request.get("encoding_format") == "base64":
        written = b64encode(pack("<3f", *vector)).decode()
    data = [{"object": "embedding", "index": number, "embedding": written} for number, _ in enumerate(texts)]
    return Reply(usage, body={"object": "list", "data": data, "model": request["model"], "usage": usage})
