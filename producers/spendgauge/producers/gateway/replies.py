"""What does a sender hear? Outcomes, or one sentence on why nothing was taken, in the form that it speaks.

A refusal is ``{"message": "..."}``; who sends OTLP's protobuf gets the same as its ``Status`` message.
"""

from collections.abc import Mapping, Sequence
from math import ceil
from typing import Any, Final

import orjson
from starlette.responses import Response

from spendgauge.producers.gateway.taking import Outcome
from spendgauge.schemas import SpendgaugeError

__all__ = ["PROTOBUF", "RETRY_SECONDS", "RefusedError", "json_reply", "outcomes_reply", "refusal_reply"]

PROTOBUF: Final = "application/x-protobuf"

RETRY_SECONDS: Final = 5
"""When to come back where the disk or the gateway has no room: about as long as a disk or a rush needs."""


class RefusedError(SpendgaugeError):
    """A request is turned away as a whole, with a status; ``retry_seconds`` says when it may come again."""

    def __init__(self, status: int, message: str, *, retry_seconds: float | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.retry_seconds = retry_seconds


def json_reply(status: int, body: Any, headers: Mapping[str, str] | None = None) -> Response:
    """Make an answer in JSON."""
    return Response(orjson.dumps(body), status, headers, "application/json")


def refusal_reply(refusal: RefusedError, content_type: str) -> Response:
    """Say no in the form that the request's content type asks for."""
    headers: dict[str, str] = {}
    if refusal.retry_seconds is not None:
        headers["Retry-After"] = str(max(1, ceil(refusal.retry_seconds)))
    if refusal.status == 401:
        headers["WWW-Authenticate"] = 'Bearer realm="spendgauge"'
    if content_type.startswith(PROTOBUF):
        return Response(_status_message(str(refusal)), refusal.status, headers, PROTOBUF)
    return json_reply(refusal.status, {"message": str(refusal)}, headers)


def outcomes_reply(outcomes: Sequence[Outcome]) -> Response:
    """Answer item by item.

    202: what has an id is safe. 422: no item is an event. 503: an item could not be made safe; those with ``retry``
    are to be sent again, and the others were taken or are no events.
    """
    fates = [outcome.fate for outcome in outcomes]
    refused, unsafe = fates.count("refused"), fates.count("unsafe")
    accepted = len(fates) - refused - unsafe
    body: dict[str, Any] = {"accepted": accepted, "rejected": refused}
    if unsafe:
        body["message"] = f"{unsafe} events could not be stored safely; send those with retry again later"
    body["items"] = [_item(index, outcome) for index, outcome in enumerate(outcomes)]
    if unsafe:
        return json_reply(503, body, {"Retry-After": str(RETRY_SECONDS)})
    return json_reply(202 if accepted else 422, body)


def _item(index: int, outcome: Outcome) -> dict[str, Any]:
    match outcome.fate:
        case "taken":
            return {"index": index, "event_id": outcome.event_id}
        case "known":
            return {"index": index, "event_id": outcome.event_id, "duplicate": True}
        case "unsafe":
            return {"index": index, "error": outcome.reason, "retry": True}
    return {"index": index, "error": outcome.reason}


def _status_message(text: str) -> bytes:
    """Write a ``google.rpc.Status`` with a message: field 2, its length, its bytes."""
    data = text.encode()
    length = bytearray()
    left = len(data)
    while left > 0x7F:
        length.append(left & 0x7F | 0x80)
        left >>= 7
    length.append(left)
    return b"\x12" + bytes(length) + data
