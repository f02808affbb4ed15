"""What is a usage event?

One ``UsageEvent`` is what one call to a model used: who asked, which model answered, when, and how many
tokens of each kind. Token counts are *disjoint leaves*: no token is in two of them, whatever convention the
provider reports in (Anthropic's ``input_tokens`` excludes cached tokens, OpenAI's and OpenTelemetry's include
them). The ledger is append-only: a correction is a signed ``adjustment`` event, never an overwrite.

There is no field for a prompt or a completion, and unknown fields are refused: text cannot get in.

Pydantic is the authority on what is valid; ``schemas.chunks`` is a faster road to the same answer.
"""

from datetime import timedelta
from typing import Annotated, Any, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from spendgauge.schemas.fields import MAX_TOKENS, Count, EventId, Milliseconds, Name, Usd

__all__ = [
    "DIMENSIONS",
    "LEAVES",
    "MAX_EVENT_BYTES",
    "MAX_FUTURE",
    "MAX_PAST",
    "MAX_RECORD_BYTES",
    "MAX_TOKENS",
    "USAGE_SCHEMA",
    "UsageEvent",
]

USAGE_SCHEMA: Final = "spendgauge.usage/1"

MAX_EVENT_BYTES: Final = 8 * 1024
"""A longer line is rejected: an event holds counts and names, never text."""

MAX_RECORD_BYTES: Final = 1024 * 1024
"""A larger Kafka record is rejected whole."""

MAX_PAST: Final = timedelta(days=30)
MAX_FUTURE: Final = timedelta(minutes=5)
"""``occurred_at`` must lie in [received_at - MAX_PAST, received_at + MAX_FUTURE], received_at being the
record's broker timestamp: the same record gets the same verdict however often it is read."""

LEAVES: Final = (
    "input_tokens",
    "cache_read_tokens",
    "cache_write_5m_tokens",
    "cache_write_1h_tokens",
    "output_tokens",
    "input_audio_tokens",
    "output_audio_tokens",
    "web_search_requests",
)
"""What is counted and priced, each thing exactly once. ``reasoning_tokens`` is not here: it is part of
``output_tokens``."""

DIMENSIONS: Final = (
    "tenant",
    "team",
    "environment",
    "service",
    "feature",
    "agent",
    "user_id",
    "session_id",
    "api_key_id",
    "entity_id",
)
"""Who and what a call was for. An empty string means: not given."""

_SIGNED: Final = (*LEAVES, "reasoning_tokens", "reported_total_tokens", "reported_cost_usd")
"""Fields that only an adjustment may have below zero."""

_JSON_SCHEMA_RULES: Final[dict[str, Any]] = {
    "$comment": (
        "Not expressible here, and checked by consumers: reasoning_tokens <= output_tokens in a usage event; "
        "adjusts differs from event_id; dates exist in the calendar, in [2020, 2100) UTC; integers are written "
        "without a decimal point; a line has at most 8192 bytes of UTF-8; occurred_at is at most 30 days before and "
        "5 minutes after the record's broker timestamp."
    ),
    "allOf": [
        {
            "if": {"properties": {"kind": {"const": "adjustment"}}, "required": ["kind"]},
            "then": {"required": ["adjusts"], "properties": {"adjusts": {"type": "string"}}},
            "else": {
                "properties": {"adjusts": {"type": "null"}}
                | {name: {"minimum": 0} for name in _SIGNED if name != "reported_cost_usd"}
                | {"reported_cost_usd": {"not": {"type": "string", "pattern": "^-.*[1-9]"}}},
            },
        },
        {
            "if": {"properties": {"seq": {"type": "integer"}}, "required": ["seq"]},
            "then": {"required": ["source"], "properties": {"source": {"minLength": 1}}},
        },
    ],
}


