"""What does the chunk codec promise? Order, lineage, reasons, and that only suspect lines cost a second look."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal
from tests.odd_lines import ACCEPTED, AN_ID, FULL, GOOD, REJECTED, line
from tests.strategies import NOW_MS, chunk_of, event_lines

from spendgauge.schemas import END_SCHEMA, RecordChunk, RejectedEvent, SourceEnd, UsageEvent
from spendgauge.schemas.chunks import FRAME_SCHEMA, DecodedChunk, EndLine, decode, decode_chunk, prepare_decoder, slow


def among_good_ones(lines: list[bytes], *, per_record: int = 50) -> RecordChunk:
    """Put the lines among five hundred good ones, evenly, in records of fifty lines."""
    step = 500 // len(lines)
    mixed = [each for at in range(len(lines)) for each in (lines[at], *[GOOD] * step)]
    return chunk_of([b"\n".join(mixed[at : at + per_record]) for at in range(0, len(mixed), per_record)])


@pytest.fixture
def looked_at(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """List the lines that pydantic reads from now on."""
    seen: list[bytes] = []

    def counted(raw: bytes, received_at_ms: int) -> tuple[Any, ...] | SourceEnd | slow.Refusal:
        seen.append(raw)
        return slow.read_line(raw, received_at_ms)

    monkeypatch.setattr(decode, "read_line", counted)
    return seen


@pytest.mark.parametrize("case", REJECTED)
def test_a_bad_line_is_rejected_alone(case: str) -> None:
    """What the fast way might take for an event is rejected for its reason, and its neighbours are not."""
    bad, reason = REJECTED[case]
    decoded = decode_chunk(chunk_of([b"\n".join([FULL, bad] * 100), GOOD]))
    found = [(reject.offset, reject.line, reject.reason, reject.value) for reject in decoded.rejects]
    assert found == [(0, number, reason, bad) for number in range(1, 200, 2)]
    assert decoded.frame.height == 101


@pytest.mark.parametrize("case", ACCEPTED)
def test_an_unusual_line_is_accepted_with_its_values(case: str) -> None:
    """A valid line in an unusual spelling has the values that it says, and defaults for the others."""
    unusual, values = ACCEPTED[case]
    decoded = decode_chunk(chunk_of([b"\n".join([GOOD, unusual, FULL] * 70)]))
    assert (decoded.frame.height, decoded.rejects) == (210, [])
    usual = decoded.frame.row(0, named=True)
    assert decoded.frame.row(100, named=True) == usual | {"line": 100} | values


@pytest.mark.parametrize(
    "bad", [b'{"seq":null}', b"{}", b'{"prompt":1}', b"{", b"null", b"\xff", b'{"tags":{"a":"b"}}']
)
def test_a_chunk_of_nothing_else_is_rejected(bad: bytes) -> None:
    """Where every line is bad in the same way, every line is rejected."""
    decoded = decode_chunk(chunk_of([b"\n".join([bad] * 300)]))
    assert (len(decoded.rejects), decoded.frame.height) == (300, 0)


def test_our_own_lines_need_no_second_look(looked_at: list[bytes]) -> None:
    """What the producer writes, with every field there is, is read at once and never line by line."""
    assert decode_chunk(chunk_of([b"\n".join([GOOD, FULL] * 300)])).frame.height == 600
    assert looked_at == []


@pytest.mark.parametrize(
    "spell",
    [
        lambda text: json.dumps(json.loads(text)).encode(),
        lambda text: text.replace(b"openai", b"\\u00e9\\n\\t"),
        lambda text: text.replace(b".000Z", b"+00:00"),
        lambda text: text.replace(b".000Z", b".123456+00:00"),
        lambda text: text.replace(AN_ID.encode(), AN_ID.upper().encode()),
        lambda text: UsageEvent.model_validate_json(text).model_dump_json().encode(),
        lambda text: text + b"\r",
    ],
    ids=["spaces", "escapes", "no fraction", "microseconds", "upper case", "nulls and defaults", "carriage return"],
)
def test_common_foreign_spellings_need_no_second_look(spell: Callable[[bytes], bytes], looked_at: list[bytes]) -> None:
    """What json.dumps, isoformat, other languages' UUIDs and a full dump write is read at once as well."""
    assert decode_chunk(chunk_of([b"\n".join([spell(GOOD)] * 300)])).frame.height == 300
    assert looked_at == []


