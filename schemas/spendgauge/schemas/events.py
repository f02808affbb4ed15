"""What is a usage event?

One ``UsageEvent`` is what one call to a model used: who asked, which model answered, when, and how many
tokens of each kind. Token counts are *disjoint leaves*: no token is in two of them, whatever convention the
provider reports in (Anthropic's ``input_tokens`` excludes cached tokens, OpenAI's and OpenTelemetry's include
them). The ledger is append-only: a correction is a signed ``adjustment`` event, never an overwrite.

There is no field for a prompt or a completion, and unknown fields are refused: text cannot get in.

Pydantic is the authority on what is valid; ``schemas.chunks`` is a faster road to the same answer.
"""

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any, Final, Literal, Self
from uuid import UUID

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    model_validator,
)

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

MAX_TOKENS: Final = 100_000_000
"""The most tokens of one kind in one event. With prices up to 1,000 USD per million tokens an event stays
below 1e18 picodollars, which is what a 64-bit integer and ``Decimal(18, 12)`` can hold."""

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

_RFC3339 = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,9})?(Z|[+-]\d{2}:\d{2})", re.ASCII)
_USD_TEXT = re.compile(r"-?\d{1,6}(\.\d{1,12})?", re.ASCII)


def _utc_milliseconds(value: Any) -> Any:
    """Read an RFC 3339 time and cut it to whole milliseconds, UTC.

    Bare numbers are refused: whether they are seconds or milliseconds is a guess that goes wrong silently.
    """
    if isinstance(value, str):
        if not _RFC3339.fullmatch(value):
            raise ValueError(f"{value!r} is not an RFC 3339 time with a zone, such as 2026-01-31T12:00:00.000Z")
        value = datetime.fromisoformat(value)
    if not isinstance(value, datetime):
        return value
    if value.tzinfo is None:
        raise ValueError(f"{value.isoformat()} has no time zone; use an aware datetime in UTC")
    try:
        utc = value.astimezone(UTC)
    except OverflowError:
        raise ValueError(f"{value.isoformat()} is outside the calendar in UTC") from None
    return utc.replace(microsecond=utc.microsecond // 1000 * 1000)


def _utc_text(value: datetime) -> str:
    return value.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _usd_text_only(value: Any) -> Any:
    if isinstance(value, Decimal):
        value = f"{value:f}"
    if not (isinstance(value, str) and _USD_TEXT.fullmatch(value)):
        raise ValueError(
            f'{value!r} is not an amount in USD; write a decimal string such as "0.0105", at most twelve decimals'
        )
    return Decimal(value)


def _empty_is_not_given(value: Any) -> Any:
    return "" if value is None else value


def _canonical_uuid(value: Any) -> Any:
    if isinstance(value, str):
        try:
            return str(UUID(value))
        except ValueError:
            raise ValueError(f"{value!r} is not a UUID") from None
    return value


Milliseconds = Annotated[
    datetime,
    BeforeValidator(_utc_milliseconds),
    PlainSerializer(_utc_text, return_type=str, when_used="json"),
]
"""An aware UTC time, cut to whole milliseconds."""

Count = Annotated[int, Field(ge=-MAX_TOKENS, le=MAX_TOKENS)]
"""Negative only in an adjustment."""

Name = Annotated[str, BeforeValidator(_empty_is_not_given), Field(max_length=256)]
"""A dimension's value; null and the empty string both mean: not given."""

Usd = Annotated[Decimal, BeforeValidator(_usd_text_only), PlainSerializer(lambda d: f"{d:f}", return_type=str)]


class UsageEvent(BaseModel):
    """What one call to a model used. Field names follow OpenTelemetry's GenAI conventions where it has one."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    event_id: Annotated[str, BeforeValidator(_canonical_uuid)] = Field(
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
        description="Contiguous per source from 0; null for foreign writers only.",
    )
    kind: Literal["usage", "adjustment"] = "usage"
    adjusts: Annotated[str, BeforeValidator(_canonical_uuid)] | None = Field(
        default=None, description="The event that an adjustment corrects."
    )

    occurred_at: Milliseconds = Field(description="The end of the response, on the caller's clock, UTC.")
    started_at: Milliseconds | None = Field(
        default=None, description="The start of the request, on the caller's clock, UTC."
    )

    provider: str = Field(
        min_length=1,
        max_length=64,
        description="As OpenTelemetry's gen_ai.provider.name: anthropic, openai, ...",
    )
    model: str = Field(min_length=1, max_length=256, description="The model that answered, as the response names it.")
    request_model: Name = Field(default="", description="The model that was asked for.")
    operation: Annotated[str, Field(max_length=64)] = Field(default="chat", description="gen_ai.operation.name")
    service_tier: Literal["standard", "batch", "flex", "priority"] = "standard"
    response_id: Name = ""
    usage_source: Literal["provider", "estimated"] = "provider"
    usage_convention: Literal["", "exclusive", "inclusive"] = Field(
        default="",
        description="Whether the provider's own input count left cached tokens out or included them.",
    )

    input_tokens: Count = Field(default=0, description="Uncached text input.")
    cache_read_tokens: Count = 0
    cache_write_5m_tokens: Count = 0
    cache_write_1h_tokens: Count = 0
    output_tokens: Count = Field(default=0, description="Text output, reasoning included.")
    input_audio_tokens: Count = 0
    output_audio_tokens: Count = 0
    reasoning_tokens: Count = Field(default=0, description="Of which output_tokens; never added to a sum.")
    web_search_requests: Annotated[int, Field(ge=-1_000_000, le=1_000_000)] = 0
    reported_total_tokens: Annotated[int, Field(ge=-8 * MAX_TOKENS, le=8 * MAX_TOKENS)] | None = Field(
        default=None,
        description="The provider's own total, kept to be checked against the sum of the leaves.",
    )

    status: Literal["ok", "error", "cancelled"] = "ok"
    error_type: Name = ""
    attempt: Annotated[int, Field(ge=1, le=1000)] = 1
    latency_ms: Annotated[int, Field(ge=0, le=2**31 - 1)] | None = None
    ttft_ms: Annotated[int, Field(ge=0, le=2**31 - 1)] | None = Field(
        default=None, description="Time to the first token."
    )
    quality_score: Annotated[float, Field(ge=0, le=1)] | None = None

    tenant: Name = Field(default="", description="The customer or workspace served.")
    team: Name = ""
    environment: Name = ""
    service: Name = ""
    feature: Name = ""
    agent: Name = ""
    user_id: Name = ""
    session_id: Name = ""
    api_key_id: Name = ""
    entity_id: Name = Field(default="", description="What the call was for: a submission, a ticket.")
    tags: Annotated[
        dict[Annotated[str, Field(min_length=1, max_length=64)], Annotated[str, Field(max_length=256)]],
        Field(max_length=16),
    ] = {}

    reported_cost_usd: Usd | None = Field(
        default=None,
        description="What the provider says it costs, kept beside our own figure; a decimal string.",
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.kind == "adjustment":
            if self.adjusts is None:
                raise ValueError("an adjustment must say in `adjusts` which event it corrects")
            return self
        if self.adjusts is not None:
            raise ValueError("`adjusts` belongs to an adjustment; this event's kind is usage")
        for name in (*LEAVES, "reasoning_tokens"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} {getattr(self, name)} must be >= 0; only an adjustment may be negative")
        if self.reasoning_tokens > self.output_tokens:
            raise ValueError(
                f"reasoning_tokens {self.reasoning_tokens} are part of output_tokens {self.output_tokens}, "
                "so they cannot exceed them"
            )
        return self
