"""The JSON Schema files say what the models say, and never change once published."""

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from pydantic import ValidationError

from spendgauge.schemas import END_SCHEMA, GAPS_SCHEMA, RATES_SCHEMA, REJECTED_SCHEMA, USAGE_SCHEMA, json_schemas
from spendgauge.schemas.alerts import ALERTS_SCHEMA
from spendgauge.schemas.json_schemas import MODELS, main, published, schema_file_name, schema_text
from spendgauge.schemas.notifications import NOTIFICATION_SCHEMA
from spendgauge.schemas.quotas import QUOTAS_SCHEMA
from spendgauge.schemas.refusals import REFUSALS_SCHEMA
from spendgauge.schemas.silences import ACKNOWLEDGEMENT_SCHEMA, SILENCE_SCHEMA

PUBLISHED = {
    "spendgauge.acknowledgement-1.schema.json": "3dbd487bfaa5328d97774b833ae56f5daf71947e25ea2f8acd7c4f03d885afca",
    "spendgauge.alerts-1.schema.json": "d7f2a92c217addb22c0c149c4111873b00c107964354e6e088540dacf381bd25",
    "spendgauge.end-1.schema.json": "111e487f2212378afa1906c850a37fc460a6c388b014b6f46e5410a85fad4831",
    "spendgauge.gaps-1.schema.json": "40cb0aa2ffa55cb9b3c2c5fc456c8734abcac4d730a4b2e3b970c5f1e34cc16d",
    "spendgauge.notification-1.schema.json": "b8e8af4b965207a4cc539e572e1d0a4700d401d22e2f5e1153630db2132f73fb",
    "spendgauge.quotas-1.schema.json": "8033029962111ef5363ac5e16fb265dc41bf735cabc89ecf5c6d2be050ce1f6e",
    "spendgauge.rates-1.schema.json": "a0677c57d3f4f16725fbf9a2a258d182dbd77bddf928faa55452acb94f32c8e0",
    "spendgauge.refusals-1.schema.json": "e2df9bf9238ae15b94de68a7998072ab4a678d1ad3ec42c587e93ea2bd45f773",
    "spendgauge.rejected-1.schema.json": "285432cea82eb8916bcb5c4929356ceaf80e2628dc123698707eaa2cc1db372e",
    "spendgauge.silence-1.schema.json": "0219192162e1cc99a865b3ac2f6e78a92dc4fccebf0517e965ef070266f1f794",
    "spendgauge.usage-1.schema.json": "c6aa50e196f2a86bb23e806b645e58da25f18db5f79648743637b8e7e7a6c22d",
}

