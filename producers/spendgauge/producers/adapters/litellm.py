"""What did a call through LiteLLM use, as its standard logging payload says?

LiteLLM reports *inclusive* counts for every provider: ``prompt_tokens`` holds what was read from the cache and written
to it. The details are in ``metadata.usage_object``. An answer from LiteLLM's own cache used no model and is no event.

*Source*: LiteLLM docs, "StandardLoggingPayload Specification"; its types ``StandardLoggingPayload`` and ``Usage``;
BerriAI/litellm, pull request #23342 (some versions left the cache out of ``prompt_tokens`` for ``anthropic_messages``).
"""

from typing import Any, Final

from spendgauge.producers.adapters.leaves import EventFields, cache_writes, usage_fields, who
from spendgauge.producers.adapters.reading import (
    Counts,
    amount_usd,
    elapsed_ms,
    field,
    identifier,
    label,
    moment,
    stable_id,
)
from spendgauge.producers.adapters.relayed import relayed_leaves
from spendgauge.producers.adapters.tiers import service_tier

__all__ = ["litellm_events"]

_PROVIDERS: Final = {
    "azure": "azure.ai.openai",
    "azure_ai": "azure.ai.inference",
    "bedrock": "aws.bedrock",
    "bedrock_converse": "aws.bedrock",
    "gemini": "gcp.gemini",
    "vertex_ai": "gcp.vertex_ai",
    "vertex_ai_beta": "gcp.vertex_ai",
    "xai": "x_ai",
}
_OPERATIONS: Final = {"embedding": "embeddings", "text_completion": "text_completion"}
_READ: Final = ("prompt_tokens_details.cached_tokens", "cache_read_input_tokens")
_WRITTEN: Final = (
    "prompt_tokens_details.cache_write_tokens",
    "prompt_tokens_details.cache_creation_tokens",
    "cache_creation_input_tokens",
)
_SPLIT: Final = ("prompt_tokens_details.cache_creation_token_details.", "cache_creation.")


def litellm_events(payload: object) -> list[EventFields]:
    """Read ``kwargs["standard_logging_object"]`` into the fields of events.

    *Shape*: one event, failed calls too; none where no usage came or LiteLLM's own cache answered.
    The event's id is made of the payload's, so that a payload that is logged twice counts once.
    """
    failed = identifier(field(payload, "status")) == "failure"
    counts = Counts(payload, *_usage_objects(payload))
    leaves, convention = _leaves(counts)
    if field(payload, "cache_hit") is True or not (counts.seen or failed):
        return []
    total = counts.total("total_tokens")
    fields = usage_fields(
        counts,
        leaves,
        total=None if failed and not total else total,
        **_named(payload),
        **_dimensions(payload),
        **_times(payload),
        service_tier=service_tier(field(payload, "response", "service_tier"), counts),
        usage_convention=convention,
        status="error" if failed else "",
        error_type=identifier(field(payload, "error_information", "error_class")) if failed else "",
        reported_cost_usd=_cost(payload),
    )
    return [fields]


def _usage_objects(payload: object) -> list[Any]:
    paths = (("metadata", "usage_object"), ("hidden_params", "usage_object"), ("response", "usage"))
    return [found for path in paths if (found := field(payload, *path)) is not None]


def _leaves(counts: Counts) -> tuple[EventFields, str]:
    written = cache_writes(
        counts.read(*_WRITTEN),
        counts,
        five_minutes=counts.get(*(f"{place}ephemeral_5m_input_tokens" for place in _SPLIT)),
        one_hour=counts.get(*(f"{place}ephemeral_1h_input_tokens" for place in _SPLIT)),
    )
    leaves, convention = relayed_leaves(
        counts,
        whole=(counts.get("prompt_tokens"), counts.get("completion_tokens")),
        total=counts.total("total_tokens"),
        read=counts.get(*_READ),
        write=written,
        audio=(
            counts.get("prompt_tokens_details.audio_tokens"),
            counts.get("completion_tokens_details.audio_tokens"),
        ),
        reasoning=counts.get("completion_tokens_details.reasoning_tokens"),
    )
    searches = counts.get("server_tool_use.web_search_requests", "prompt_tokens_details.web_search_requests")
    return leaves | {"web_search_requests": searches}, convention


def _named(payload: object) -> EventFields:
    given = identifier(field(payload, "custom_llm_provider"))
    model = identifier(field(payload, "model")).removeprefix(f"{given}/")
    call = identifier(field(payload, "call_type")).removeprefix("a")
    payload_id, started = identifier(field(payload, "id")), moment(field(payload, "startTime"), per_second=1)
    return {
        **who(_PROVIDERS.get(given, given[:64]) or "unknown", model, identifier(field(payload, "model_group"))),
        "response_id": payload_id,
        "operation": _OPERATIONS.get(call, ""),
        "event_id": stable_id("litellm", payload_id, str(started)) if payload_id else "",
    }


def _dimensions(payload: object) -> EventFields:
    def first(*names: str) -> str:
        return next((found for name in names if (found := label(field(payload, *name.split("."))))), "")

    return {
        "tenant": first("metadata.user_api_key_org_alias", "metadata.user_api_key_org_id"),
        "team": first("metadata.user_api_key_team_alias", "metadata.user_api_key_team_id"),
        "user_id": first("end_user", "metadata.user_api_key_end_user_id", "metadata.user_api_key_user_id"),
        "api_key_id": first("metadata.user_api_key_alias", "metadata.user_api_key_hash"),
        "session_id": first("session_id", "trace_id"),
    }


def _times(payload: object) -> EventFields:
    started, ended, first = (
        moment(field(payload, name), per_second=1) for name in ("startTime", "endTime", "completionStartTime")
    )
    return {
        "started_at": started,
        "occurred_at": ended,
        "latency_ms": elapsed_ms(started, ended),
        "ttft_ms": elapsed_ms(started, first) if field(payload, "stream") is True else None,
    }


def _cost(payload: object) -> Any:
    cost = amount_usd(field(payload, "response_cost"))
    unknown = not cost and field(payload, "response_cost_failure_debug_info") is not None
    failed = not cost and identifier(field(payload, "status")) == "failure"
    return None if unknown or failed else cost