@pytest.mark.parametrize("case", sorted(set(REJECTED) - {"a leading zero", "in a list"}))
def test_only_suspect_lines_cost_a_second_look(case: str, looked_at: list[bytes]) -> None:
    """However a line is wrong, the hundreds around it are still read at once."""
    bad = REJECTED[case][0]
    decode_chunk(among_good_ones([bad] * 5))
    assert set(looked_at) == {bad}


@settings(max_examples=40, deadline=None)
@given(st.lists(event_lines(), min_size=1, max_size=6), st.integers(0, 6))
def test_where_a_chunk_ends_makes_no_difference(lines: list[bytes], at: int) -> None:
    """Decoding records in two chunks gives what decoding them in one gives."""
    values: list[bytes | None] = list(lines)
    whole = decode_chunk(chunk_of(values))
    parts = [decode_chunk(chunk_of(values[:at])), decode_chunk(chunk_of(values[at:]))]
    shifted = [parts[0].frame, parts[1].frame.with_columns(pl.col("offset") + len(values[:at]))]
    assert_frame_equal(pl.concat(shifted), whole.frame)


def test_the_columns_are_those_that_all_rooms_expect() -> None:
    """The frame has the event's fields in order, three of them converted, then the lineage."""
    assert list(FRAME_SCHEMA)[:7] == ["event_id", "source", "seq", "kind", "adjusts", "occurred_at_ms", "started_at_ms"]
    assert list(FRAME_SCHEMA)[-5:] == ["tags", "reported_cost_picodollars", "offset", "line", "received_at_ms"]
    assert len(FRAME_SCHEMA) == len(UsageEvent.model_fields) + 3
    assert {name for name, dtype in FRAME_SCHEMA.items() if dtype == pl.Float64} == {"quality_score"}
    assert {str(dtype) for dtype in FRAME_SCHEMA.values()} == {"String", "Int64", "Float64"}


def test_a_prepared_decoder_compiles_nothing_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was prepared is what chunks are read with: the types are the same, so nothing is compiled for them."""
    prepare_decoder()
    monkeypatch.setattr("numba.core.dispatcher.Dispatcher.compile", None)
    assert decode_chunk(chunk_of([GOOD])).frame.height == 1


def test_an_empty_chunk_has_all_columns() -> None:
    """No records give no rows, no rejects and every column."""
    decoded = decode_chunk(chunk_of([]))
    assert (decoded.frame.schema, decoded.frame.height, decoded.rejects) == (pl.Schema(FRAME_SCHEMA), 0, [])


@pytest.mark.parametrize("count", [1, 500])
def test_rows_keep_the_order_of_the_log(count: int) -> None:
    """Rows stand by offset and line, whichever way each was read, and blank lines count as lines."""
    value = b"\n\n".join([GOOD, line('"team":"{a:{}"'), GOOD + b"\r", b""])
    frame = decode_chunk(chunk_of([value] * count)).frame
    assert frame.select("offset", "line").rows() == [
        (offset, number) for offset in range(count) for number in (0, 2, 4)
    ]


def test_a_reject_says_where_it_stood() -> None:
    """A reject carries stream, topic, partition, offset, line, time, key, headers and the line's own bytes."""
    chunk = RecordChunk(
        stream="id:8",
        topic="t",
        partition=5,
        offsets=[70],
        timestamps_ms=[NOW_MS],
        keys=[b"\xff"],
        values=[GOOD + b"\n{"],
        headers=[[("a", None)]],
    )
    detail = "not JSON in UTF-8: EOF while parsing an object at line 1 column 1"
    assert decode_chunk(chunk).rejects == [
        RejectedEvent(
            stream="id:8",
            topic="t",
            partition=5,
            offset=70,
            line=1,
            received_at_ms=NOW_MS,
            reason="invalid_json",
            detail=detail,
            key=b"\xff",
            value=b"{",
            headers=(("a", None),),
        )
    ]


@pytest.mark.parametrize(
    ("value", "reason", "detail"),
    [
        (None, "empty_record", "the record holds no line"),
        (b"", "empty_record", "the record holds no line"),
        (b" \n\r\n\t", "empty_record", "the record holds no line"),
        (b"x" * (2**20 + 1), "too_large", "the record has 1048577 bytes, and at most 1048576 are read"),
        (b"x" * 8193, "too_large", "the line has 8193 bytes, and an event at most 8192"),
    ],
    ids=["null", "empty", "blank", "too large", "one line too large"],
)
def test_a_whole_record_is_rejected_as_line_zero(value: bytes | None, reason: str, detail: str) -> None:
    """A record without lines or beyond the limit is one reject, with at most 256 KiB of its value."""
    (found,) = decode_chunk(chunk_of([GOOD, value])).rejects
    assert (found.offset, found.line, found.reason, found.detail) == (1, 0, reason, detail)
    assert found.value == (value or b"")[: 256 * 1024]


