"""Do events become numbered lines and packed records, and nothing else?"""

from itertools import groupby
from operator import itemgetter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.producers import CALL

from spendgauge.producers.identity import EventIds, boot_id, source_names
from spendgauge.producers.invalid import InvalidEventError
from spendgauge.producers.lane import Lane, Record
from spendgauge.schemas import UsageEvent
from spendgauge.schemas.ends import SourceEnd

NOW_MS = 1_800_000_000_123
ID = "0190c5b0-3d6e-7c41-9f0e-2a6f1d0b7e55"


def lane(**defaults: Any) -> Lane:
    """A lane that never closes a record by itself."""
    return Lane("api@h#b", defaults=defaults, max_events=1000, max_bytes=10**6)


def add(to: Lane, **fields: Any) -> UsageEvent:
    """Add one event; return what its line says."""
    return sent(to, {**CALL, **fields})


def sent(to: Lane, fields: dict[str, Any]) -> UsageEvent:
    """Add one event to the open record; read it back from there."""
    to.add((ID, NOW_MS, fields))
    return UsageEvent.model_validate_json(to._lines[-1])


def lines(record: Record | None) -> list[UsageEvent]:
    """Read a record as a consumer does."""
    assert record is not None
    return [UsageEvent.model_validate_json(line) for line in record.value.split(b"\n")]


def outcome(to: Lane, fields: dict[str, Any]) -> tuple[UsageEvent | None, str]:
    """Add one event: it, or the reason why not."""
    try:
        return sent(to, fields), ""
    except InvalidEventError as error:
        return None, str(error)


def test_what_is_not_given_is_filled_in() -> None:
    """An event gets its id, its time, its source and its seq, and the defaults that it does not give itself."""
    event = add(lane(team="search", feature="chat"), feature="triage")
    assert (event.event_id, event.source, event.seq) == (ID, "api@h#b", 0)
    assert event.occurred_at.isoformat() == "2027-01-15T08:00:00.123000+00:00"
    assert (event.team, event.feature) == ("search", "triage")


def test_none_is_not_given() -> None:
    """A field that is None is as if it were left out: SDKs report None for counts they do not know."""
    event = add(lane(team="search"), team=None, cache_read_tokens=None, tags=None, occurred_at=None, event_id=None)
    assert event == add(lane(team="search"))


def test_lines_are_the_events() -> None:
    """A record's value is the events' lines joined by newlines, in order; it knows its first and last seq."""
    to = lane()
    events = [add(to, input_tokens=n, entity_id="\u00e4\n\u2028") for n in range(3)]
    record = to.take()
    assert lines(record) == events
    assert record is not None
    assert (record.source, record.first_seq, record.last_seq, record.events) == (b"api@h#b", 0, 2, 3)
    assert to.take() is None


def test_a_record_is_full_at_its_bounds() -> None:
    """A record is full with ``max_events`` events, or once it has reached ``max_bytes``."""
    by_count = Lane("s", defaults={}, max_events=2, max_bytes=10**6)
    by_size = Lane("s", defaults={}, max_events=1000, max_bytes=300)
    add(by_count)
    add(by_size)
    assert (by_count.full, by_size.full) == (False, False)
    add(by_count)
    add(by_size)
    assert (by_count.full, by_size.full) == (True, True)
    by_count.take()
    assert by_count.full is False


@settings(deadline=None)
@given(steps=st.lists(st.one_of(st.just("ok"), st.just("bad"), st.just("take"), st.integers(1, 5))))
def test_seq_counts_what_was_accepted_or_lost(steps: list[str | int]) -> None:
    """An accepted event has as seq the number of events accepted or lost before it; an invalid one uses up none."""
    to, used, sent, expected = lane(), 0, list[int | None](), list[int]()
    for step in steps:
        if step == "ok":
            assert add(to).seq == used
            expected.append(used)
            used += 1
        elif step == "bad":
            with pytest.raises(InvalidEventError):
                add(to, input_tokens=-1)
        elif isinstance(step, int):
            to.skip(step)
            used += step
        elif (record := to.take()) is not None:
            events = lines(record)
            assert (record.first_seq, record.last_seq) == (events[0].seq, events[-1].seq)
            sent += [event.seq for event in events]
    if (rest := to.take()) is not None:
        sent += [event.seq for event in lines(rest)]
    assert sent == expected


ANYTHING = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.binary(), st.datetimes()),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=3), inner, max_size=3)),
    max_leaves=5,
)
FIELDS = st.dictionaries(st.one_of(st.sampled_from(sorted(UsageEvent.model_fields)), st.text()), ANYTHING, max_size=6)


@given(fields=FIELDS)
def test_garbage_is_refused_in_a_sentence(fields: dict[str, Any]) -> None:
    """Whatever is given becomes a line that reads back as the same event, or an ``InvalidEventError`` and no seq."""
    to = lane()
    event, reason = outcome(to, {**CALL, **fields})
    record = to.take()
    assert (event is None) == (record is None) == (to.next_seq == 0) == bool(reason)
    assert record is None or lines(record) == [event]


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"prompt": "my secret"}, "prompt is not a field of a usage event"),
        ({"model": None}, "model must be given"),
        ({"input_tokens": 1.5}, "input_tokens 1.5: input should be a valid integer"),
        ({"input_tokens": 10**5000}, "input_tokens of 16610 bits: input should be less than or equal to 100000000"),
        ({"input_tokens": -3}, "the event: input_tokens -3 must be >= 0; only an adjustment may be negative"),
        (
            {"occurred_at": "noon"},
            "occurred_at: 'noon' is not an RFC 3339 time with a zone, such as 2026-01-31T12:00:00.000Z",
        ),
        ({"adjusts": "x" * 41}, "adjusts: a str of length 41 is not a UUID such as " + ID),
        ({"tags": {"n": 1}}, "tags 1: input should be a valid string"),
        ({"source": "me"}, "source and seq are given by the producer; leave them out"),
        ({"seq": 5}, "source and seq are given by the producer; leave them out"),
    ],
)
def test_the_reason_names_field_and_rule(fields: dict[str, Any], reason: str) -> None:
    """An invalid event is refused with a sentence that names the field and what it breaks."""
    with pytest.raises(InvalidEventError) as caught:
        add(lane(), **fields)
    assert str(caught.value) == reason


