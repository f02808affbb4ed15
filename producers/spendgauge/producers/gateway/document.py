"""What does the gateway say of itself? OpenAPI, at ``/openapi.json``; bodies are described by the event's own schema.

FastAPI is told nothing of bodies, or it would read them before a key is looked at, and make objects that are not
needed: what they look like is written here.
"""

from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from spendgauge.producers.gateway.formats import CLOUDEVENT, CLOUDEVENTS, JSON, NDJSON
from spendgauge.producers.gateway.quota_checks import QUESTION
from spendgauge.producers.gateway.replies import PROTOBUF
from spendgauge.schemas import UsageEvent

__all__ = ["describe", "event_schema"]

_EVENT: Final = {
    "provider": "anthropic",
    "model": "claude-sonnet-4-5",
    "input_tokens": 120,
    "cache_read_tokens": 3000,
    "output_tokens": 345,
    "feature": "triage",
}
_ENVELOPE: Final = {
    "specversion": "1.0",
    "id": "call-4711",
    "source": "/billing/eu-1",
    "type": "com.example.llm.call",
    "data": _EVENT,
}
_SPANS: Final = {
    "resourceSpans": [
        {
            "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "support-bot"}}]},
            "scopeSpans": [
                {
                    "spans": [
                        {
                            "traceId": "5b8efff798038103d269b633813fc60c",
                            "spanId": "eee19b7ec3c1b174",
                            "name": "chat gpt-5-mini",
                            "attributes": [
                                {"key": "gen_ai.provider.name", "value": {"stringValue": "openai"}},
                                {"key": "gen_ai.response.model", "value": {"stringValue": "gpt-5-mini"}},
                                {"key": "gen_ai.usage.input_tokens", "value": {"intValue": "812"}},
                                {"key": "gen_ai.usage.output_tokens", "value": {"intValue": "64"}},
                            ],
                        }
                    ]
                }
            ],
        }
    ]
}
_REFUSALS: Final = {
    "400": "The body cannot be read as what its content type says.",
    "401": "No key of this gateway.",
    "403": "A gateway without keys, and a web page or a foreign host name.",
    "413": "Too many bytes or events for one request.",
    "415": "Another content type or encoding than those below.",
    "429": "Too many requests or events for this key; see Retry-After.",
    "503": "Not safe: send it again after Retry-After.",
}
_MESSAGE: Final = {"type": "object", "required": ["message"], "properties": {"message": {"type": "string"}}}
_ITEM: Final = {
    "type": "object",
    "required": ["index"],
    "properties": {
        "index": {"type": "integer", "description": "Its place in the body, from 0."},
        "event_id": {"type": "string", "description": "It is safe, under this id."},
        "duplicate": {"type": "boolean", "description": "It was safe already: this id came before."},
        "error": {"type": "string", "description": "Why it is not: the field and the rule."},
        "retry": {"type": "boolean", "description": "It is valid, and was not safe: send it again."},
    },
}
_STANDING: Final = {
    "quota": {"type": "string", "description": "Its name in budgets.toml."},
    "series": {"type": "string"},
    "key": {"type": "array", "items": {"type": "string"}},
    "unit": {"enum": ["usd", "tokens"]},
    "spent": {"type": "string", "description": "USD with twelve decimals, or whole tokens."},
    "reserved": {"type": "string", "description": "What this gateway holds for calls under way."},
    "resets_at": {"type": ["string", "null"], "format": "date-time", "description": "null: a rolling period."},
}
_STATE: Final = {
    "type": "object",
    "required": [*_STANDING, "soft", "hard"],
    "properties": {**_STANDING, "soft": {"type": ["string", "null"]}, "hard": {"type": ["string", "null"]}},
}
_ALLOWED: Final = {
    "type": "object",
    "required": ["allowed", "reason", "quotas"],
    "properties": {
        "allowed": {"const": True},
        "reason": {"enum": ["ok", "soft", "hard", "unknown"], "description": "hard: with quota_mode warn."},
        "message": {"type": "string"},
        "quotas": {"type": "array", "items": _STATE},
    },
}
_EXCEEDED: Final = {
    "type": "object",
    "required": ["message"],
    "properties": {
        "message": {"type": "string"},
        "allowed": {"const": False},
        "reason": {"const": "hard"},
        **_STANDING,
        "limit": {"type": "string"},
        "estimate": {"type": "string"},
    },
}
_OUTCOMES: Final = {
    "type": "object",
    "required": ["accepted", "rejected", "items"],
    "properties": {
        "accepted": {"type": "integer"},
        "rejected": {"type": "integer"},
        "message": {"type": "string"},
        "items": {"type": "array", "items": _ITEM},
    },
}


