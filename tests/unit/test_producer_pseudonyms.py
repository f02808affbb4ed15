"""Do people's names stay out of everything that is written or sent, and can who has the key find them?"""

import hmac
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import LogCapture
from tests.producers import CALL, FakeBroker

from spendgauge.producers import (
    BulkWriter,
    DeliverySettings,
    ProducerSettings,
    PseudonymSettings,
    RecordingProducer,
    UsageProducer,
    pseudonym,
)
from spendgauge.schemas import ConfigurationError

pytestmark = pytest.mark.usefixtures("log")

KEY = "00112233445566778899aabbccddeeff" * 2
HIDDEN: dict[str, Any] = {"pseudonym_key": KEY, "pseudonym_key_id": "k1", "pseudonym_fields": "user_id,session_id"}
NAME = "Zo\u00eb Quux <zoe@quux.example>"


def by_hand(name: str, key_id: str = "k1") -> str:
    """Work a pseudonym out from its description: 128 bits, five to a character, the last one filled up with zeros."""
    bits = int.from_bytes(hmac.new(bytes.fromhex(KEY), name.encode(), "sha256").digest()[:16]) << 2
    return f"p:{key_id}:" + "".join("abcdefghijklmnopqrstuvwxyz234567"[bits >> 5 * (25 - n) & 31] for n in range(26))


@settings(deadline=None)
@given(name=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=256))
def test_a_pseudonym_is_the_keyed_hash(name: str) -> None:
    """A name's pseudonym is what the page describes; applied to itself it stays, under another key id it does not."""
    found = pseudonym(name, key=KEY, key_id="k1")
    assert found == by_hand(name)
    assert pseudonym(found, key=KEY, key_id="k1") == found
    assert pseudonym(found, key=KEY, key_id="k2") == by_hand(found, "k2")


def test_another_key_is_another_pseudonym() -> None:
    """Keys in hex and base64, standard or for URLs, padded or not, are the same key; another one hashes otherwise."""
    spellings = [
        "+/+/" + "A" * 40,
        "-_-_" + "A" * 40,
        "+/+/" + "B" * 39 + "=",
        bytes([0xFB, 0xFF, 0xBF] + [0] * 30).hex(),
    ]
    found = {pseudonym("me", key=key, key_id="k") for key in (spellings[0], spellings[1], spellings[3])}
    assert len(found) == 1
    assert pseudonym("me", key=spellings[2], key_id="k") not in found
    assert pseudonym("me", key=KEY, key_id="k") not in found


def everything(broker: FakeBroker, folder: Path, log: LogCapture) -> str:
    """All that was sent, written and logged."""
    sent = [record.value for record in broker.records]
    kept = [path.read_bytes() for path in folder.rglob("*") if path.is_file()]
    return b"\n".join([*sent, *kept]).decode() + json.dumps(log.entries, default=str)


@pytest.mark.parametrize("unusual", [{}, {"quality_score": 0.5}], ids=["plain", "validated"])
@pytest.mark.parametrize("durability", ["memory", "process", "disk"])
def test_no_name_is_written_or_sent(
    tmp_path: Path, log: LogCapture, durability: str, unusual: dict[str, float]
) -> None:
    """In every mode, while events wait on disk and when they were sent: names stand nowhere, their pseudonyms do."""
    broker = FakeBroker(up=False)
    own: dict[str, Any] = {
        "service": "api",
        "spool_dir": str(tmp_path),
        "durability": durability,
        "dimensions": {"session_id": NAME},
    }
    first = UsageProducer(connect=broker.connect, **own, **HIDDEN)
    first.emit(**CALL, **unusual, user_id=NAME)
    first.emit(**CALL, **unusual, user_id=None, entity_id="ticket-1")
    first.emit(**CALL, **unusual, user_id=by_hand(NAME))
    first.emit(**CALL, **unusual, user_id=20_260_131)
    first.emit(**CALL, **unusual, user_id=NAME * 20)
    first.emit(**CALL, **unusual, user_id="\ud800 Quux")
    assert not first.close(0)
    waiting = everything(broker, tmp_path, log)
    assert waiting.count(by_hand(NAME)) == 3 + 2
    broker.up = True
    heir = UsageProducer(connect=broker.connect, **own)
    while heir.replaying:
        assert heir.flush(10)
    assert heir.close(10)
    assert [(e.user_id, e.session_id, e.entity_id) for e in broker.events] == [
        (by_hand(NAME), by_hand(NAME), ""),
        ("", by_hand(NAME), "ticket-1"),
        (by_hand(NAME), by_hand(NAME), ""),
    ]
    for found in (waiting, everything(broker, tmp_path, log)):
        assert [secret for secret in ("Zo", "Quux", "quux", "20260131", KEY) if secret in found] == []
    assert first.stats().invalid == 3