AN_ID = "0190c5b0-3d6e-7c41-9f0e-2a6f1d0b7e55"
ANOTHER_ID = "0190c5b0-3d6e-7c41-9f0e-2a6f1d0b7e56"
USAGE: dict[str, Any] = {
    "event_id": AN_ID,
    "occurred_at": "2026-01-31T12:00:00.000Z",
    "provider": "anthropic",
    "model": "claude-sonnet-4-5",
}
END: dict[str, Any] = {
    "schema": "spendgauge.end/1",
    "source": "api/1",
    "next_seq": 12,
    "closed_at": "2026-01-31T12:00:00.000Z",
}
RATES: dict[str, Any] = {
    "series": "provider+model",
    "key": ["anthropic", "claude-sonnet-4-5"],
    "pane_start": 1_769_860_800,
    "pane_seconds": 10,
    "stream": "AaIDwJI8etOS/Hq70tPJWA:16384",
    "partition": 0,
    "block": 1,
    "edition": 0,
    "version": 16_390,
    **dict.fromkeys(["requests", "errors", "unpriced", "web_search_requests", "reasoning_tokens", "output_tokens"], 1),
    **dict.fromkeys(["input_tokens", "cache_read_tokens", "cache_write_5m_tokens", "cache_write_1h_tokens"], 2),
    **dict.fromkeys(["input_audio_tokens", "output_audio_tokens"], 3),
    "cost_usd": "0.000006000000",
}
REJECTED: dict[str, Any] = {
    "stream": "AaIDwJI8etOS/Hq70tPJWA:16384",
    "topic": "usage.events",
    "partition": 0,
    "offset": 7,
    "line": 2,
    "received_at_ms": 1_769_860_800_000,
    "reason": "invalid_json",
    "detail": "not JSON in UTF-8: EOF while parsing a value at line 1 column 1",
    "value": "ew==",
}
ALERT: dict[str, Any] = {
    "alert_id": "a",
    "incident_id": "a",
    "rule": "spike",
    "state": "raised",
    "severity": "page",
    "series": "feature",
    "key": ["chat"],
    "onset": 1_769_860_800,
    "evaluated_at": 1_769_860_860,
    "window_seconds": 60,
    "usual_usd": "1.000000000000",
    "seen_usd": "9.000000000000",
    "excess_usd": "8.000000000000",
    "excess_usd_per_hour": "480.000000000000",
    "since_onset_usd": "8.000000000000",
    "driver": "requests",
    "contributors": [{"series": "user_id", "key": ["u1"], "excess_usd": "8.000000000000"}],
    "message": "chat costs nine times what it usually does.",
}

GAPS: dict[str, Any] = {
    "source": "api/1",
    "stream": "AaIDwJI8etOS/Hq70tPJWA:16384",
    "partition": 0,
    "version": 16_390,
    "next_seq": 12,
    "gaps": [{"first_seq": 3, "last_seq": 5, "opened_offset": 7, "opened_at_ms": 1_769_860_800_000}],
    "repeats": 2,
    "shared": False,
}

SILENCE: dict[str, Any] = {
    "silence_id": "5f0c",
    "rule": "spike",
    "series": "provider+model",
    "key": ["*", "claude-sonnet-4-5"],
    "until": "2026-01-31T14:00:00.000Z",
    "by": "ada",
    "created_at": "2026-01-31T12:00:00.000Z",
}
ACKNOWLEDGEMENT: dict[str, Any] = {"incident_id": "a", "by": "ada", "at": "2026-01-31T12:00:00.000Z"}
NOTIFICATION: dict[str, Any] = {
    "type": "alert.raised",
    "timestamp": "2026-01-31T12:00:00.000Z",
    "data": {
        "channel": "ops",
        "severity": "page",
        "subject": "PAGE spike: feature 'chat'",
        "text": "chat costs nine times what it usually does.",
        "acknowledge": "spendgauge alerts ack ca978112",
        "incident": {"incident_id": "a", "short_id": "ca978112", "alerts": 1, "up": 1, "onset": 1_769_860_800},
        "alert": ALERT,
    },
}
LIMIT: dict[str, Any] = {
    "kind": "limit",
    "name": "a user",
    "series": "user_id",
    "key": ["*"],
    "unit": "usd",
    "soft": "20.000000000000",
    "hard": "25.000000000000",
    "period": "month",
    "days": None,
    "time_zone": "Europe/Zurich",
}
STANDING: dict[str, Any] = {
    "kind": "standing",
    "name": "a user",
    "series": "user_id",
    "key": ["u1"],
    "unit": "usd",
    "spent": "21.500000000000",
    "period_start": 1_769_900_400,
    "resets_at": 1_772_319_600,
    "as_of_ms": 1_769_999_999_123,
    "state": "soft",
    "partition": 3,
}
REFUSAL: dict[str, Any] = {
    "refusal_id": AN_ID,
    "refused_at": "2026-01-31T12:00:00.000Z",
    "action": "refused",
    "reason": "hard",
    "quota": "a user",
    "series": "user_id",
    "key": ["u1"],
    "unit": "tokens",
    "limit": "1000000",
    "spent": "999000",
    "reserved": "500",
    "estimate": "800",
    "resets_at": 1_772_319_600,
    "source": "api@host#boot",
}

