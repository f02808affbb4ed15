"""What did a call use, as an OpenTelemetry GenAI span says?

The conventions are *inclusive*: ``gen_ai.usage.input_tokens`` "SHOULD include all types of input tokens, including
cached tokens", and reasoning is within the output. Spans of agents, workflows and tools add up the calls below them,
which have spans of their own; they are no events.

*Source*: OpenTelemetry semantic conventions for generative AI (open-telemetry/semantic-conventions-genai,
``model/gen-ai/registry.yaml``); the deprecated names are those of open-telemetry/semantic-conventions up to 1.36, of
OpenLLMetry (``llm.usage.total_tokens``) and of Sentry's conventions (``gen_ai.usage.cache_read_input_tokens``).
"""

from collections.abc import Mapping
from typing import Any, Final

from spendgauge.producers.adapters.leaves import EventFields, usage_fields, who
from spendgauge.producers.adapters.reading import Counts, elapsed_ms, field, identifier, items, label, moment, stable_id
from spendgauge.producers.adapters.relayed import relayed_leaves
from spendgauge.producers.adapters.tiers import service_tier

__all__ = ["otel_attributes", "otel_events"]

_CALLS: Final = ("chat", "text_completion", "generate_content", "embeddings")
_NAMES: Final[dict[str, tuple[str, ...]]] = {
    "input": ("gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens"),
    "output": ("gen_ai.usage.output_tokens", "gen_ai.usage.completion_tokens"),
    "read": (
        "gen_ai.usage.cache_read.input_tokens",
        "gen_ai.usage.cache_read_input_tokens",
        "gen_ai.usage.input_tokens.cached",
    ),
    "write": (
        "gen_ai.usage.cache_creation.input_tokens",
        "gen_ai.usage.cache_creation_input_tokens",
        "gen_ai.usage.input_tokens.cache_write",
    ),
    "reasoning": ("gen_ai.usage.reasoning.output_tokens", "gen_ai.usage.output_tokens.reasoning"),
    "input_audio": ("gen_ai.usage.audio.input_tokens",),
    "output_audio": ("gen_ai.usage.audio.output_tokens",),
    "total": ("gen_ai.usage.total_tokens", "llm.usage.total_tokens"),
}
_TIER: Final = ("openai.response.service_tier", "gen_ai.openai.response.service_tier")
_FAILED: Final = (2, "STATUS_CODE_ERROR")
"""An error, in OTLP's status codes and in the SDK's."""
_VALUES: Final = ("stringValue", "intValue", "doubleValue", "boolValue")
_DIMENSIONS: Final = {
    "agent": ("gen_ai.agent.name",),
    "session_id": ("gen_ai.conversation.id", "session.id"),
    "user_id": ("user.id", "enduser.id"),
    "service": ("service.name",),
    "environment": ("deployment.environment.name", "deployment.environment"),
}


def otel_events(span: object, *, resource: object = None) -> list[EventFields]:
    """Read a span into the fields of events: OTLP's JSON (a protobuf's too, once it is JSON), or an SDK's span.

    ``resource`` has the attributes of the service (its name, its environment), as a mapping or as OTLP's list.
    *Shape*: one event for a call to a model; none for other spans, nor where no usage came, unless the call failed.
    The event's id is made of trace and span, so that a span that is exported twice counts once.
    """
    found = otel_attributes(resource) | otel_attributes(field(span, "attributes"))
    operation = identifier(found.get("gen_ai.operation.name"))
    provider = identifier(_first(found, "gen_ai.provider.name", "gen_ai.system"))
    if not provider or operation not in {"", *_CALLS}:
        return []
    code = _first_of(span, ("status", "code"), ("status", "status_code"))
    failed = isinstance(code, int | str) and code in _FAILED
    counts = Counts({name: _first(found, *names) for name, names in _NAMES.items()})
    leaves, convention = _leaves(counts)
    if not (counts.seen or failed):
        return []
    fields = usage_fields(
        counts,
        leaves,
        total=counts.total("total"),
        **_named(found, provider),
        **{name: label(_first(found, *names)) for name, names in _DIMENSIONS.items()},
        **_times(span, found),
        operation=operation,
        service_tier=service_tier(_first(found, *_TIER), counts),
        usage_convention=convention if counts.seen else "",
        status="error" if failed else "",
        error_type=identifier(found.get("error.type")),
        event_id=_event_id(span),
    )
    return [fields]


def otel_attributes(attributes: object) -> dict[str, Any]:
    """Read attributes into a mapping: of a mapping itself, or of OTLP's list of keys and typed values."""
    if isinstance(attributes, Mapping):
        return dict(attributes)
    entries = ((field(entry, "key"), field(entry, "value")) for entry in items(attributes))
    return {
        key: next((found for name in _VALUES if (found := field(value, name)) is not None), None)
        for key, value in entries
        if isinstance(key, str)
    }


def _leaves(counts: Counts) -> tuple[EventFields, str]:
    return relayed_leaves(
        counts,
        whole=(counts.get("input"), counts.get("output")),
        total=counts.total("total"),
        read=counts.get("read"),
        write=(counts.get("write"), 0),
        audio=(counts.get("input_audio"), counts.get("output_audio")),
        reasoning=counts.get("reasoning"),
    )


def _named(found: Mapping[str, Any], provider: str) -> EventFields:
    asked = identifier(found.get("gen_ai.request.model"))
    return {
        **who(provider[:64], found.get("gen_ai.response.model"), asked),
        "response_id": identifier(found.get("gen_ai.response.id")),
    }


def _times(span: object, found: Mapping[str, Any]) -> EventFields:
    started = moment(_first_of(span, ("startTimeUnixNano",), ("start_time",)), per_second=10**9)
    ended = moment(_first_of(span, ("endTimeUnixNano",), ("end_time",)), per_second=10**9)
    fields: EventFields = {"started_at": started, "occurred_at": ended, "latency_ms": elapsed_ms(started, ended)}
    first = found.get("gen_ai.response.time_to_first_chunk")
    if isinstance(first, int | float) and 0 <= first < 10**6:
        fields["ttft_ms"] = round(first * 1000)
    return fields


def _event_id(span: object) -> str:
    trace = _first_of(span, ("traceId",), ("context", "trace_id"))
    part = _first_of(span, ("spanId",), ("context", "span_id"))
    known = isinstance(trace, str | int) and isinstance(part, str | int)
    return stable_id("otel", str(trace), str(part)) if known else ""


def _first(found: Mapping[str, Any], *names: str) -> Any:
    return next((found[name] for name in names if found.get(name) is not None), None)


def _first_of(span: object, *paths: tuple[str, ...]) -> Any:
    return next((value for path in paths if (value := field(span, *path)) is not None), None)