SECRET = "the quick brown fox jumps over the lazy dog, twice"


@given(name=st.sampled_from([*sorted(UsageEvent.model_fields), "prompt", "messages"]))
def test_the_reason_never_repeats_text(name: str) -> None:
    """A prompt passed by mistake, in whichever field, is not in the reason that is logged."""
    for value in (SECRET, [SECRET], {"content": SECRET}, {SECRET: 1}, SECRET * 200, (SECRET,), {SECRET}):
        assert "fox" not in outcome(lane(), {**CALL, name: value})[1]


def test_an_event_too_long_for_consumers_is_refused() -> None:
    """An event whose line exceeds 8 KiB is invalid at once, and its place in the numbering stays free."""
    to = lane()
    with pytest.raises(InvalidEventError, match=r"at most 8192 are accepted"):
        add(to, tags={f"{n}" * 30: "\U0001f600" * 256 for n in range(10)})
    assert add(to).seq == 0


@pytest.mark.parametrize("now_ms", [NOW_MS, 0, -(2**70), 2**70])
def test_a_source_ends_whatever_the_clock_says(now_ms: int) -> None:
    """An end names the source and the number that comes next, and is said once for each; no clock can prevent it."""
    to = lane()
    assert to.end(now_ms) is None
    to.skip(3)
    record = to.end(now_ms)
    assert record is not None
    end = SourceEnd.model_validate_json(record.value)
    assert (end.source, end.next_seq, record.events) == ("api@h#b", 3, 0)
    assert to.end(now_ms) is None
    add(to)
    assert to.end(now_ms) is not None


def test_a_ready_line_gets_source_and_seq() -> None:
    """A line that is complete but for source and seq reads as the event with them."""
    to = Lane('a"b@h#1', defaults={}, max_events=9, max_bytes=9999)
    bare = UsageEvent(event_id=ID, occurred_at="2026-01-31T12:00:00.000Z", **CALL)  # type: ignore[arg-type] # as on the wire
    to.add_line(bare.model_dump_json(exclude_defaults=True).encode())
    to.add_line(bare.model_dump_json(exclude_defaults=True).encode())
    assert lines(to.take()) == [bare.model_copy(update={"source": 'a"b@h#1', "seq": seq}) for seq in (0, 1)]


@pytest.mark.parametrize("line", [b"", b"[]", b"{}", b'{"a":1}\n{"b":2}', b'{"a":"' + b"x" * 8192 + b'"}'])
def test_a_ready_line_must_be_one_line_of_a_record(line: bytes) -> None:
    """What would break the record or be too long is refused, and uses up no seq."""
    to = lane()
    with pytest.raises(InvalidEventError):
        to.add_line(line)
    assert (to.next_seq, to.take()) == (0, None)


@given(now_ms=st.integers(0, 2**48 - 1), before=st.integers(0, 3))
def test_an_event_id_is_a_uuid_of_its_time(now_ms: int, before: int) -> None:
    """An event id is a canonical UUID, version 7, RFC 9562's variant, that begins with its time in milliseconds."""
    ids = EventIds()
    for _ in range(before):
        ids.take(NOW_MS)
    text = ids.take(now_ms)
    number = int(text.replace("-", ""), 16)
    assert [len(part) for part in text.split("-")] == [8, 4, 4, 4, 12]
    assert (number >> 80, number >> 76 & 0xF, number >> 62 & 0b11) == (now_ms, 7, 0b10)
    assert UsageEvent(event_id=text, occurred_at="2026-01-31T12:00:00Z", **CALL).event_id == text  # type: ignore[arg-type] # as on the wire


def test_ids_do_not_repeat() -> None:
    """Events of one millisecond have different ids, in one process and in several; so have runs."""
    ids = EventIds()
    assert len({ids.take(NOW_MS) for _ in range(10_000)}) == 10_000
    assert len({EventIds().take(NOW_MS) for _ in range(10_000)}) == 10_000
    assert len({boot_id(NOW_MS) for _ in range(100)}) == 100


def test_ids_of_one_maker_lie_together() -> None:
    """Sorted by their second half, as ClickHouse sorts UUIDs, one maker's ids stand side by side, in their order."""
    makers = [EventIds() for _ in range(3)]
    owners = {maker.take(NOW_MS + n // 7): (m, n) for n in range(5_000) for m, maker in enumerate(makers)}
    ordered = [owners[text] for text in sorted(owners, key=lambda text: (text[19:], text))]
    groups = [(m, [n for _, n in group]) for m, group in groupby(ordered, key=itemgetter(0))]
    assert sorted(groups) == [(m, list(range(5_000))) for m in range(3)]


def test_sources_are_named_by_lane() -> None:
    """One lane has the plain name; of several, each has its number after it."""
    assert source_names("api", "h", "b") == ("api@h#b",)
    assert source_names("api", "h", "b", lanes=2) == ("api@h#b/0", "api@h#b/1")