USAGE_CHANGES: list[tuple[dict[str, Any], bool]] = [
    ({}, True),
    ({"input_tokens": 0, "output_tokens": 100_000_000}, True),
    ({"input_tokens": 100_000_001}, False),
    ({"input_tokens": -1}, False),
    ({"input_tokens": "1"}, False),
    ({"input_tokens": 1.5}, False),
    ({"input_tokens": True}, False),
    ({"input_tokens": None}, False),
    ({"reported_total_tokens": None}, True),
    ({"reported_total_tokens": -1}, False),
    ({"kind": "adjustment", "adjusts": ANOTHER_ID, "input_tokens": -5, "reported_cost_usd": "-1"}, True),
    ({"kind": "adjustment"}, False),
    ({"kind": "adjustment", "adjusts": None}, False),
    ({"adjusts": ANOTHER_ID}, False),
    ({"kind": "refund"}, False),
    ({"event_id": AN_ID.upper()}, True),
    ({"event_id": AN_ID.replace("-", "")}, False),
    ({"event_id": "00000000-0000-0000-0000-000000000000"}, False),
    ({"event_id": None}, False),
    ({"source": "api/1", "seq": 0}, True),
    ({"seq": 0}, False),
    ({"source": "", "seq": 0}, False),
    ({"seq": None}, True),
    ({"source": None}, False),
    ({"source": "api/1", "seq": -1}, False),
    ({"source": "api/1", "seq": 2**62 + 1}, False),
    ({"occurred_at": "2026-01-31T12:00:00+05:30"}, True),
    ({"occurred_at": "2026-01-31T12:00:00"}, False),
    ({"occurred_at": "2026-01-31 12:00:00Z"}, False),
    ({"occurred_at": "2026-01-31T24:00:00Z"}, False),
    ({"occurred_at": 1_769_860_800}, False),
    ({"started_at": None}, True),
    ({"provider": ""}, False),
    ({"provider": "x" * 65}, False),
    ({"model": "é" * 256}, True),
    ({"model": "é" * 257}, False),
    ({"tenant": None, "team": ""}, True),
    ({"tenant": "x" * 257}, False),
    ({"service_tier": "cheap"}, False),
    ({"quality_score": 1}, True),
    ({"quality_score": 1.01}, False),
    ({"attempt": 0}, False),
    ({"tags": {"a": "b"}}, True),
    ({"tags": {"": "b"}}, False),
    ({"tags": {"a": 1}}, False),
    ({"tags": {"x" * 65: "b"}}, False),
    ({"tags": {str(number): "" for number in range(17)}}, False),
    ({"tags": None}, False),
    ({"reported_cost_usd": "0.0105"}, True),
    ({"reported_cost_usd": 0.0105}, False),
    ({"reported_cost_usd": "-0.01"}, False),
    ({"reported_cost_usd": "1e-3"}, False),
    ({"reported_cost_usd": "0.0000000000001"}, False),
    ({"reported_cost_usd": "1000000"}, False),
    ({"prompt": "hello"}, False),
]
OTHER_CHANGES: list[tuple[str, dict[str, Any], bool]] = [
    (END_SCHEMA, {}, True),
    (END_SCHEMA, {"schema": "spendgauge.end/2"}, False),
    (END_SCHEMA, {"source": "é" * 256}, True),
    (END_SCHEMA, {"source": ""}, False),
    (END_SCHEMA, {"source": "é" * 257}, False),
    (END_SCHEMA, {"next_seq": 0}, True),
    (END_SCHEMA, {"next_seq": -1}, False),
    (END_SCHEMA, {"next_seq": 2**62 + 1}, True),
    (END_SCHEMA, {"next_seq": 2**62 + 2}, False),
    (END_SCHEMA, {"next_seq": None}, False),
    (END_SCHEMA, {"closed_at": 1_769_860_800}, False),
    (END_SCHEMA, {"seq": 11}, False),
    (RATES_SCHEMA, {}, True),
    (RATES_SCHEMA, {"cost_usd": "-99999999999999999999999999.000000000001"}, True),
    (RATES_SCHEMA, {"cost_usd": "1.5"}, False),
    (RATES_SCHEMA, {"cost_usd": "٣.000000000000"}, False),
    (RATES_SCHEMA, {"requests": -1}, False),
    (RATES_SCHEMA, {"input_tokens": -1}, True),
    (RATES_SCHEMA, {"input_tokens": 2**63}, False),
    (RATES_SCHEMA, {"pane_seconds": 0}, False),
    (RATES_SCHEMA, {"edition": 2**16}, False),
    (RATES_SCHEMA, {"version": 2**48}, False),
    (GAPS_SCHEMA, {}, True),
    (GAPS_SCHEMA, {"gaps": []}, True),
    (GAPS_SCHEMA, {"gaps": [{"first_seq": 3, "last_seq": 5}]}, False),
    (GAPS_SCHEMA, {"gaps": GAPS["gaps"] * 1_025}, False),
    (GAPS_SCHEMA, {"source": ""}, False),
    (GAPS_SCHEMA, {"repeats": -1}, False),
    (REJECTED_SCHEMA, {}, True),
    (REJECTED_SCHEMA, {"key": None, "headers": [["a", None], ["b", "eA=="]]}, True),
    (REJECTED_SCHEMA, {"headers": [["a"]]}, False),
    (REJECTED_SCHEMA, {"reason": "ugly"}, False),
    (REJECTED_SCHEMA, {"detail": "x" * 501}, False),
    (REJECTED_SCHEMA, {"value": None}, False),
    (QUOTAS_SCHEMA, LIMIT, True),
    (QUOTAS_SCHEMA, LIMIT | {"soft": None}, True),
    (QUOTAS_SCHEMA, LIMIT | {"hard": 25}, False),
    (QUOTAS_SCHEMA, LIMIT | {"hard": "25.5"}, False),
    (QUOTAS_SCHEMA, LIMIT | {"kind": "standing"}, False),
    (QUOTAS_SCHEMA, LIMIT | {"period": "rolling", "days": 7}, True),
    (QUOTAS_SCHEMA, LIMIT | {"period": "rolling", "days": 0}, False),
    (QUOTAS_SCHEMA, STANDING, True),
    (QUOTAS_SCHEMA, STANDING | {"resets_at": None}, True),
    (QUOTAS_SCHEMA, STANDING | {"unit": "requests"}, False),
    (QUOTAS_SCHEMA, STANDING | {"unit": "tokens", "spent": "-12"}, True),
    (QUOTAS_SCHEMA, {"kind": "clock", "partition": 0, "as_of_ms": 1}, True),
    (QUOTAS_SCHEMA, {"kind": "clock", "partition": -1, "as_of_ms": 1}, False),
    (QUOTAS_SCHEMA, {"partition": 0, "as_of_ms": 1}, False),
    (REFUSALS_SCHEMA, {}, True),
    (REFUSALS_SCHEMA, {"reason": "unknown", "quota": "", "series": "total", "key": [], "limit": None}, True),
    (REFUSALS_SCHEMA, {"action": "allowed"}, False),
    (REFUSALS_SCHEMA, {"refused_at": 1}, False),
    (REFUSALS_SCHEMA, {"source": ""}, False),
    (ALERTS_SCHEMA, {}, True),
    (ALERTS_SCHEMA, {"state": "ended"}, False),
    (ALERTS_SCHEMA, {"contributors": ALERT["contributors"] * 4}, False),
    (ALERTS_SCHEMA, {"window_seconds": 0}, False),
    (SILENCE_SCHEMA, {}, True),
    (SILENCE_SCHEMA, {"rule": "", "series": "", "key": [], "reason": "tests"}, True),
    (SILENCE_SCHEMA, {"key": ["*"] * 17}, False),
    (SILENCE_SCHEMA, {"until": 1_769_868_000}, False),
    (SILENCE_SCHEMA, {"until": None}, False),
    (SILENCE_SCHEMA, {"by": ""}, False),
    (SILENCE_SCHEMA, {"reason": "x" * 501}, False),
    (ACKNOWLEDGEMENT_SCHEMA, {}, True),
    (ACKNOWLEDGEMENT_SCHEMA, {"incident_id": ""}, False),
    (ACKNOWLEDGEMENT_SCHEMA, {"at": "2026-01-31T12:00:00"}, False),
    (ACKNOWLEDGEMENT_SCHEMA, {"until": "2026-01-31T12:00:00.000Z"}, False),
    (NOTIFICATION_SCHEMA, {}, True),
    (NOTIFICATION_SCHEMA, {"type": "alert.acknowledged"}, False),
    (NOTIFICATION_SCHEMA, {"data": NOTIFICATION["data"] | {"severity": "info"}}, False),
    (NOTIFICATION_SCHEMA, {"data": NOTIFICATION["data"] | {"alert": {}}}, False),
]
EXAMPLES = {
    USAGE_SCHEMA: USAGE,
    END_SCHEMA: END,
    RATES_SCHEMA: RATES,
    REJECTED_SCHEMA: REJECTED,
    ALERTS_SCHEMA: ALERT,
    GAPS_SCHEMA: GAPS,
    QUOTAS_SCHEMA: {},
    REFUSALS_SCHEMA: REFUSAL,
    SILENCE_SCHEMA: SILENCE,
    ACKNOWLEDGEMENT_SCHEMA: ACKNOWLEDGEMENT,
    NOTIFICATION_SCHEMA: NOTIFICATION,
}


