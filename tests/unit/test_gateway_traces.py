"""What becomes of traces? Spans of calls to models are items, the same from protobuf and from JSON."""

import json
from typing import Any

import pytest
from google.protobuf.json_format import ParseDict
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from spendgauge.producers.gateway.formats import JSON
from spendgauge.producers.gateway.replies import PROTOBUF, RefusedError
from spendgauge.producers.gateway.traces import export_reply, read_traces

TRACE, SPAN = "5B8EFFF798038103D269B633813FC60C", "EEE19B7EC3C1B174"


def attributes(**values: Any) -> list[dict[str, Any]]:
    """Write attributes; a double underscore is a dot."""
    kinds = {int: "intValue", str: "stringValue", float: "doubleValue", bool: "boolValue", dict: "arrayValue"}
    return [{"key": name.replace("__", "."), "value": {kinds[type(v)]: v}} for name, v in values.items()]


def span(**values: Any) -> dict[str, Any]:
    """A span with these attributes, of two seconds."""
    times = {"startTimeUnixNano": 1_790_000_000_000_000_000, "endTimeUnixNano": 1_790_000_002_000_000_000}
    return {"traceId": TRACE, "spanId": SPAN, "name": "chat", **times, "attributes": attributes(**values)}


CALLED = span(
    gen_ai__operation__name="chat",
    gen_ai__provider__name="openai",
    gen_ai__response__model="gpt-5-mini",
    gen_ai__usage__input_tokens=812,
    gen_ai__usage__cache_read__input_tokens=12,
    gen_ai__usage__output_tokens=64,
    gen_ai__input__messages="please keep this to yourself",
    odd={"values": []},
)
OTHER = span(http__method="GET")


def request(*spans: dict[str, Any]) -> dict[str, Any]:
    """An export of one service."""
    resource = {"attributes": attributes(service__name="bot", deployment__environment__name="prod")}
    return {"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": list(spans)}]}]}


def protobuf(export: dict[str, Any]) -> bytes:
    """Write an export as protobuf. Its own JSON has ids in base64, OTLP's in hexadecimal."""
    plain = json.loads(json.dumps(export))
    for one in plain["resourceSpans"][0]["scopeSpans"][0]["spans"]:
        one.pop("traceId")
        one.pop("spanId")
    message = ParseDict(plain, ExportTraceServiceRequest())
    for one in message.resource_spans[0].scope_spans[0].spans:
        one.trace_id, one.span_id = bytes.fromhex(TRACE), bytes.fromhex(SPAN)
    return bytes(message.SerializeToString())


def test_both_forms_say_the_same() -> None:
    """Protobuf and JSON, ids in capitals or not, give the same event; other spans are counted."""
    export = request(CALLED, OTHER, OTHER)
    lower = request(CALLED | {"traceId": TRACE.lower(), "spanId": SPAN.lower()}, OTHER, OTHER)
    found = read_traces(PROTOBUF, protobuf(export))
    assert found == read_traces(JSON, json.dumps(export).encode()) == read_traces(JSON, json.dumps(lower).encode())
    assert found.ignored == 2
    (item,) = found.items
    assert isinstance(item, dict)
    assert {
        name: item[name] for name in ("provider", "model", "input_tokens", "cache_read_tokens", "output_tokens")
    } == {
        "provider": "openai",
        "model": "gpt-5-mini",
        "input_tokens": 800,
        "cache_read_tokens": 12,
        "output_tokens": 64,
    }
    assert (item["service"], item["environment"], item["latency_ms"]) == ("bot", "prod", 2000)
    assert "yourself" not in str(found)


@pytest.mark.parametrize(
    ("kind", "body", "status"),
    [
        (PROTOBUF, b"\xff\xff\xff", 400),
        (JSON, b"{", 400),
        (JSON, b"[]", 400),
        ("text/plain", b"", 415),
        ("application/x-ndjson", b"", 415),
    ],
)
def test_what_is_no_export_is_refused(kind: str, body: bytes, status: int) -> None:
    """A body that cannot be decoded is not to be sent again (OTLP: 400)."""
    with pytest.raises(RefusedError) as refused:
        read_traces(kind, body)
    assert refused.value.status == status


@pytest.mark.parametrize(
    "body", [{}, {"resourceSpans": None}, {"resourceSpans": [{"scopeSpans": [{"spans": [{"attributes": 3}]}]}]}]
)
def test_an_odd_export_has_no_items(body: object) -> None:
    """What is left out or unknown within a span holds no events, and raises nothing."""
    assert read_traces(JSON, json.dumps(body).encode()).items == []


@pytest.mark.parametrize("body", [[], 3, {"resourceSpans": 3}, {"resourceSpans": [{"scopeSpans": [{"spans": [1]}]}]}])
def test_json_of_another_shape_is_refused(body: object) -> None:
    """Where a list of objects must stand, nothing else may: protobuf would refuse it too."""
    with pytest.raises(RefusedError, match="must be a list of objects"):
        read_traces(JSON, json.dumps(body).encode())


@pytest.mark.parametrize("kind", [PROTOBUF, JSON])
def test_spans_without_end_are_refused(kind: str) -> None:
    """What holds more spans than any exporter sends is not gone through: it would hold the other senders up."""
    ids = {"traceId": "", "spanId": ""}
    export = {"resourceSpans": [{"scopeSpans": [{"spans": [ids for _ in range(100_001)]}]}]}
    with pytest.raises(RefusedError, match="a request may have 100000 spans") as refused:
        read_traces(kind, protobuf(export) if kind == PROTOBUF else json.dumps(export).encode())
    assert refused.value.status == 413


def test_an_empty_export_is_one() -> None:
    """Nothing to say is said by nothing: protobuf of no bytes."""
    assert read_traces(PROTOBUF, b"").items == []


def test_the_answer_counts_what_was_rejected() -> None:
    """``partial_success`` is there only if something was rejected, in the form of the request."""
    assert export_reply(PROTOBUF, 0, "").body == b""
    partial = ExportTraceServiceResponse.FromString(bytes(export_reply(PROTOBUF, 2, "why").body)).partial_success
    assert (partial.rejected_spans, partial.error_message) == (2, "why")
    assert export_reply(JSON, 0, "").body == b"{}"
    assert json.loads(bytes(export_reply(JSON, 2, "why").body)) == {
        "partialSuccess": {"rejectedSpans": "2", "errorMessage": "why"}
    }
