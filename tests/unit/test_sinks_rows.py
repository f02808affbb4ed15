"""Do chunks become the rows that belong to them, each in its table, each exactly once?"""

from decimal import Decimal

import orjson
import pytest
from hypothesis import given, settings
from tests.sinks import NOW_MS, TOPICS, alert, chunk, contribution, event, gaps, quota_refusal, reject
from tests.strategies import chunks

from spendgauge.schemas import RecordChunk
from spendgauge.schemas.chunks import decode_chunk
from spendgauge.schemas.prices import PriceBook
from spendgauge.sinks.lines import REJECTED_FRAME
from spendgauge.sinks.rows import TRACE, decode_chunks, refused_rows
from spendgauge.sinks.tables import COST_ALERTS, COST_RATES, COST_REFUSALS, USAGE_EVENTS, USAGE_REJECTED, Table


@pytest.fixture(scope="module")
def book() -> PriceBook:
    """The catalogue's prices."""
    return PriceBook.load()


def decoded(book: PriceBook, *given_chunks: RecordChunk) -> dict[Table, list[dict[str, object]]]:
    """Decode and give each table's rows."""
    return {rows.table: rows.frame.to_dicts() for rows in decode_chunks(given_chunks, book=book, topics=TOPICS).rows}


def test_each_topic_has_its_table(book: PriceBook) -> None:
    """The lines of each topic of one batch go to its table; a table without rows is left out."""
    found = decoded(
        book,
        chunk("usage.events", event(1) + b"\n" + event(2)),
        chunk("cost.rates", contribution()),
        chunk("usage.gaps", gaps(), gaps()),
        chunk("cost.alerts", alert(), alert(state="resolved") + b"\n" + alert(alert_id="spike:a-2")),
        chunk("cost.refusals", quota_refusal()),
        chunk("usage.rejected", reject()),
    )
    assert {table.name: len(rows) for table, rows in found.items()} == {
        "usage_events": 2,
        "cost_rates": 1,
        "source_gaps": 2,
        "cost_alerts": 3,
        "cost_refusals": 1,
        "usage_rejected": 1,
    }
    assert decoded(book) == {}


def test_an_event_is_priced_and_placed(book: PriceBook) -> None:
    """A row has the event's cost, the price's version, and where it stood in the log."""
    record = chunk("usage.events", event(1), event(2), partition=3, first=40)
    row = decoded(book, record)[USAGE_EVENTS][1]
    assert row["cost_picodollars"] == 1000 * 3_000_000 + 100 * 15_000_000
    assert row["price_version"]
    assert (row["stream"], row["partition"], row["offset"], row["line"], row["received_at_ms"]) == (
        "topic:16384",
        3,
        41,
        0,
        NOW_MS,
    )


def test_an_unknown_model_is_unpriced(book: PriceBook) -> None:
    """Never zero by ignorance: no price is null, not 0."""
    row = decoded(book, chunk("usage.events", event(1, provider="nobody", model="unheard-of")))[USAGE_EVENTS][0]
    assert (row["cost_picodollars"], row["price_version"]) == (None, "")


@given(drawn=chunks())
@settings(deadline=None)
def test_rejected_events_are_counted_and_left_out(book: PriceBook, drawn: RecordChunk) -> None:
    """What the codec accepts becomes a row, in order; what it rejects is counted: the workers dead-letter that."""
    expected = decode_chunk(drawn)
    batch = decode_chunks([drawn], book=book, topics=TOPICS)
    rows = [event_id for found in batch.rows for event_id in found.frame["event_id"]]
    assert rows == expected.frame["event_id"].to_list()
    assert batch.rejected_events == len(expected.rejects)


def test_a_source_that_ends_is_counted_and_leaves_no_row(book: PriceBook) -> None:
    """Each line of the events is a row, a reject or an end: none is counted twice, and none is lost."""
    end = b'{"schema":"spendgauge.end/1","source":"a","next_seq":2,"closed_at":"2026-09-21T14:13:20Z"}'
    batch = decode_chunks([chunk("usage.events", event(1) + b"\n" + end, b"{", end)], book=book, topics=TOPICS)
    assert [(rows.table, rows.frame.height) for rows in batch.rows] == [(USAGE_EVENTS, 1)]
    assert (batch.rejected_events, batch.ends) == (1, 2)


def test_a_reject_keeps_its_bytes(book: PriceBook) -> None:
    """A worker's dead letter arrives whole: reason, place, key, value and headers, whatever bytes they are."""
    line = reject(value=b"\xff\x00{", key=None, headers=(("h", b"\xfe"), ("h", None)), offset=9, line=4)
    row = decoded(book, chunk("usage.rejected", line, first=100))[USAGE_REJECTED][0]
    assert (row["topic"], row["offset"], row["line"], row["reason"]) == ("usage.events", 9, 4, "invalid_json")
    assert (row["key"], row["value"], row["rejected_by"]) == (None, b"\xff\x00{", "rates")
    assert row["headers"] == [{"name": "h", "value": b"\xfe"}, {"name": "h", "value": None}]