def describe(app: FastAPI) -> None:
    """Give the application its description."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _document(app)
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's documented way to extend it


def event_schema() -> dict[str, Any]:
    """Give the JSON Schema of an event as a sender writes it: without source and seq, null for what is not given."""
    schema = UsageEvent.model_json_schema(mode="validation")
    properties = schema["properties"]
    for own in ("source", "seq"):
        del properties[own]
    required = ["provider", "model"]
    for name, rule in properties.items():
        if name not in required:
            told = {key: rule.pop(key) for key in ("description", "title") if key in rule}
            properties[name] = {**told, "anyOf": [rule, {"type": "null"}]}
    schema["required"] = required
    schema["allOf"] = schema["allOf"][:1]
    return schema


def _document(app: FastAPI) -> dict[str, Any]:
    document = get_openapi(
        title="spendgauge gateway",
        version="1",
        summary="Takes usage of language models from services in any language.",
        routes=app.routes,
    )
    paths = document["paths"]
    paths["/v1/usage"]["post"] = _usage()
    paths["/v1/traces"]["post"] = _traces()
    paths["/v1/quota/check"]["post"] = _quota_check()
    for path, summary in (
        ("/healthz", "Whether the process turns."),
        ("/readyz", "Whether events are taken."),
        ("/metrics", "Figures for Prometheus."),
    ):
        paths[path]["get"] = _watched(path, summary)
    document["components"] = {
        "schemas": {
            "Event": event_schema(),
            "Message": _MESSAGE,
            "QuotaAllowed": _ALLOWED,
            "QuotaExceeded": _EXCEEDED,
            "QuotaQuestion": QUESTION.model_json_schema(),
            "Outcomes": _OUTCOMES,
        },
        "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
    }
    return document


def _usage() -> dict[str, Any]:
    event = {"$ref": "#/components/schemas/Event"}
    envelope = {
        "type": "object",
        "required": ["specversion", "id", "source", "type", "data"],
        "properties": {
            "specversion": {"const": "1.0"},
            "id": {"type": "string", "minLength": 1, "maxLength": 1024},
            "source": {"type": "string", "minLength": 1, "maxLength": 1024},
            "type": {"type": "string", "minLength": 1, "maxLength": 1024},
            "time": {"type": ["string", "null"], "format": "date-time"},
            "data": event,
        },
    }
    some = {"anyOf": [event, {"type": "array", "items": event, "minItems": 1}]}
    outcomes = {"application/json": {"schema": {"$ref": "#/components/schemas/Outcomes"}}}
    return {
        "summary": "Send usage events.",
        "description": "Each event is judged by itself. Give event_id where you may send again: it then counts once.",
        "operationId": "send_usage",
        "security": [{"key": []}],
        "requestBody": {
            "required": True,
            "content": {
                JSON: {"schema": some, "examples": {"one": {"value": _EVENT}, "several": {"value": [_EVENT]}}},
                NDJSON: {"schema": {"type": "string"}},
                CLOUDEVENT: {"schema": envelope, "example": _ENVELOPE},
                CLOUDEVENTS: {"schema": {"type": "array", "items": envelope, "minItems": 1}, "example": [_ENVELOPE]},
            },
        },
        "responses": {
            "202": {"description": "All or some are safe; the items say which.", "content": outcomes},
            "422": {"description": "None is a usage event; the items say why.", "content": outcomes},
            **_refusals(),
        },
    }


def _traces() -> dict[str, Any]:
    spans = {
        "type": "object",
        "properties": {"resourceSpans": {"type": ["array", "null"], "items": {"type": "object"}}},
    }
    return {
        "summary": "Send OpenTelemetry traces (OTLP/HTTP).",
        "description": "Spans of calls to models become events; all others are left.",
        "operationId": "send_traces",
        "security": [{"key": []}],
        "requestBody": {
            "required": True,
            "content": {
                PROTOBUF: {"schema": {"type": "string", "format": "binary"}},
                JSON: {"schema": spans, "example": _SPANS},
            },
        },
        "responses": {
            "200": {
                "description": "Taken; partialSuccess says how many spans were rejected.",
                "content": {"application/json": {"schema": {"type": "object"}}, PROTOBUF: {}},
            },
            **_refusals(PROTOBUF),
        },
    }


def _quota_check() -> dict[str, Any]:
    question = {"schema": _reference("QuotaQuestion"), "example": {"user_id": "user-7", "estimate_usd": "0.05"}}
    refusals = _refusals()
    refusals["429"] = {
        "description": "A hard limit would be exceeded: its members say which, and Retry-After when it begins anew. Or "
        "too many requests for this key: a message alone.",
        "content": {JSON: {"schema": _reference("QuotaExceeded")}},
    }
    refusals["503"] = {**refusals["503"], "description": "Too busy; or nobody knows what is spent: see Retry-After."}
    return {
        "summary": "Ask whether a call may be made.",
        "description": "Give the dimensions that its usage event will have. hold_seconds holds the estimate meanwhile.",
        "operationId": "check_quota",
        "security": [{"key": []}],
        "requestBody": {"required": True, "content": {JSON: question}},
        "responses": {
            "200": {
                "description": "It may; reason is not ok where a limit is reached all the same.",
                "content": {JSON: {"schema": _reference("QuotaAllowed")}},
            },
            "422": {
                "description": "It is no such question, or the key may not ask it; the message says why.",
                "content": {JSON: {"schema": _reference("Message")}},
            },
            **refusals,
        },
    }


def _reference(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


def _watched(path: str, summary: str) -> dict[str, Any]:
    kinds = ("text/plain", "application/openmetrics-text") if path == "/metrics" else ("application/json",)
    answers = {"200": {"description": summary, "content": {kind: {} for kind in kinds}}}
    if path == "/metrics":
        return {"summary": summary, "security": [{"key": []}], "responses": answers | _refusals()}
    return {"summary": summary, "responses": answers | {"503": {"description": "No.", "content": {JSON: {}}}}}


def _refusals(*others: str) -> dict[str, Any]:
    content = {JSON: {"schema": {"$ref": "#/components/schemas/Message"}}, **{kind: {} for kind in others}}
    return {status: {"description": text, "content": content} for status, text in _REFUSALS.items()}
