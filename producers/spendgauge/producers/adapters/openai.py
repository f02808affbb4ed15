"""What did a call to OpenAI's Chat Completions, Responses or Embeddings API use?

OpenAI reports *inclusive* counts: the input holds what was read from the cache, what was written to it and audio; the
output holds reasoning, audio, and predictions both accepted and rejected.

*Source*: OpenAI API reference, "Chat completions" (CompletionUsage: rejected predictions "are still counted in the
total completion tokens for purposes of billing"), "Responses" (ResponseUsage; ``tool_usage.web_search.num_requests``
"counts billable searches"; ``service_tier`` is the one that served the request) and "Streaming" (usage comes with the
last chunk, if asked for); OpenAI docs, "Prompt caching" (its example: of 2,600 input tokens 2,000 were read from the
cache, 400 written to it, and 200 neither).
"""

from functools import cache
from typing import Any, Final

from spendgauge.producers.adapters.leaves import (
    EventFields,
    failure_fields,
    input_leaves,
    output_leaves,
    usage_fields,
    who,
)
from spendgauge.producers.adapters.reading import Counts, field, identifier, items
from spendgauge.producers.adapters.tiers import service_tier

__all__ = ["OpenAIStream", "openai_events", "openai_leaves"]

_OPERATIONS: Final = {"list": "embeddings", "text_completion": "text_completion"}
_STATUSES: Final = {"failed": "error", "cancelled": "cancelled"}
_LAST: Final = ("response.completed", "response.incomplete", "response.failed", "response.done")
_INPUT: Final = ("prompt_tokens_details", "input_tokens_details", "input_token_details")
_OUTPUT: Final = ("completion_tokens_details", "output_tokens_details", "output_token_details")


def openai_events(response: object, *, provider: str = "openai", request_model: str = "") -> list[EventFields]:
    """Read a response (an SDK object or its JSON) into the fields of events.

    *Shape*: one event; none where there is no usage, but one without tokens for a response that failed.
    ``provider`` is for others who speak this protocol, such as ``azure.ai.openai``.
    """
    counts = Counts(field(response, "usage"))
    leaves = openai_leaves(counts)
    status = _STATUSES.get(identifier(field(response, "status")), "")
    named = who(provider, field(response, "model"), request_model)
    about: EventFields = {**named, "response_id": identifier(field(response, "id"))}
    if not counts.seen:
        error = field(response, "error", "code")
        return [failure_fields(status, error, **about)] if status == "error" else []
    leaves["web_search_requests"] = _searches(response, counts)
    if counts.of(response).get("tool_usage.image_gen.total_tokens"):
        counts.faults.add("image_gen")  # billed as another model, which is not named
    fields = usage_fields(
        counts,
        leaves,
        total=counts.total("total_tokens"),
        **about,
        operation=_OPERATIONS.get(identifier(field(response, "object")), ""),
        service_tier=service_tier(field(response, "service_tier"), counts),
        usage_convention="inclusive",
        status=status,
        error_type=identifier(field(response, "error", "code")),
    )
    return [fields]


def openai_leaves(counts: Counts) -> EventFields:
    """Read OpenAI's usage object, which many others imitate, into leaves.

    What was written to the cache counts as a write of five minutes: OpenAI keeps it for longer, at one price.
    Audio that was read from the cache is in the cache's leaf.
    """
    audio = counts.get(*_named(_INPUT, "audio_tokens"))
    cached_audio = counts.get(*_named(_INPUT, "cached_tokens_details.audio_tokens"))
    return {
        **input_leaves(
            counts.get("prompt_tokens", "input_tokens"),
            counts,
            read=counts.get(*_named(_INPUT, "cached_tokens")),
            write=(counts.get(*_named(_INPUT, "cache_write_tokens")), 0),
            audio=max(audio - cached_audio, 0),
        ),
        **output_leaves(
            counts.get("completion_tokens", "output_tokens"),
            counts,
            audio=counts.get(*_named(_OUTPUT, "audio_tokens")),
            reasoning=counts.get(*_named(_OUTPUT, "reasoning_tokens")),
        ),
    }


