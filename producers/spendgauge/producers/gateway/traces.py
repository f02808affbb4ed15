"""What is in a body of traces? OTLP, protobuf or JSON; spans of calls to models become items, all others are left.

Only what the adapter asks for is read: a prompt that an instrumentation put into a span goes no further than here.
Both forms give the same items, ids too: protobuf's bytes are written as the hexadecimal of OTLP's JSON.

*Source*: OpenTelemetry Protocol 1.9 (OTLP/HTTP): 200 with ``partial_success`` where spans were rejected, 400 where a
body cannot be decoded, and only 429, 502, 503 and 504 are repeated by senders.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import orjson
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTracePartialSuccess,
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from starlette.responses import Response

from spendgauge.producers.adapters.otel import otel_attributes, otel_events
from spendgauge.producers.adapters.reading import field
from spendgauge.producers.gateway.formats import JSON
from spendgauge.producers.gateway.replies import PROTOBUF, RefusedError, json_reply
from spendgauge.producers.gateway.taking import Item

__all__ = ["Traces", "export_reply", "read_traces"]

_MARK: Final = "gen_ai."
_MOST_SPANS: Final = 100_000
"""Of all kinds. Two bytes are a span, and a request of nothing else would hold the other senders up for seconds."""

_SCALARS: Final = ("string_value", "int_value", "double_value", "bool_value")


@dataclass(frozen=True)
class Traces:
    """What a request held: the items, and how many spans were none."""

    items: list[Item]
    ignored: int


def read_traces(content_type: str, body: bytes) -> Traces:
    """Take a body apart. Raises ``RefusedError`` where it is not OTLP."""
    if content_type == PROTOBUF:
        spans = _protobuf_spans(body)
    elif content_type == JSON:
        spans = _json_spans(body)
    else:
        raise RefusedError(415, f"the content-type must be {PROTOBUF} or {JSON}")
    found: list[Item] = []
    ignored = 0
    for number, (span, resource) in enumerate(spans):
        if number == _MOST_SPANS:
            raise RefusedError(413, f"a request may have {_MOST_SPANS} spans; send fewer at a time")
        events = otel_events(span, resource=resource) if span is not None else []
        found.extend(events)
        ignored += not events
    return Traces(found, ignored)


def export_reply(content_type: str, rejected: int, message: str) -> Response:
    """Answer an export that was taken, but for ``rejected`` spans."""
    if content_type == JSON:
        partial = {"rejectedSpans": str(rejected), "errorMessage": message}
        return json_reply(200, {"partialSuccess": partial} if rejected else {})
    reply = ExportTraceServiceResponse()
    if rejected:
        reply.partial_success.CopyFrom(ExportTracePartialSuccess(rejected_spans=rejected, error_message=message))
    return Response(reply.SerializeToString(), 200, media_type=PROTOBUF)


def _protobuf_spans(body: bytes) -> Iterator[tuple[Any, Any]]:
    try:
        request = ExportTraceServiceRequest.FromString(body)
    except DecodeError:
        raise RefusedError(400, "the body is no ExportTraceServiceRequest in protobuf") from None
    for group in request.resource_spans:
        resource = _attributes(group.resource.attributes)
        for scope in group.scope_spans:
            for span in scope.spans:
                called = any(attribute.key.startswith(_MARK) for attribute in span.attributes)
                yield (_span(span) if called else None), resource


def _span(span: Span) -> dict[str, Any]:
    return {
        "traceId": span.trace_id.hex(),
        "spanId": span.span_id.hex(),
        "startTimeUnixNano": span.start_time_unix_nano,
        "endTimeUnixNano": span.end_time_unix_nano,
        "status": {"code": span.status.code},
        "attributes": _attributes(span.attributes),
    }


def _attributes(attributes: Iterator[KeyValue] | Any) -> dict[str, Any]:
    return {attribute.key: _scalar(attribute.value) for attribute in attributes}


def _scalar(value: AnyValue) -> Any:
    kind = value.WhichOneof("value")
    return getattr(value, kind) if kind in _SCALARS else None


def _json_spans(body: bytes) -> Iterator[tuple[Any, Any]]:
    try:
        request = orjson.loads(body)
    except ValueError:
        raise RefusedError(400, "the body is not JSON") from None
    for group in _objects(request, "resourceSpans"):
        resource = otel_attributes(field(group, "resource", "attributes"))
        for scope in _objects(group, "scopeSpans"):
            for span in _objects(scope, "spans"):
                yield _with_lower_ids(span), resource


def _objects(holder: Any, name: str) -> list[dict[str, Any]]:
    """Give the objects of a list; none where it is left out."""
    found = holder.get(name) if isinstance(holder, dict) else False
    if found is None:
        return []
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise RefusedError(400, f"the body is no ExportTraceServiceRequest in JSON: {name} must be a list of objects")
    return found


def _with_lower_ids(span: dict[str, Any]) -> dict[str, Any]:
    return span | {name: span[name].lower() for name in ("traceId", "spanId") if isinstance(span.get(name), str)}
