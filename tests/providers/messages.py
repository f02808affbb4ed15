"""What does Anthropic's Messages API answer? Its documented shapes, with counts of our own.

*Source*: Claude API reference, "Messages" and "Errors"; Claude docs, "Streaming messages".
"""

from typing import Any

from tests.providers.scripted import Reply, next_number, said, words

__all__ = ["answer", "error_body", "error_event"]

_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    404: "not_found_error",
    429: "rate_limit_error",
    529: "overloaded_error",
}


def answer(path: str, request: dict[str, Any], *, counted: bool) -> Reply | None:
    """Answer a request; None where the path is none of this API's."""
    if not path.endswith("/v1/messages"):
        return None
    texts = said(request.get("max_tokens"))
    usage = _usage(request, len(texts))
    message = {
        "id": f"msg_{next_number():08d}",
        "type": "message",
        "role": "assistant",
        "model": request["model"],
        "content": [{"type": "text", "text": " ".join(texts)}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
    }
    if not request.get("stream"):
        return Reply(usage, body=message | ({"usage": usage} if counted else {}))
    return Reply(usage, events=tuple((event["type"], event) for event in _events(message, texts, usage)))


def error_body(status: int, text: str) -> dict[str, Any]:
    """Write an error as this API does."""
    error = {"type": _TYPES.get(status, "api_error"), "message": text}
    return {"type": "error", "error": error, "request_id": f"req_{next_number():08d}"}


def error_event(text: str) -> tuple[str, dict[str, Any]]:
    """Write the error that ends a stream."""
    return "error", error_body(529, text)


def _usage(request: dict[str, Any], output: int) -> dict[str, Any]:
    """Count a request: what is marked for the cache was read from it."""
    blocks = request.get("system") or []
    blocks = [{"type": "text", "text": blocks}] if isinstance(blocks, str) else blocks
    cached = sum(words(block) for block in blocks if "cache_control" in block)
    return {
        "input_tokens": words(blocks) - cached + words(request["messages"]),
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": cached,
        "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0},
        "output_tokens": output,
        "service_tier": "standard",
    }


def _events(message: dict[str, Any], texts: list[str], usage: dict[str, Any]) -> list[dict[str, Any]]:
    begun = message | {"content": [], "stop_reason": None, "usage": usage | {"output_tokens": 1}}
    deltas = [{"type": "text_delta", "text": f"{text} "} for text in texts]
    return [
        {"type": "message_start", "message": begun},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "ping"},
        *({"type": "content_block_delta", "index": 0, "delta": delta} for delta in deltas),
        {"type": "content_block_stop", "index": 0},
        {
            "type": "message_delta",
            "delta": {"stop_reason": "end_turn", "stop_sequence": None},
            "usage": {"output_tokens": usage["output_tokens"]},
        },
        {"type": "message_stop"},
    ]
