"""What is in a body of usage? Items or reasons, whatever the format."""

import json
from base64 import b64encode
from typing import Any
from uuid import UUID

import pytest
from tests.gateways import lines, uuid
from tests.producers import CALL

from spendgauge.producers.gateway.formats import CLOUDEVENT, CLOUDEVENTS, JSON, NDJSON, media_type, read_items
from spendgauge.producers.gateway.replies import RefusedError

ENVELOPE: dict[str, Any] = {"specversion": "1.0", "id": "1", "source": "/a", "type": "t", "data": CALL}


def items(body: Any, kind: str = JSON, **headers: str) -> list[Any]:
    """Read a body of a kind."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return read_items({"content-type": kind, **headers}, data, most=10)


def test_one_event_and_several() -> None:
    """An object is one item, an array as many as it has, lines too; blank lines are none."""
    assert items(CALL) == [CALL]
    assert items([CALL, CALL]) == [CALL, CALL]
    assert items(lines(CALL, CALL) + b"\r\n\n", NDJSON) == [CALL, CALL]
    assert items(lines(CALL), "application/jsonl; charset=utf-8") == [CALL]


def test_a_bad_item_spoils_no_other() -> None:
    """What is no object is a reason in its place, without what stood there."""
    assert items([1, CALL, "secret"]) == ["it is not a JSON object", CALL, "it is not a JSON object"]
    found = items(b'{"a": secret}\n' + lines(CALL), NDJSON)
    assert found[1] == CALL
    assert found[0].startswith("it is not JSON: ")
    assert "secret" not in found[0]


@pytest.mark.parametrize(
    ("kind", "body", "status", "reason"),
    [
        (JSON, b"", 400, "the body is not JSON"),
        (JSON, b"[]", 400, "the body holds no event"),
        (NDJSON, b"\n \n", 400, "the body holds no event"),
        (JSON, b'"text"', 400, "must be a JSON object, or an array"),
        (JSON, b"\xff", 400, "the body is not JSON"),
        (JSON, b"[" * 100_000, 400, "the body is not JSON"),
        (CLOUDEVENTS, b"{}", 400, "must be a JSON array"),
        ("text/plain", b"{}", 415, "the content-type must be one of application/json, application/x-ndjson"),
        ("", b"{}", 415, "the content-type must be one of"),
    ],
)
def test_what_cannot_be_read_is_refused_as_a_whole(kind: str, body: bytes, status: int, reason: str) -> None:
    """A body that is no such format has no items at all."""
    with pytest.raises(RefusedError, match=reason) as refused:
        items(body, kind)
    assert refused.value.status == status


def test_an_envelope_gives_id_and_time() -> None:
    """A CloudEvent's id and time are the event's, unless it has its own."""
    (found,) = items(ENVELOPE | {"id": uuid(7).upper(), "time": "2026-01-31T12:00:00Z"}, CLOUDEVENT)
    assert found == CALL | {"event_id": uuid(7), "occurred_at": "2026-01-31T12:00:00Z"}
    own = {"event_id": uuid(8), "occurred_at": "2026-01-30T12:00:00Z"}
    (found,) = items(ENVELOPE | {"time": "2026-01-31T12:00:00Z", "data": CALL | own}, CLOUDEVENT)
    assert found == CALL | own


def test_an_id_that_is_no_uuid_is_made_one() -> None:
    """It is the same each time, another for another source, and never the nil UUID."""
    ids = [
        items(ENVELOPE | changed, CLOUDEVENT)[0]["event_id"]
        for changed in ({}, {}, {"source": "/b"}, {"id": "2"}, {"id": str(UUID(int=0))})
    ]
    assert ids[0] == ids[1]
    assert len(set(ids)) == 4
    assert {UUID(one).version for one in ids} == {5}


def test_all_modes_of_cloudevents_say_the_same() -> None:
    """Structured, batched, in base64 and in headers: one event."""
    (single,) = items(ENVELOPE, CLOUDEVENT)
    coded = {name: value for name, value in ENVELOPE.items() if name != "data"}
    coded["data_base64"] = b64encode(json.dumps(CALL).encode()).decode()
    headers = {f"ce-{name}": str(value) for name, value in ENVELOPE.items() if name != "data"}
    assert items([ENVELOPE, coded], CLOUDEVENTS) == [single, single]
    assert items(CALL, JSON, **headers | {"ce-source": "%2Fa"}) == [single]


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"specversion": "0.3"}, "specversion must be 1.0"),
        ({"id": ""}, "id must be a text of 1 to 1024 characters"),
        ({"source": None}, "source must be a text"),
        ({"type": 3}, "type must be a text"),
        ({"data": None}, "data must be a JSON object"),
        ({"data": "text"}, "data must be a JSON object"),
        ({"datacontenttype": "text/xml"}, "datacontenttype must be application/json"),
        ({"data_base64": "e30="}, "data and data_base64 exclude each other"),
    ],
)
def test_a_wrong_envelope_is_a_reason(changed: dict[str, Any], reason: str) -> None:
    """What breaks a rule of CloudEvents names the attribute."""
    (found,) = items(ENVELOPE | changed, CLOUDEVENT)
    assert isinstance(found, str)
    assert found.startswith(reason)


@pytest.mark.parametrize("coded", ["%%%", "bm90IGpzb24=", 3, None])
def test_wrong_base64_is_a_reason(coded: object) -> None:
    """What is no base64 of JSON is said, and not repeated."""
    envelope = {name: value for name, value in ENVELOPE.items() if name != "data"} | {"data_base64": coded}
    assert items(envelope, CLOUDEVENT) == ["data_base64 must be JSON in base64"]


@pytest.mark.parametrize(
    ("kind", "body"), [(NDJSON, b"{\n" * 100), (JSON, b"[" + b"{}," * 99 + b"{}]"), (CLOUDEVENTS, [{}] * 100)]
)
def test_no_more_is_read_than_shows_that_it_is_too_much(kind: str, body: Any) -> None:
    """A small body that unpacks to millions of lines is not read line by line: one item too many says enough."""
    assert len(items(body, kind)) == 11


def test_a_content_type_is_known_by_its_name() -> None:
    """Parameters and case do not matter."""
    assert media_type({"content-type": "Application/JSON; charset=UTF-8"}) == JSON
    assert media_type({}) == ""