@cache
def _named(details: tuple[str, ...], name: str) -> tuple[str, ...]:
    return tuple(f"{detail}.{name}" for detail in details)


def _searches(response: object, counts: Counts) -> int:
    """Count the searches billed: as the response says, else by the calls that it lists."""
    billed = counts.of(response).read("tool_usage.web_search.num_requests")
    if billed is not None:
        return billed
    done = [call for call in _search_calls(response) if call["status"] in ("", "completed")]
    return sum(call["action"]["type"] in ("", "search") for call in done)


def _search_calls(response: object) -> list[dict[str, Any]]:
    """Pick the searches out of an output, without what was searched or said."""
    return [
        {
            "type": "web_search_call",
            "status": identifier(field(item, "status")),
            "action": {"type": identifier(field(item, "action", "type"))},
        }
        for item in items(field(response, "output"))
        if identifier(field(item, "type")) == "web_search_call"
    ]


class OpenAIStream:
    """Accumulates one stream, of Chat Completions' chunks or of Responses' events.

    Give it every chunk; it keeps counts, names and the number of characters, never a text. Chat Completions send usage
    only if asked for (``stream_options={"include_usage": True}``), in the last chunk; a stream that is cut has none.
    """

    def __init__(self, *, provider: str = "openai", request_model: str = "") -> None:
        self.characters = 0
        self.complete = False
        self._provider = provider
        self._request_model = request_model
        self._seen: dict[str, Any] = {}

    def add(self, chunk: object) -> None:
        """Take one chunk or event of the stream, as the SDK's object or as JSON."""
        kind = identifier(field(chunk, "type"))
        if kind.startswith("response."):
            self._add_event(kind, chunk)
            return
        error = chunk if kind == "error" else field(chunk, "error")
        if error is not None:
            code = identifier(field(error, "code")) or identifier(field(chunk, "error", "type"))
            self._seen |= {"status": "failed", "error": {"code": code}}
            self.complete = True
        for name in ("id", "model", "service_tier", "usage"):
            value = field(chunk, name)
            if value is not None:
                self._seen[name] = value
        for choice in items(field(chunk, "choices")):
            self.complete |= field(choice, "finish_reason") is not None
            self.characters += _characters(field(choice, "delta"))

    def events(self) -> list[EventFields]:
        """Say what the stream used, as ``openai_events`` does; nothing where no usage came."""
        events = openai_events(self._seen, provider=self._provider, request_model=self._request_model)
        if self.complete:
            return events
        return [{"status": "cancelled"} | fields for fields in events]

    @property
    def about(self) -> EventFields:
        """Who answers, under which id and in which tier: for an event that a caller has to estimate."""
        named = who(self._provider, self._seen.get("model"), self._request_model)
        tier = service_tier(self._seen.get("service_tier"), Counts())
        fields = named | {"response_id": identifier(self._seen.get("id")), "service_tier": tier}
        return {name: value for name, value in fields.items() if value}

    def _add_event(self, kind: str, event: object) -> None:
        delta = field(event, "delta")
        self.characters += len(delta) if isinstance(delta, str) else 0
        self.complete |= kind in _LAST
        response = field(event, "response")
        for name in ("id", "model", "service_tier", "usage", "status", "tool_usage"):
            value = field(response, name)
            if value is not None:
                self._seen[name] = value
        self._seen["output"] = _search_calls(response) or self._seen.get("output")
        code = identifier(field(response, "error", "code"))
        self._seen["error"] = {"code": code} if code else self._seen.get("error")


def _characters(delta: object) -> int:
    texts = [field(delta, name) for name in ("content", "refusal", "reasoning_content")]
    texts += [field(call, "function", "arguments") for call in items(field(delta, "tool_calls"))]
    return sum(len(text) for text in texts if isinstance(text, str))
