"""What did a call to Google's Gemini API (or Vertex AI) use?

Google reports *inclusive* input: ``promptTokenCount`` holds the cached content. Beside it stand the results of tools
(``toolUsePromptTokenCount``, input too) and thoughts (``thoughtsTokenCount``, output, not in ``candidatesTokenCount``).

*Source*: Gemini API reference, "GenerateContentResponse.UsageMetadata", and the Google Gen AI SDK's reference,
"GenerateContentResponseUsageMetadata" (the total "is the sum of prompt_token_count, candidates_token_count,
tool_use_prompt_token_count, and thoughts_token_count"); Gemini docs, "Grounding with Google Search" (billed for each
query from Gemini 3 on, before that for each prompt; empty queries are not counted). That some versions counted thoughts
among the candidates: BerriAI/litellm, pull request #10141.
"""

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

__all__ = ["GeminiStream", "gemini_events"]

_PER_PROMPT: Final = ("gemini-1", "gemini-2")
_OF_PROMPT: Final = ("promptTokensDetails", "prompt_tokens_details")
_OF_TOOLS: Final = ("toolUsePromptTokensDetails", "tool_use_prompt_tokens_details")
_OF_CACHE: Final = ("cacheTokensDetails", "cache_tokens_details")
_OF_OUTPUT: Final = (
    "candidatesTokensDetails",
    "candidates_tokens_details",
    "responseTokensDetails",
    "response_tokens_details",
)


def gemini_events(response: object, *, provider: str = "gcp.gemini", request_model: str = "") -> list[EventFields]:
    """Read a ``GenerateContentResponse`` (or its JSON) into the fields of events.

    *Shape*: one event; none where there is no usage, but one without tokens where the prompt was blocked.
    ``provider`` is ``gcp.vertex_ai`` for Vertex AI.
    """
    stream = GeminiStream(provider=provider, request_model=request_model)
    stream.add(response)
    stream.complete = True
    return stream.events()


class GeminiStream:
    """Accumulates the chunks of one streamed response; their counts are cumulative, so the last ones hold.

    Give it every chunk; it keeps counts, names and the number of characters, never an answer.
    """

    def __init__(self, *, provider: str = "gcp.gemini", request_model: str = "") -> None:
        self.characters = 0
        self.complete = False
        self._provider = provider
        self._request_model = request_model
        self._usage: Any = None
        self._model = self._id = ""
        self._blocked = False
        self._queries: set[int] = set()

    def add(self, chunk: object) -> None:
        """Take one chunk of the stream, as the SDK's object or as JSON."""
        usage = _either(chunk, "usageMetadata", "usage_metadata")
        self._usage = self._usage if usage is None else usage
        self._model = identifier(_either(chunk, "modelVersion", "model_version")) or self._model
        self._id = identifier(_either(chunk, "responseId", "response_id")) or self._id
        feedback = _either(chunk, "promptFeedback", "prompt_feedback")
        self._blocked |= _either(feedback, "blockReason", "block_reason") is not None
        for candidate in items(field(chunk, "candidates")):
            self.complete |= _either(candidate, "finishReason", "finish_reason") is not None
            for part in items(field(candidate, "content", "parts")):
                text = field(part, "text")
                self.characters += len(text) if isinstance(text, str) else 0
            grounding = _either(candidate, "groundingMetadata", "grounding_metadata")
            queries = items(_either(grounding, "webSearchQueries", "web_search_queries"))
            self._queries |= {hash(query) for query in queries if isinstance(query, str) and query}

    def events(self) -> list[EventFields]:
        """Say what the call used, as ``gemini_events`` does; a stream that ended early is ``cancelled``."""
        counts = Counts(self._usage)
        leaves = _leaves(counts)
        about: EventFields = {
            **who(self._provider, self._model, self._request_model),
            "response_id": self._id,
            "operation": "generate_content",
        }
        if not counts.seen:
            return [failure_fields("error", "prompt_blocked", **about)] if self._blocked else []
        tier = _either(self._usage, "serviceTier", "service_tier", "trafficType", "traffic_type")
        ended = "" if self.complete else "cancelled"
        fields = usage_fields(
            counts,
            leaves | {"web_search_requests": self._searches(about["model"])},
            total=counts.total("totalTokenCount", "total_token_count"),
            **about,
            service_tier=service_tier(tier, counts),
            usage_convention="inclusive",
            status="error" if self._blocked else ended,
            error_type="prompt_blocked" if self._blocked else "",
        )
        return [fields]

    def _searches(self, model: str) -> int:
        searches = len(self._queries)
        return min(searches, 1) if model.rpartition("/")[2].startswith(_PER_PROMPT) else searches


def _leaves(counts: Counts) -> EventFields:
    prompt = counts.get("promptTokenCount", "prompt_token_count")
    tools = counts.get("toolUsePromptTokenCount", "tool_use_prompt_token_count")
    answer = counts.get("candidatesTokenCount", "candidates_token_count", "responseTokenCount", "response_token_count")
    thoughts = counts.get("thoughtsTokenCount", "thoughts_token_count")
    among_answers = counts.total("totalTokenCount", "total_token_count") == prompt + tools + answer
    output = answer if among_answers else answer + thoughts
    audio = _audio(counts, _OF_PROMPT) + _audio(counts, _OF_TOOLS) - _audio(counts, _OF_CACHE)
    return {
        **input_leaves(
            prompt + tools,
            counts,
            read=counts.get("cachedContentTokenCount", "cached_content_token_count"),
            audio=max(audio, 0),
        ),
        **output_leaves(output, counts, audio=_audio(counts, _OF_OUTPUT), reasoning=thoughts),
    }


def _audio(counts: Counts, names: tuple[str, ...]) -> int:
    entries = next((found for name in names if (found := items(counts.raw(name)))), [])
    spoken = [entry for entry in entries if identifier(field(entry, "modality")).upper() == "AUDIO"]
    return sum(counts.of(entry).get("tokenCount", "token_count") for entry in spoken)


def _either(source: object, *names: str) -> Any:
    return next((value for name in names if (value := field(source, name)) is not None), None)