@pytest.mark.parametrize(
    ("topic", "bad", "reason"),
    [
        ("cost.rates", b'{"series":', "invalid_contribution"),
        ("cost.rates", b"\xff", "invalid_contribution"),
        ("usage.gaps", b'{"source":"a"}', "invalid_gaps"),
        ("cost.alerts", b'{"alert_id":"a"}', "invalid_alert"),
        ("cost.refusals", quota_refusal().replace(b"hard", b"because"), "invalid_refusal"),
        ("usage.rejected", b"[]", "invalid_reject"),
        ("usage.rejected", orjson.dumps({**orjson.loads(reject()), "line": 2**40}), "invalid_reject"),
    ],
)
def test_poison_is_kept_and_harms_nobody(book: PriceBook, topic: str, bad: bytes, reason: str) -> None:
    """A line that only the sink can see is bad becomes a dead letter with its bytes; its neighbours are stored."""
    lines = {"cost.rates": contribution, "usage.gaps": gaps, "cost.alerts": alert, "cost.refusals": quota_refusal}
    good = lines.get(topic, reject)()
    found = decoded(book, chunk(topic, good + b"\n" + bad + b"\n" + good, partition=2, first=7))
    letters = [row for row in found[USAGE_REJECTED] if row["rejected_by"] == "sink"]
    assert [(row["topic"], row["partition"], row["offset"], row["line"]) for row in letters] == [(topic, 2, 7, 1)]
    assert [(row["reason"], row["value"], row["key"]) for row in letters] == [(reason, bad, b"source")]
    assert sum(len(rows) for rows in found.values()) == 3


@pytest.mark.parametrize(
    ("topic", "table", "old", "good", "said"),
    [
        ("cost.rates", COST_RATES, contribution(pane_start=0), contribution(), "pane_start 0 ms"),
        ("cost.alerts", COST_ALERTS, alert(evaluated_at=0), alert(), "evaluated_at 0 ms"),
        ("cost.alerts", COST_ALERTS, alert(evaluated_at=2**62), alert(), "evaluated_at 100000000000000 ms"),
    ],
)
def test_a_sick_clock_is_no_search(
    book: PriceBook, topic: str, table: Table, old: bytes, good: bytes, said: str
) -> None:
    """A row whose time no table accepts is refused here in one pass, with its bytes; its neighbour is stored."""
    found = decoded(book, chunk(topic, old + b"\n" + good))
    letter = found[USAGE_REJECTED][0]
    assert (letter["reason"], letter["value"]) == ("refused", old)
    assert letter["detail"] == f"{said} since 1970 is not within [2020, 2100)"
    assert [row["record_line"] for row in found[table]] == [1]


def test_an_alert_keeps_its_amounts_and_contributors(book: PriceBook) -> None:
    """A step's amounts arrive with twelve decimals, its contributors in their order, and where it was said."""
    parts = [{"series": "feature+model", "key": ("c", "m"), "excess_usd": "2.000000000001"}]
    parts.append({"series": "total", "key": (), "excess_usd": "0.500000000000"})
    line = alert(since_onset_usd="-12345678901234567890123456.000000000001", contributors=parts)
    row = decoded(book, chunk("cost.alerts", alert(), b"\n" + line, first=7))[COST_ALERTS][1]
    assert row["since_onset_usd"] == Decimal("-12345678901234567890123456.000000000001")
    assert row["contributor_series"] == ["feature+model", "total"]
    assert row["contributor_key"] == [["c", "m"], []]
    assert row["contributor_excess_usd"] == [Decimal("2.000000000001"), Decimal("0.5")]
    assert (row["offset"], row["line"], row["received_at_ms"], row["evaluated_at_ms"]) == (8, 1, NOW_MS, NOW_MS)


def test_a_refusal_keeps_its_amounts(book: PriceBook) -> None:
    """What is not known is null, and not 0; tokens are whole numbers in the same columns."""
    tokens = quota_refusal(unit="tokens", limit=None, spent="7", reserved="0", estimate="1", resets_at=None)
    rows = decoded(book, chunk("cost.refusals", quota_refusal(), tokens))[COST_REFUSALS]
    assert [row["estimate"] for row in rows] == [Decimal("0.100000000001"), Decimal(1)]
    assert [row["quota_limit"] for row in rows] == [Decimal(25), None]
    assert [row["resets_at_ms"] for row in rows] == [NOW_MS + 3_600_000, None]
    assert rows[0]["refused_at_ms"] == 1_790_000_000_000


def test_refused_rows_find_their_lines(book: PriceBook) -> None:
    """A row that ClickHouse refuses leads back to the very line it came from, in whichever chunk that was."""
    batch = [
        chunk("usage.events", event(1), event(2) + b"\n" + event(3), first=10),
        chunk("usage.events", event(4), partition=1, first=20),
    ]
    frame = decode_chunks(batch, book=book, topics=TOPICS).rows[0].frame
    assert frame.select(TRACE).rows() == [(0, 10, 0), (0, 11, 0), (0, 11, 1), (1, 20, 0)]
    letters = refused_rows(batch, frame[2:], detail="no").frame
    assert letters["value"].to_list() == [event(3), event(4)]
    assert letters["detail"].to_list() == ["no", "no"]
    assert set(REJECTED_FRAME.names()) <= set(letters.columns)


def test_decoding_is_a_pure_function(book: PriceBook) -> None:
    """The same records give the same rows, so a batch may be decoded and stored again."""
    batch = [chunk("usage.events", event(1, tags={"b": "1", "a": "2"}), event(2)), chunk("cost.rates", contribution())]
    first, second = (decode_chunks(batch, book=book, topics=TOPICS) for _ in range(2))
    for one, other in zip(first.rows, second.rows, strict=True):
        assert one.frame.equals(other.frame)


def test_costs_of_contributions_are_exact(book: PriceBook) -> None:
    """A contribution's cost arrives with its twelve decimals, however large."""
    line = contribution(cost_usd="-12345678901234567890123456.000000000001")
    row = decoded(book, chunk("cost.rates", line))[COST_RATES][0]
    assert row["cost_usd"] == Decimal("-12345678901234567890123456.000000000001")
