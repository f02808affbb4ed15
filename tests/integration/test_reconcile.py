"""Does the database itself give balanced books, and show each way in which they can be out of balance?"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any
from zlib import crc32

import pytest
from clickhouse_connect.driver.client import Client
from tests.sinks import chunk, contribution, event, gaps, reject, store

from spendgauge.insights.asking import QueryError, ask_rows
from spendgauge.insights.books import Gap, SourceBook
from spendgauge.insights.periods import Period
from spendgauge.insights.queries import (
    Query,
    cost_by_agent,
    cost_by_date,
    cost_by_feature,
    cost_by_hour_of_day,
    cost_by_model,
    cost_by_session,
    cost_by_user,
    cost_per_minute,
    daily_trend,
    top_entities,
)
from spendgauge.insights.reconcile import fetch_books
from spendgauge.schemas import DEFAULT_SERIES, ClickHouseSettings, RateContribution, UsageEvent
from spendgauge.schemas.money import usd_text
from spendgauge.schemas.prices import PriceBook
from spendgauge.schemas.rates import MEASURES
from spendgauge.sinks.clickhouse import connect
from spendgauge.sinks.migrate import migrate

pytestmark = pytest.mark.integration

BOOK = PriceBook.load()
NOON = 1_789_992_000
"""2026-09-21T12:00:00Z"""


@pytest.fixture
def client(clickhouse: ClickHouseSettings) -> Iterator[Client]:
    """A client of a migrated, empty database."""
    migrate(clickhouse)
    connected = connect(clickhouse)
    yield connected
    connected.close()


def call(seq: int, *, source: str = "api@h#1", minute: int = 0, **fields: Any) -> bytes:
    """Write an event that took place so many minutes after noon."""
    at = f"2026-09-21T{12 + minute // 60:02d}:{minute % 60:02d}:30.000Z"
    who = {"feature": "chat", "agent": "a", "user_id": f"u{seq % 2}", "session_id": "s", "entity_id": f"e{seq % 3}"}
    return event(crc32(source.encode()) % 10**6 * 100 + seq, source=source, seq=seq, occurred_at=at, **who | fields)


def rates_of(lines: Sequence[bytes]) -> list[bytes]:
    """Add events up as the rates agent does, by a second route: one by one, in Python."""
    panes: dict[tuple[Any, ...], dict[str, int]] = defaultdict(lambda: dict.fromkeys(MEASURES, 0))
    for line in lines:
        one = UsageEvent.model_validate_json(line)
        price = BOOK.price_event(one)
        for spec in DEFAULT_SERIES:
            start = int(one.occurred_at.timestamp()) // spec.pane_seconds * spec.pane_seconds
            totals = panes[spec.name, tuple(getattr(one, name) for name in spec.dimensions), start, spec.pane_seconds]
            totals["requests"] += 1
            totals["errors"] += one.status == "error"
            totals["unpriced"] += price is None
            totals["cost_picodollars"] += price or 0
            for name in MEASURES[3:-1]:
                totals[name] += getattr(one, name)
    return [
        contribution(
            series=series,
            key=key,
            pane_start=start,
            pane_seconds=seconds,
            cost_usd=usd_text(totals.pop("cost_picodollars")),
            **totals,
        )
        for (series, key, start, seconds), totals in panes.items()
    ]


def write(client: Client, lines: Sequence[bytes], rated: Sequence[bytes], *rejected: bytes) -> None:
    """Let the sink's own writer store events, contributions and rejects."""
    topics = {"usage.events": lines, "cost.rates": rated, "usage.rejected": rejected}
    chunks = [chunk(topic, b"\n".join(values)) for topic, values in topics.items() if values]
    store(client, chunks, book=BOOK)


EVENTS = [
    *(call(seq, minute=7 * seq) for seq in range(20)),
    *(call(seq, source="api@h#2", minute=11 * seq, status="error" if seq == 1 else "ok") for seq in range(5)),
    call(0, source="own@h#1", provider="internal", model="house-7b", minute=30),
    event(77, feature="foreign", occurred_at="2026-09-21T12:05:00.000Z"),
]


def test_what_is_rated_as_stored_balances(client: Client) -> None:
    """Events of several sources and of none, priced and not, in several hours: the books balance, figure by figure."""
    write(client, EVENTS, rates_of(EVENTS))
    books = fetch_books(client)
    assert books.differences() == []
    assert books.balanced
    assert (books.produced, books.events, books.foreign, books.total("unpriced")) == (27, 27, 1, 1)
    assert [book.source for book in books.sources] == ["api@h#1", "api@h#2", "own@h#1"]
    assert sorted(books.stored) == [NOON, NOON + 3600, NOON + 7200]