@pytest.mark.parametrize(
    ("bad", "number"),
    [
        (line('"source":"s","seq":7,"prompt":1'), ("s", 7)),
        (line('"source":"s","seq":7,"quality_score":NaN'), ("s", 7)),
        (line('"source":"s","seq":8,"team":"' + "x" * 8192 + '"'), ("s", 8)),
        (line('"source":"s","seq":"7"'), None),
        (line('"source":"s","seq":true'), None),
        (line('"source":"s","seq":-1'), None),
        (line('"source":"","seq":7'), None),
        (line(f'"source":"{"é" * 257}","seq":7'), None),
        (line('"seq":7'), None),
        (line('"source":"s","seq":7')[:-1], None),
        (b"[" + line('"source":"s","seq":7') + b"]", None),
    ],
)
def test_a_rejected_line_has_the_number_that_can_be_read(bad: bytes, number: tuple[str, int] | None) -> None:
    """Source and number of a rejected line are told where they are what an event's may be, and never guessed."""
    (found,) = decode_chunk(chunk_of([bad])).rejects
    assert found.number == number


def test_a_record_of_another_schema_is_not_guessed_at() -> None:
    """A record whose header names another schema is rejected whole; one without a header is read."""
    chunk = chunk_of([GOOD, GOOD, GOOD, None])
    another: list[tuple[str, bytes | None]] = [("spendgauge-schema", b"spendgauge.usage/2")]
    headers = [another, [], [("spendgauge-schema", None)], another]
    chunk = RecordChunk(**(vars(chunk) | {"headers": headers}))
    decoded = decode_chunk(chunk)
    reasons = [(found.offset, found.reason) for found in decoded.rejects]
    assert reasons == [(0, "unreadable"), (2, "unreadable"), (3, "empty_record")]
    assert decoded.rejects[0].detail == ("the record's schema is 'spendgauge.usage/2', and spendgauge.usage/1 is read")
    assert decoded.frame["offset"].to_list() == [1]


@pytest.mark.parametrize("count", [1, 300])
def test_now_is_the_records_own_timestamp(count: int) -> None:
    """An event at 30 days before or 5 minutes after its record is accepted, and one a millisecond beyond is not."""
    day, minute = 86_400_000, 60_000
    times = [NOW_MS + 30 * day, NOW_MS + 30 * day + 1, NOW_MS - 5 * minute, NOW_MS - 5 * minute - 1]
    for time, reason in zip(times, [None, "too_old", None, "in_the_future"], strict=True):
        decoded: DecodedChunk = decode_chunk(chunk_of([GOOD] * count, received_at_ms=time))
        assert {found.reason for found in decoded.rejects} == ({reason} if reason else set())
        assert decoded.frame.height == (0 if reason else count)


@pytest.mark.parametrize(
    ("members", "detail"),
    [
        ('"prompt":"my secret"', "prompt is not a field of a usage event"),
        ('"input_tokens":1.5', "input_tokens 1.5: input should be a valid integer"),
        ('"tags":{"a":7}', "tags.a 7: input should be a valid string"),
        ('"status":"fine"', "status 'fine': input should be 'ok', 'error' or 'cancelled'"),
        (f'"team":"{"x" * 300}"', f"team '{'x' * 36}...: string should have at most 256 characters"),
        ('"input_tokens":-1', "input_tokens -1 must be >= 0; only an adjustment may be negative"),
        ('"seq":4', "seq 4 counts the events of a source; name the source or leave seq out"),
        (
            '"started_at":"yesterday"',
            "started_at: 'yesterday' is not an RFC 3339 time with a zone, such as 2026-01-31T12:00:00.000Z",
        ),
        (
            '"a":1,"b":2,"c":3,"d":4,"e":5',
            "a is not a field of a usage event; b is not a field of a usage event; "
            "c is not a field of a usage event; and 2 more",
        ),
    ],
)
def test_a_detail_is_a_sentence(members: str, detail: str) -> None:
    """A detail names the field and the rule, shows little of the value, and nothing of an unknown field's."""
    (found,) = decode_chunk(chunk_of([line(members)])).rejects
    assert found.detail == detail


