"""What did a call to Anthropic's Messages API use?

Anthropic reports *exclusive* counts: ``input_tokens`` leaves out what was read from the cache and written to it.

*Source*: Claude API reference, "Messages" (Usage: "total input tokens in a request is the summation of input_tokens,
cache_creation_input_tokens, and cache_read_input_tokens"); Claude docs, "Prompt caching", "Streaming messages" (the
counts of ``message_delta`` are cumulative), "Compaction at a token threshold" and "Advisor tool" (``usage.iterations``
that the top-level counts leave out), "Fast mode".
"""

from typing import Any, Final

from spendgauge.producers.adapters.estimates import estimate_tokens
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

__all__ = ["AnthropicStream", "anthropic_events", "anthropic_leaves"]

_CUMULATIVE: Final = (
    "input_tokens",
    "cache_read_input_tokens",
    "cache_creation_input_tokens",
    "cache_creation",
    "output_tokens",
    "output_tokens_details",
    "server_tool_use",
    "service_tier",
    "speed",
    "iterations",
)
_DELTAS: Final = ("text", "thinking", "partial_json")


def anthropic_events(message: object, *, provider: str = "anthropic", request_model: str = "") -> list[EventFields]:
    """Read a ``Message`` (or its JSON) into the fields of events.

    *Shape*: one event for the call, and one more for each run of an advisor, which is billed as its own model; none
    where there is no usage. An error object becomes one event without tokens.
    """
    if identifier(field(message, "type")) == "error":
        named = who(provider, None, request_model)
        return [failure_fields("error", field(message, "error", "type"), **named)]
    usage = field(message, "usage")
    counts = Counts(usage)
    leaves = anthropic_leaves(counts)
    if not counts.seen:
        return []
    for entry in _iterations(usage, "compaction"):
        leaves = _sum(leaves, anthropic_leaves(counts.of(entry)))
    named = who(provider, field(message, "model"), request_model)
    if identifier(field(usage, "speed")) == "fast":
        # it has prices of its own: under the plain name it would be charged half of them, or less
        named["model"] = f"{named['model'][:250]}-fast"
    call = usage_fields(
        counts,
        leaves,
        **named,
        response_id=identifier(field(message, "id")),
        service_tier=service_tier(field(usage, "service_tier"), counts),
        usage_convention="exclusive",
    )
    return [call, *_advisors(usage, call)]


def anthropic_leaves(counts: Counts) -> EventFields:
    """Read Anthropic's usage object, which other services pass on too, into leaves."""
    written = cache_writes(
        counts.read("cache_creation_input_tokens"),
        counts,
        five_minutes=counts.get("cache_creation.ephemeral_5m_input_tokens"),
        one_hour=counts.get("cache_creation.ephemeral_1h_input_tokens"),
    )
    return {
        "input_tokens": counts.get("input_tokens"),
        "cache_read_tokens": counts.get("cache_read_input_tokens"),
        "cache_write_5m_tokens": written[0],
        "cache_write_1h_tokens": written[1],
        **output_leaves(
            counts.get("output_tokens"), counts, reasoning=counts.get("output_tokens_details.thinking_tokens")
        ),
        "web_search_requests": counts.get("server_tool_use.web_search_requests"),
    }


def _iterations(usage: object, kind: str) -> list[Any]:
    return [entry for entry in items(field(usage, "iterations")) if identifier(field(entry, "type")) == kind]


def _sum(one: EventFields, other: EventFields) -> EventFields:
    return {name: count + other.get(name, 0) for name, count in one.items()}


def _advisors(usage: object, call: EventFields) -> list[EventFields]:
    shared: EventFields = {name: call[name] for name in ("provider", "response_id", "service_tier") if name in call}
    events = []
    for entry in _iterations(usage, "advisor_message"):
        counts = Counts(entry)
        model = identifier(field(entry, "model")) or "unknown"
        leaves = anthropic_leaves(counts)
        events.append(usage_fields(counts, leaves, **shared, model=model, usage_convention="exclusive"))
    return events


class AnthropicStream:
    """Accumulates the events of one streamed message: ``message_start``, then cumulative ``message_delta`` events.

    Give it every event; it keeps counts, names and the number of characters, never a text.
    """

    def __init__(self, *, provider: str = "anthropic", request_model: str = "") -> None:
        self.characters = 0
        self.complete = False
        self._provider = provider
        self._request_model = request_model
        self._message: dict[str, Any] = {}
        self._usage: dict[str, Any] = {}
        self._counted = False
        self._error: str | None = None

    def add(self, event: object) -> None:
        """Take one event of the stream, as the SDK's object or as JSON."""
        match identifier(field(event, "type")):
            case "message_start":
                message = field(event, "message")
                self._message = {name: field(message, name) for name in ("id", "model")}
                self._merge(field(message, "usage"))
            case "content_block_delta":
                texts = (field(event, "delta", name) for name in _DELTAS)
                self.characters += sum(len(text) for text in texts if isinstance(text, str))
            case "message_delta":
                self._counted = True
                self._merge(field(event, "usage"))
            case "message_stop":
                self.complete = True
            case "error":
                self._error = identifier(field(event, "error", "type")) or "error"

    def events(self) -> list[EventFields]:
        """Say what the stream used so far, as ``anthropic_events`` does.

        A stream that ended early is ``cancelled``, or ``error`` where an error event ended it. Where it ended before
        its last counts came, the output is estimated from what had arrived.
        """
        message = {**self._message, "usage": self._usage}
        events = anthropic_events(message, provider=self._provider, request_model=self._request_model)
        if self.complete:
            return events
        status = "cancelled" if self._error is None else "error"
        if events:
            call = events[0] | {"status": status} | ({"error_type": self._error} if self._error else {})
            return [call if self._counted else self._estimated(call), *events[1:]]
        named = who(self._provider, None, self._request_model)
        return [failure_fields(status, self._error, **named)] if self._error else []

    @property
    def about(self) -> EventFields:
        """Who answers, and under which id: for an event that a caller has to estimate."""
        named = who(self._provider, self._message.get("model"), self._request_model)
        return named | {"response_id": identifier(self._message.get("id"))}

    def _merge(self, usage: object) -> None:
        for name in _CUMULATIVE:
            value = field(usage, name)
            if value is not None:
                self._usage[name] = value

    def _estimated(self, call: EventFields) -> EventFields:
        arrived = max(call["output_tokens"], estimate_tokens(self.characters))
        return call | {"output_tokens": arrived, "usage_source": "estimated"}