def test_writing_it_all_again_changes_nothing(client: Client) -> None:
    """A sink that repeats everything leaves the books as they were."""
    write(client, EVENTS, rates_of(EVENTS))
    once = fetch_books(client)
    write(client, EVENTS, rates_of(EVENTS))
    again = fetch_books(client)
    assert again.balanced
    assert (again.stored, again.rated, again.sources) == (once.stored, once.rated, once.sources)


def test_missing_numbers_are_found(client: Client) -> None:
    """Numbers that are neither stored nor rejected are gaps, wherever they are but at the end."""
    kept = [line for seq, line in enumerate(EVENTS) if seq not in (0, 4, 5, 6, 19)]
    write(client, kept, rates_of(kept))
    books = fetch_books(client)
    assert books.gaps == [Gap("api@h#1", 0, 0), Gap("api@h#1", 4, 6)]
    assert (books.missing, books.balanced, books.differences()) == (4, False, [])


def test_what_the_workers_miss_too_is_said(client: Client) -> None:
    """A gap is unseen where the workers miss all of its numbers; what they have counted, the log had, and a source of
    which nothing is stored is told too."""
    kept = [line for seq, line in enumerate(EVENTS) if seq not in (0, 4, 5, 6, 9)]
    write(client, kept, rates_of(kept))
    missed = [{"first_seq": 0, "last_seq": 0}, {"first_seq": 4, "last_seq": 5}, {"first_seq": 9, "last_seq": 12}]
    line = gaps(source="api@h#1", version=30, next_seq=20, gaps=missed)
    store(client, [chunk("usage.gaps", line, gaps(source="other", gaps=missed))], book=BOOK)
    assert fetch_books(client).gaps == [
        Gap("api@h#1", 0, 0, unseen=True),
        Gap("api@h#1", 4, 6),
        Gap("api@h#1", 9, 9, unseen=True),
        Gap("other", 0, 12),
    ]


def test_what_a_source_lost_at_its_end_is_missing(client: Client) -> None:
    """What the workers miss behind the last event, as its source's end tells, is missing; a source that lost all that
    it sent is told as well."""
    kept = EVENTS[:18] + EVENTS[20:]
    write(client, kept, rates_of(kept))
    tail, whole = ({"first_seq": first, "last_seq": 19} for first in (18, 0))
    lines = gaps(source="api@h#1", next_seq=20, gaps=[tail]), gaps(source="lost@h#1", next_seq=20, gaps=[whole])
    store(client, [chunk("usage.gaps", *lines)], book=BOOK)
    books = fetch_books(client)
    assert (books.missing, books.gaps) == (
        22,
        [Gap("api@h#1", 18, 19, unseen=True), Gap("lost@h#1", 0, 19, unseen=True)],
    )
    assert fetch_books(client, period=Period(since_ms=NOON * 1000)).balanced


def test_a_rejected_number_proves_nothing(client: Client) -> None:
    """A rejected line with an absurd number makes nothing missing; behind the last event it accounts for its own."""
    numbers = [(b"api@h#1", 20), (b"api@h#1", 4 * 10**18), (b"api@h#2", 10**9), (b"bad@h#1", 10**9)]
    values = [b'{"source": "%s", "seq": %d}' % one for one in numbers]
    bad = [reject(offset=offset, value=value, reason="invalid_event") for offset, value in enumerate(values)]
    write(client, EVENTS, rates_of(EVENTS), *bad)
    books = fetch_books(client)
    assert books.balanced
    assert books.sources[0] == SourceBook("api@h#1", last_seq=20, stored=20, rejected=1)
    assert [book.source for book in books.sources] == ["api@h#1", "api@h#2", "own@h#1"]


def test_rejected_lines_fill_their_gaps(client: Client) -> None:
    """A rejected line accounts for its number; where that cannot be read, the record's key says whose it was."""
    kept = [line for seq, line in enumerate(EVENTS) if seq not in (4, 6)]
    readable = reject(offset=1, value=b'{"source": "api@h#1", "seq": 4, "model": 1}', reason="invalid_event")
    write(client, kept, rates_of(kept), readable, reject(offset=2, value=b"{", key=b"api@h#1"))
    books = fetch_books(client)
    assert books.balanced
    assert books.sources[0] == SourceBook("api@h#1", last_seq=19, stored=18, rejected=2)
    assert books.rejected == {"invalid_event": 1, "invalid_json": 1}


def test_a_number_used_twice_is_found(client: Client) -> None:
    """Two events with one number are seen as such, and hide no gap."""
    twice = [line for seq, line in enumerate(EVENTS) if seq != 4] + [event(99, source="api@h#1", seq=3)]
    write(client, twice, rates_of(twice))
    books = fetch_books(client)
    assert (books.repeated, books.missing, books.gaps) == (1, 1, [Gap("api@h#1", 4, 4)])