def test_a_published_schema_never_changes() -> None:
    """Each published file has the digest it was published with; a new shape is a new version, never an edit."""
    digests = {file.name: sha256(file.read_bytes()).hexdigest() for file in published().iterdir()}
    assert digests == PUBLISHED


def test_every_current_schema_is_published(capsys: pytest.CaptureFixture[str]) -> None:
    """The files in the package are what the models generate now, and the generator says so."""
    for name in MODELS:
        assert (published() / schema_file_name(name)).read_text(encoding="utf-8") == schema_text(name)
    assert main([]) == 0
    assert capsys.readouterr().out == ""


def test_a_stale_file_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file that is missing or differs from its model fails the check by name; ``--write`` makes it good."""
    monkeypatch.setattr(json_schemas, "published", lambda: tmp_path)
    assert main([]) == 1
    assert main(["--write"]) == 0
    (tmp_path / "spendgauge.rates-1.schema.json").write_text("{}")
    capsys.readouterr()
    assert main([]) == 1
    assert capsys.readouterr().out.startswith("spendgauge.rates-1.schema.json differ")


@pytest.mark.parametrize("name", MODELS)
def test_a_schema_is_a_schema(name: str) -> None:
    """Each file is valid by the JSON Schema dialect that it names."""
    Draft202012Validator.check_schema(json.loads(schema_text(name)))


@pytest.mark.parametrize(
    ("name", "changes", "valid"), [*((USAGE_SCHEMA, *pair) for pair in USAGE_CHANGES), *OTHER_CHANGES]
)
def test_json_schema_and_pydantic_agree(name: str, changes: dict[str, Any], valid: bool) -> None:
    """A document is valid by the JSON Schema exactly if the model accepts its text."""
    document = EXAMPLES[name] | changes
    assert Draft202012Validator(json.loads(schema_text(name))).is_valid(document) is valid
    if valid:
        MODELS[name].model_validate_json(json.dumps(document))
    else:
        with pytest.raises(ValidationError):
            MODELS[name].model_validate_json(json.dumps(document))