def test_a_detail_stays_short() -> None:
    """However long the names and values of a bad line are, the detail fits its limit."""
    bad = line(f'"tags":{{{",".join(f"{json.dumps(chr(0) * 90 + str(n))}:{n}" for n in range(9))}}}')
    (found,) = decode_chunk(chunk_of([bad])).rejects
    assert 100 < len(found.detail) <= 500


def test_a_missing_field_is_named() -> None:
    """A line that lacks a required field is told which."""
    (found,) = decode_chunk(chunk_of([b"{}"])).rejects
    assert found.detail == "event_id is missing; occurred_at is missing; provider is missing; and 1 more"


END = (
    SourceEnd(schema=END_SCHEMA, source="s#0", next_seq=7, closed_at=datetime(2026, 9, 21, 14, 13, 20, tzinfo=UTC))
    .model_dump_json()
    .encode()
)


@pytest.mark.parametrize(
    "spell",
    [
        lambda text: text,
        lambda text: json.dumps(json.loads(text), indent=None, separators=(" , ", " : ")).encode(),
        lambda text: json.dumps(dict(reversed(json.loads(text).items()))).encode(),
        lambda text: text.replace(b"end/1", b"end\\/1"),
        lambda text: text.replace(b"schema", b"sch\\u0065ma"),
    ],
    ids=["ours", "spaces", "another order", "an escaped slash", "an escaped name"],
)
def test_a_source_that_ends_is_neither_row_nor_reject(spell: Callable[[bytes], bytes]) -> None:
    """An end is told with its place, among events and alone, however it is spelt; its neighbours are read as ever."""
    decoded = decode_chunk(chunk_of([b"\n".join([GOOD, spell(END), GOOD, spell(END)]), spell(END)]))
    assert decoded.ends == [EndLine("s#0", 7, offset, line, NOW_MS) for offset, line in ((0, 1), (0, 3), (1, 0))]
    assert (decoded.frame["line"].to_list(), decoded.rejects) == ([0, 2], [])


def test_only_ends_cost_a_second_look(looked_at: list[bytes]) -> None:
    """Events beside an end are read at once."""
    decode_chunk(among_good_ones([END] * 50))
    assert looked_at == [END] * 50


@pytest.mark.parametrize(
    ("bad", "detail"),
    [
        (END.replace(b"end/1", b"end/2"), "schema 'spendgauge.end/2': input should be 'spendgauge.end/1'"),
        (END.replace(b":7,", b":-1,"), "next_seq -1: input should be greater than or equal to 0"),
        (END.replace(b":7,", b':"7",'), "next_seq '7': input should be a valid integer"),
        (END.replace(b'"next_seq":7,', b""), "next_seq is missing"),
        (END.replace(b'"s#0"', b'""'), "source '': string should have at least 1 character"),
        (END.replace(b'"next_seq"', b'"prompt":"secret","next_seq"'), "prompt is not a field of it"),
        (END.replace(b"2026-09-21", b"yesterday "), "closed_at: 'yesterday T14:13:20.000Z' is not an RFC 3339 time"),
        (b'{"source":"s#0","schema":"spendgauge.end/1"}', "next_seq is missing; closed_at is missing"),
    ],
)
def test_an_end_that_breaks_its_rules_is_rejected(bad: bytes, detail: str) -> None:
    """A line that says that it is an end, and is none, is rejected as one, in a sentence; it counts no event."""
    decoded = decode_chunk(chunk_of([GOOD + b"\n" + bad]))
    (found,) = decoded.rejects
    assert (found.reason, decoded.ends, decoded.frame.height) == ("invalid_event", [], 1)
    assert found.detail.startswith(f"a source's end: {detail}")


def test_an_event_that_speaks_of_ends_is_an_event() -> None:
    """Tags and names that say what an end's field says are what they are; another schema's name is no field."""
    decoded = decode_chunk(chunk_of([line('"tags":{"schema":"spendgauge.end/1"}'), line('"team":"spendgauge.end/1"')]))
    assert (decoded.frame.height, decoded.ends) == (2, [])
    (found,) = decode_chunk(chunk_of([line('"schema":"another/1"')])).rejects
    assert found.detail == "schema is not a field of a usage event"
