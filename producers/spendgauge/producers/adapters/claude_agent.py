"""What did a run of the Claude Agent SDK use, by model?

A result message carries totals per model (``model_usage``; ``modelUsage`` in JSON). They are running totals of the
Claude Code process, so a session with several turns states the earlier ones again; ``ClaudeAgentUsage`` subtracts them.
The counts are *exclusive*, as Anthropic's. ``usage`` beside them leaves subagents and helper models out, and is only
used where there is nothing else. Costs are the SDK's own estimates.

*Source*: Claude Agent SDK docs, "Track cost and usage"; the Python SDK's ``ResultMessage`` and ``ModelUsage``;
anthropics/claude-code, issue #83239 (running totals, confirmed), issue #39733; anthropics/claude-agent-sdk-typescript,
issue #112 (``usage`` differs from ``modelUsage``).
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from spendgauge.producers.adapters.anthropic import anthropic_leaves
from spendgauge.producers.adapters.leaves import EventFields, cache_writes, failure_fields, usage_fields, who
from spendgauge.producers.adapters.reading import Counts, amount_usd, field, identifier, stable_id

__all__ = ["ClaudeAgentUsage", "claude_agent_events"]

_MAX_SESSIONS: Final = 1_000
_COUNTS: Final = (
    "inputTokens",
    "cacheReadInputTokens",
    "cacheCreationInputTokens",
    "outputTokens",
    "webSearchRequests",
)
_COST: Final = "costUSD"
_PROVIDERS: Final = {
    "bedrock": "aws.bedrock",
    "foundry": "azure.ai.inference",
    "vertex": "gcp.vertex_ai",
    "anthropicGoogleCloud": "gcp.vertex_ai",
}
_Totals = dict[str, dict[str, Any]]


def claude_agent_events(result: object, *, request_model: str = "") -> list[EventFields]:
    """Read the result message of a process that answers one prompt into the fields of events, one a model.

    For a client that stays open, or a resumed session, use ``ClaudeAgentUsage``: counts would be added twice.
    """
    return ClaudeAgentUsage(request_model=request_model).add(result)


class ClaudeAgentUsage:
    """Turns the running totals of sessions into what each turn used. Keep one for as long as the sessions live.

    Totals that go down, or lose a model, are those of a new process: they count from zero. The thousand sessions heard
    of last are remembered.
    """

    def __init__(self, *, request_model: str = "") -> None:
        self._request_model = request_model
        self._last: dict[str, _Totals] = {}

    def add(self, result: object) -> list[EventFields]:
        """Read a result message into the fields of events: one for each model used since the session's last one.

        *Shape*: none where nothing was used; one without tokens for a run that failed before anything was.
        """
        about = _about(result)
        faults = Counts()
        used = self._since_last(about["session_id"], _totals(result, faults))
        events = [self._event(name, counts, result, about, faults) for name, counts in used.items()]
        if not events:
            events = self._without_models(result, about)
        latency = Counts(result).read("duration_ms")
        return [events[0] | {"latency_ms": latency}] if len(events) == 1 and latency is not None else events

    def _since_last(self, session: str, totals: _Totals) -> _Totals:
        if not totals:
            return {}
        last = self._last.pop(session, {})
        self._last[session] = totals
        if len(self._last) > _MAX_SESSIONS:
            self._last.pop(next(iter(self._last)))
        if any(_went_down(counts, totals.get(model, {})) for model, counts in last.items()):
            last = {}
        used = {model: _difference(counts, last.get(model, {})) for model, counts in totals.items()}
        return {model: counts for model, counts in used.items() if any(counts[name] for name in _COUNTS)}

    def _event(
        self, name: str, used: Mapping[str, Any], result: object, about: EventFields, faults: Counts
    ) -> EventFields:
        counts = Counts(used)
        counts.faults |= faults.faults
        entry = _models(result)[name]
        provider = _PROVIDERS.get(identifier(field(entry, "provider")), "anthropic")
        canonical = identifier(field(entry, "canonicalModel")) if provider == "anthropic" else ""
        written = used["cacheCreationInputTokens"]
        one_hour = Counts(result).get("usage.cache_creation.ephemeral_1h_input_tokens") if _alone(result) else 0
        split = cache_writes(written, counts, five_minutes=0, one_hour=min(one_hour, written))
        leaves = {
            "input_tokens": used["inputTokens"],
            "cache_read_tokens": used["cacheReadInputTokens"],
            "cache_write_5m_tokens": split[0],
            "cache_write_1h_tokens": split[1],
            "output_tokens": used["outputTokens"],
            "web_search_requests": used["webSearchRequests"],
        }
        named = who(provider, canonical or identifier(name).partition("[")[0], self._request_model)
        return usage_fields(
            counts,
            leaves,
            **named,
            **about,
            event_id=_event_id(result, name),
            usage_convention="exclusive",
            reported_cost_usd=used[_COST],
        )

    def _without_models(self, result: object, about: EventFields) -> list[EventFields]:
        named = who("anthropic", None, self._request_model) | {"event_id": _event_id(result, "")}
        if not _models(result):
            counts = Counts(field(result, "usage"))
            leaves = anthropic_leaves(counts)
            if counts.seen and any(leaves.values()):
                return [usage_fields(counts, leaves, **named, **about, usage_convention="exclusive")]
        return [failure_fields(**named, **about)] if about.get("status") else []


def _models(result: object) -> Mapping[str, Any]:
    for name in ("model_usage", "modelUsage"):
        models = field(result, name)
        if isinstance(models, Mapping):
            return models
    return {}


def _alone(result: object) -> bool:
    return len(_models(result)) == 1


def _totals(result: object, faults: Counts) -> _Totals:
    totals: _Totals = {}
    for model, entry in _models(result).items():
        if isinstance(model, str):
            counts = faults.of(entry)
            totals[model] = {name: counts.get(name) for name in _COUNTS} | {_COST: amount_usd(field(entry, _COST))}
    return totals


def _went_down(before: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    return any(now.get(name, 0) < before[name] for name in _COUNTS)


def _difference(now: Mapping[str, Any], before: Mapping[str, Any]) -> dict[str, Any]:
    used: dict[str, Any] = {name: now[name] - before.get(name, 0) for name in _COUNTS}
    cost: Decimal | None = now[_COST]
    if cost is not None:
        cost -= before.get(_COST) or 0
    return used | {_COST: cost if cost is None or cost >= 0 else None}


def _about(result: object) -> EventFields:
    reason, subtype = identifier(field(result, "terminal_reason")), identifier(field(result, "subtype"))
    code = Counts(result).read("api_error_status")
    fields: EventFields = {"operation": "invoke_agent", "session_id": identifier(field(result, "session_id"))}
    if reason.startswith("aborted_"):
        return fields | {"status": "cancelled"}
    if field(result, "is_error") is True or subtype.startswith("error"):
        return fields | {"status": "error", "error_type": f"http_{code}" if code else subtype}
    return fields


def _event_id(result: object, model: str) -> str:
    uuid, session = identifier(field(result, "uuid")), identifier(field(result, "session_id"))
    return stable_id("claude-agent", session, uuid, model) if uuid else ""