class UsageEvent(BaseModel):
    """What one call to a model used. Field names follow OpenTelemetry's GenAI conventions where it has one."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, allow_inf_nan=False, json_schema_extra=_JSON_SCHEMA_RULES
    )

    event_id: EventId = Field(
        description="UUIDv7, or UUIDv5 of provider and response id; the ledger keeps each once, for ever."
    )
    source: str = Field(
        default="",
        max_length=256,
        description="The producer instance: service, host, boot, lane. Empty: a foreign writer.",
    )
    seq: int | None = Field(
        default=None,
        ge=0,
        le=2**62,
        description="Contiguous per source from 0, and only with a source; null: a foreign writer.",
    )
    kind: Literal["usage", "adjustment"] = Field(
        default="usage", description="An adjustment corrects another event by signed amounts; nothing is overwritten."
    )
    adjusts: EventId | None = Field(default=None, description="The event that an adjustment corrects.")

    occurred_at: Milliseconds = Field(description="The end of the response, on the caller's clock, UTC.")
    started_at: Milliseconds | None = Field(
        default=None, description="The start of the request, on the caller's clock, UTC."
    )

    provider: str = Field(
        min_length=1, max_length=64, description="As OpenTelemetry's gen_ai.provider.name: anthropic, openai, ..."
    )
    model: str = Field(min_length=1, max_length=256, description="The model that answered, as the response names it.")
    request_model: Name = Field(default="", description="The model that was asked for.")
    operation: str = Field(
        default="chat",
        max_length=64,
        description="As OpenTelemetry's gen_ai.operation.name: chat, embeddings, ...",
    )
    service_tier: Literal["standard", "batch", "flex", "priority"] = Field(
        default="standard", description="The tier that the call was billed in."
    )
    response_id: Name = Field(default="", description="The provider's id of the response.")
    usage_source: Literal["provider", "estimated"] = Field(
        default="provider", description="Who counted the tokens: the provider, or the caller's own estimate."
    )
    usage_convention: Literal["", "exclusive", "inclusive"] = Field(
        default="",
        description="Whether the provider's own input count left cached tokens out (exclusive) or held them.",
    )

    input_tokens: Count = Field(
        default=0, description="Input of text and images that was neither read from a cache nor written to one."
    )
    cache_read_tokens: Count = Field(default=0, description="Input that was read from a cache.")
    cache_write_5m_tokens: Count = Field(default=0, description="Input that was written to a cache for five minutes.")
    cache_write_1h_tokens: Count = Field(default=0, description="Input that was written to a cache for one hour.")
    output_tokens: Count = Field(default=0, description="Output of text, reasoning included.")
    input_audio_tokens: Count = Field(default=0, description="Input of audio that was not read from a cache.")
    output_audio_tokens: Count = Field(default=0, description="Output of audio.")
    reasoning_tokens: Count = Field(default=0, description="Of which output_tokens; never added to a sum.")
    web_search_requests: int = Field(
        default=0, ge=-1_000_000, le=1_000_000, description="Searches that the provider ran and bills by the piece."
    )
    reported_total_tokens: int | None = Field(
        default=None,
        ge=-8 * MAX_TOKENS,
        le=8 * MAX_TOKENS,
        description="The provider's own total, kept to be checked against the sum of the leaves.",
    )

    status: Literal["ok", "error", "cancelled"] = Field(default="ok", description="How the call ended.")
    error_type: Name = Field(
        default="", description="The kind of error, such as rate_limit or timeout; never its text."
    )
    attempt: int = Field(default=1, ge=1, le=1_000_000, description="1 for the first try, 2 for its first repetition.")
    latency_ms: int | None = Field(
        default=None, ge=0, le=2**31 - 1, description="From request to the end of the response, milliseconds."
    )
    ttft_ms: int | None = Field(
        default=None, ge=0, le=2**31 - 1, description="From request to the first token, milliseconds."
    )
    quality_score: float | None = Field(
        default=None, ge=0, le=1, description="How good the answer was, from 0 to 1, by the caller's own measure."
    )

    tenant: Name = Field(default="", description="The customer or workspace served.")
    team: Name = Field(default="", description="The team that answers for the cost.")
    environment: Name = Field(default="", description="production, staging, ...")
    service: Name = Field(default="", description="The service that made the call.")
    feature: Name = Field(default="", description="The feature of the product that needed it.")
    agent: Name = Field(default="", description="The agent or chain that made the call.")
    user_id: Name = Field(default="", description="The user served; may be a pseudonym.")
    session_id: Name = Field(default="", description="The conversation or run it belongs to.")
    api_key_id: Name = Field(default="", description="The name of the API key used; never the key itself.")
    entity_id: Name = Field(default="", description="What the call was for: a submission, a ticket.")
    tags: Annotated[
        dict[Annotated[str, Field(min_length=1, max_length=64)], Annotated[str, Field(max_length=256)]],
        Field(max_length=16),
    ] = Field(default={}, description="Anything else to group by: at most 16 names of 1 to 64 characters.")

    reported_cost_usd: Usd | None = Field(
        default=None,
        description="What the provider says it costs, kept beside our own figure; a decimal string.",
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.seq is not None and not self.source:
            raise ValueError(f"seq {self.seq} counts the events of a source; name the source or leave seq out")
        if self.kind == "adjustment":
            self._check_adjustment()
        else:
            self._check_usage()
        return self

    def _check_adjustment(self) -> None:
        if self.adjusts is None:
            raise ValueError("an adjustment must say in adjusts which event it corrects")
        if self.adjusts == self.event_id:
            raise ValueError("an adjustment is an event of its own; adjusts must differ from event_id")

    def _check_usage(self) -> None:
        if self.adjusts is not None:
            raise ValueError("adjusts belongs to an adjustment; this event's kind is usage")
        for name in _SIGNED:
            value = getattr(self, name)
            if value is not None and value < 0:
                raise ValueError(f"{name} {value} must be >= 0; only an adjustment may be negative")
        if self.reasoning_tokens > self.output_tokens:
            raise ValueError(
                f"reasoning_tokens {self.reasoning_tokens} are part of output_tokens {self.output_tokens}, "
                "so they cannot exceed them"
            )
