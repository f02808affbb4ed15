"""What did a call to Amazon Bedrock's Converse API use?

Bedrock reports *exclusive* counts: ``inputTokens`` leaves out what was read from the cache and written to it.

*Source*: Amazon Bedrock API reference, "TokenUsage", "CacheDetail", "ServiceTier", "ConverseStreamMetadataEvent";
Amazon Bedrock user guide, "Prompt caching for faster model inference" (total input tokens = inputTokens +
cacheReadInputTokens + cacheWriteInputTokens).
"""

from collections.abc import Mapping
from typing import Any, Final

from spendgauge.producers.adapters.leaves import (
    EventFields,
    cache_writes,
    failure_fields,
    output_leaves,
    usage_fields,
    who,
)
from spendgauge.producers.adapters.reading import Counts, field, identifier, items
from spendgauge.producers.adapters.tiers import service_tier

__all__ = ["BedrockStream", "bedrock_events"]

_EXCEPTIONS: Final = (
    "internalServerException",
    "modelStreamErrorException",
    "serviceUnavailableException",
    "throttlingException",
    "validationException",
)
_THINKING: Final = "additionalModelResponseFields.usage.output_tokens_details.thinking_tokens"


def bedrock_events(response: object, *, model: str, provider: str = "aws.bedrock") -> list[EventFields]:
    """Read what ``converse`` returned into the fields of events.

    *Shape*: one event; none where there is no usage. ``model`` is the request's ``modelId``: the response names none.
    """
    usage = field(response, "usage")
    counts = Counts(usage)
    written = cache_writes(
        counts.read("cacheWriteInputTokens"),
        counts,
        five_minutes=_written(usage, "5m", counts),
        one_hour=_written(usage, "1h", counts),
    )
    leaves: EventFields = {
        "input_tokens": counts.get("inputTokens"),
        "cache_read_tokens": counts.get("cacheReadInputTokens"),
        "cache_write_5m_tokens": written[0],
        "cache_write_1h_tokens": written[1],
        **output_leaves(counts.get("outputTokens"), counts, reasoning=counts.of(response).get(_THINKING)),
    }
    if not counts.seen:
        return []
    fields = usage_fields(
        counts,
        leaves,
        total=counts.total("totalTokens"),
        **who(provider, None, model),
        response_id=identifier(field(response, "ResponseMetadata", "RequestId")),
        service_tier=service_tier(field(response, "serviceTier", "type"), counts),
        usage_convention="exclusive",
        latency_ms=Counts(response).read("metrics.latencyMs"),
    )
    return [fields]


def _written(usage: object, ttl: str, counts: Counts) -> int:
    entries = [entry for entry in items(field(usage, "cacheDetails")) if identifier(field(entry, "ttl")) == ttl]
    return sum(counts.of(entry).get("inputTokens") for entry in entries)


class BedrockStream:
    """Accumulates the events of ``converse_stream``; usage comes once, with ``metadata``, as the last one.

    Give it every event; it keeps counts, names and the number of characters, never a text.
    """

    def __init__(self, *, model: str, provider: str = "aws.bedrock") -> None:
        self.characters = 0
        self.complete = False
        self._model = model
        self._provider = provider
        self._metadata: Any = None
        self._error = ""

    def add(self, event: object) -> None:
        """Take one event of the stream."""
        metadata = field(event, "metadata")
        if metadata is not None:
            self._metadata = {name: field(metadata, name) for name in ("usage", "metrics", "serviceTier")}
            self.complete = True
        delta = field(event, "contentBlockDelta", "delta")
        for path in (("text",), ("reasoningContent", "text"), ("toolUse", "input")):
            text = field(delta, *path)
            self.characters += len(text) if isinstance(text, str) else 0
        if isinstance(event, Mapping):
            self._error = next((name for name in _EXCEPTIONS if name in event), self._error)

    def events(self) -> list[EventFields]:
        """Say what the stream used, as ``bedrock_events`` does; one without tokens where an exception ended it."""
        events = bedrock_events(self._metadata, model=self._model, provider=self._provider)
        if self._error:
            failed = {"status": "error", "error_type": self._error}
            named = who(self._provider, None, self._model)
            return [fields | failed for fields in events] or [failure_fields(**failed, **named)]
        return events