def test_a_recording_shows_pseudonyms_too() -> None:
    """Given the settings, the double keeps pseudonyms, so that a test sees what would be sent."""
    recording = RecordingProducer("api", pseudonyms=PseudonymSettings.from_environment({}, **HIDDEN), session_id="s")
    recording.emit(**CALL, user_id=NAME)
    assert [(event.user_id, event.session_id) for event in recording.events] == [(by_hand(NAME), by_hand("s"))]


def test_batch_tools_keep_names_out_too() -> None:
    """Rows and ready lines are given pseudonyms; a line in which a name could hide is not sent."""
    broker = FakeBroker()
    with BulkWriter(DeliverySettings.from_environment({}, **HIDDEN), connect=broker.connect) as bulk:
        source = bulk.open_source("nightly", "h")
        assert source.write([{**CALL, "user_id": NAME}]) == ()
        lines = [{**CALL, "user_id": NAME}, {**CALL, "user": NAME}, {**CALL, "user_id": 7}, [NAME]]
        ready = [json.dumps(line).encode() for line in lines]
        refused = source.write_lines([*ready, ready[0][:-1]])
    assert [event.user_id for event in broker.events] == [by_hand(NAME)] * 2
    assert [(row.index, row.reason) for row in refused] == [
        (1, "user is not a field of a usage event"),
        (2, "user_id must be text, so that a pseudonym can stand in its place"),
        (3, "the line is not a JSON object"),
        (4, "the line is not JSON"),
    ]
    assert b"Quux" not in b"".join(record.value for record in broker.records)


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        (
            {"pseudonym_key": "s3cret", "pseudonym_key_id": "k"},
            "PSEUDONYM_KEY cannot be used: it is not 32 bytes or more",
        ),
        (
            {"pseudonym_key": "ab" * 31, "pseudonym_key_id": "k"},
            "it is not 32 bytes or more in hex or base64; make one",
        ),
        ({"pseudonym_key": "\u00e4" * 60, "pseudonym_key_id": "k"}, "it is not 32 bytes or more"),
        ({"pseudonym_key": KEY}, "needs a name: set SPENDGAUGE_PSEUDONYM_KEY_ID"),
        (
            {"pseudonym_key_id": "2026"},
            "names a key that is not there: set SPENDGAUGE_PSEUDONYM_KEY, or names would be",
        ),
        ({"pseudonym_key": KEY, "pseudonym_key_id": "a:b"}, "PSEUDONYM_KEY_ID='a:b' cannot be used"),
        ({"pseudonym_fields": "user_id,model"}, "model cannot have pseudonyms; there are tenant, team"),
    ],
)
def test_a_key_that_cannot_work_is_said_and_not_shown(fields: dict[str, Any], sentence: str) -> None:
    """What would send names in clear, or hash them badly, is refused at the start; no message shows a key."""
    with pytest.raises(ConfigurationError, match=sentence) as caught:
        UsageProducer(service="api", connect=FakeBroker().connect, **fields)
    assert str(fields.get("pseudonym_key")) not in str(caught.value)


def test_the_key_is_not_shown_and_reaches_children() -> None:
    """Settings show no key; written as variables for a child process they have it, and read back equal."""
    wanted = ProducerSettings.from_environment({}, service="api", **HIDDEN)
    assert KEY not in f"{wanted!r} {wanted} {wanted.model_dump_json()}"
    assert ProducerSettings.from_environment(wanted.environment()) == wanted
    assert wanted.pseudonym_fields == ("user_id", "session_id")