def test_a_lost_contribution_is_found(client: Client) -> None:
    """One contribution less shows in its series and hour only, with what it held."""
    rated = rates_of(EVENTS)
    lost = next(line for line in rated if b'"series":"user_id"' in line)
    write(client, EVENTS, [line for line in rated if line != lost])
    first, *others = fetch_books(client).differences()
    assert {(d.series, d.hour) for d in (first, *others)} == {("user_id", NOON)}
    assert (first.measure, first.stored - first.rated) == (
        "requests",
        RateContribution.model_validate_json(lost).requests,
    )


def test_a_lost_event_is_found_by_the_rates(client: Client) -> None:
    """An event that was rated and not stored differs in every series of its hour, although no number is missing."""
    write(client, [line for seq, line in enumerate(EVENTS) if seq != 19], rates_of(EVENTS))
    books = fetch_books(client)
    assert books.missing == 0
    assert {(d.series, d.hour) for d in books.differences()} == {(s.name, NOON + 7200) for s in DEFAULT_SERIES}


def test_only_a_period_can_be_judged(client: Client) -> None:
    """What is out of balance in one hour does not unbalance the others, and each source is judged within the period."""
    kept = [line for seq, line in enumerate(EVENTS) if seq != 2]
    write(client, kept, rates_of([line for seq, line in enumerate(EVENTS) if seq != 3]))
    assert not fetch_books(client).balanced
    assert not fetch_books(client, period=Period(until_ms=(NOON + 3600) * 1000)).balanced
    books = fetch_books(client, period=Period(since_ms=(NOON + 3600) * 1000))
    assert books.balanced
    assert sorted(books.stored) == [NOON + 3600, NOON + 7200]
    assert books.sources[0] == SourceBook("api@h#1", first_seq=9, last_seq=19, stored=11)


def by(rows: list[dict[str, Any]], *names: str) -> dict[Any, Any]:
    return {tuple(row[name] for name in names): (row["calls"], row["total_cost_usd"]) for row in rows}


@pytest.mark.parametrize(
    ("query", "key"),
    [
        (cost_by_agent(), ("agent",)),
        (cost_by_feature(), ("feature",)),
        (cost_by_model(), ("provider", "model")),
        (cost_by_user(), ("user_id",)),
        (cost_by_session(), ("session_id",)),
    ],
)
def test_costs_by_a_dimension_are_those_of_its_events(client: Client, query: Query, key: tuple[str, ...]) -> None:
    """Each query's calls and cost are those that the events give one by one; what has no price has no cost."""
    write(client, EVENTS, [])
    expected: dict[Any, tuple[int, Decimal | None]] = {}
    for line in EVENTS:
        one = UsageEvent.model_validate_json(line)
        calls, cost = expected.get(tuple(getattr(one, name) for name in key), (0, None))
        price = BOOK.price_event(one)
        total = cost if price is None else (cost or Decimal(0)) + Decimal(usd_text(price))
        expected[tuple(getattr(one, name) for name in key)] = (calls + 1, total)
    rows = ask_rows(client, query)
    assert by(rows, *key) == expected
    costs = [row["total_cost_usd"] for row in rows if row["total_cost_usd"] is not None]
    assert costs == sorted(costs, reverse=True)


def test_costs_by_time_add_up(client: Client) -> None:
    """Days, hours of the day and minutes of the rates are parts of the same whole; a period cuts exactly."""
    write(client, EVENTS, rates_of(EVENTS))
    whole = sum(row["total_cost_usd"] or 0 for row in ask_rows(client, cost_by_model()))
    for query in (cost_by_date(), daily_trend(), cost_by_hour_of_day(), cost_per_minute()):
        assert sum(row["total_cost_usd"] for row in ask_rows(client, query)) == whole
    hours = ask_rows(client, cost_by_hour_of_day(time_zone="Asia/Tokyo"))
    assert [row["hour_of_day"] for row in hours] == [21, 22, 23]
    first = Period(since_ms=NOON * 1000, until_ms=(NOON + 30) * 1000)
    assert ask_rows(client, cost_by_date(first)) == []
    assert [row["calls"] for row in ask_rows(client, cost_per_minute(Period(NOON * 1000, (NOON + 60) * 1000)))] == [2]


def test_entities_are_ranked(client: Client) -> None:
    """The dearest entities come first, as many as asked, and calls without one are no entity."""
    write(client, EVENTS, [])
    rows = ask_rows(client, top_entities(limit=2))
    assert [(row["entity_id"], row["calls"]) for row in rows] == [("e0", 10), ("e1", 9)]


def test_a_query_that_cannot_be_answered_is_one_sentence(client: Client) -> None:
    """ClickHouse's code and reason are in it, and what to do where the tables are missing."""
    with pytest.raises(
        QueryError, match=r"^ClickHouse refuses \(code 62\): Syntax error: failed at position"
    ) as caught:
        ask_rows(client, Query("SELECT )"))
    assert caught.value.code == 62
    client.command("DROP VIEW usage")
    with pytest.raises(QueryError, match=r"\(code 60\).*create the tables with `spendgauge migrate`$"):
        ask_rows(client, cost_by_model())
