"""Do the tables keep each thing once, with its values, on ClickHouse's own engine?"""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from itertools import permutations
from random import Random
from typing import Any

import orjson
import polars as pl
import pytest
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import DatabaseError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.sinks import NOW_MS, TOPICS, chunk, contribution, event, gaps, reject, store
from tests.strategies import usage_events

from spendgauge.schemas import ClickHouseSettings, RecordChunk, UsageEvent
from spendgauge.schemas.chunks import decode_chunk
from spendgauge.schemas.lines import event_line
from spendgauge.schemas.prices import PriceBook
from spendgauge.sinks.clickhouse import connect
from spendgauge.sinks.migrate import migrate
from spendgauge.sinks.rows import decode_chunks
from spendgauge.sinks.tables import TABLES, USAGE_EVENTS

pytestmark = pytest.mark.integration


@dataclass(frozen=True)
class Database:
    """A migrated database and the prices."""

    client: Client
    book: PriceBook

    def store(self, *chunks: RecordChunk) -> None:
        """Store chunks as the sink does."""
        store(self.client, chunks, book=self.book)

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Ask."""
        return [tuple(row) for row in self.client.query(query).result_rows]


@pytest.fixture
def database(clickhouse: ClickHouseSettings) -> Iterator[Database]:
    """A fresh, migrated database."""
    migrate(clickhouse)
    client = connect(clickhouse)
    yield Database(client, PriceBook.load())
    client.close()


def test_every_column_is_written_or_made_by_the_table(database: Database) -> None:
    """The sink writes all columns but those that the table fills itself."""
    for table in TABLES:
        columns = database.rows(
            "SELECT name, default_kind FROM system.columns "
            f"WHERE database = currentDatabase() AND table = '{table.name}'"
        )
        assert {name for name, kind in columns if not kind} == {column.name for column in table.columns}


READ_AS = {
    "event_id": "toString(event_id)",
    "adjusts": "toString(adjusts)",
    "occurred_at": "toUnixTimestamp64Milli(occurred_at)",
    "received_at": "toUnixTimestamp64Milli(received_at)",
    "started_at": "reinterpretAsInt64(started_at)",
    "reported_cost_usd": "reinterpretAsInt64(reported_cost_usd)",
}
"""How to read back what a frame holds as text or as an integer."""


@given(st.lists(usage_events(), min_size=20, max_size=40, unique_by=lambda event: event.event_id))
@settings(max_examples=5, deadline=None, suppress_health_check=list(HealthCheck))
def test_an_event_comes_back_as_it_was(database: Database, events: list[UsageEvent]) -> None:
    """Whatever a valid event holds, up to every limit, the view ``usage`` gives the same values."""
    record = chunk("usage.events", *map(event_line, events))
    database.client.command("TRUNCATE TABLE usage_events")
    database.store(record)
    frame = decode_chunk(record).frame
    columns = {c.name: c.frame_name for c in USAGE_EVENTS.columns if c.frame_name in frame.columns}
    asked = ", ".join(READ_AS.get(name, name) for name in columns)
    wanted = [
        tuple(orjson.loads(row[source]) if name == "tags" else row[source] for name, source in columns.items())
        for row in frame.iter_rows(named=True)
    ]
    assert database.rows(f"SELECT {asked} FROM usage ORDER BY offset") == wanted


def test_a_replay_changes_nothing(database: Database) -> None:
    """The same records, stored again in other batches and another order, leave count and sums as they were."""
    chunks = [chunk("usage.events", *(event(p * 100 + n) for n in range(50)), partition=p) for p in range(4)]
    database.store(*chunks)
    query = "SELECT count(), uniqExact(event_id), sum(cost_usd), sum(input_tokens) FROM usage"
    before = database.rows(query)
    assert before == [(200, 200, Decimal("0.9"), 200_000)]
    for _ in range(3):
        Random(1).shuffle(chunks)
        for one in chunks:
            database.store(chunk("usage.events", *one.values[20:], partition=one.partition, first=20))
        database.store(*chunks)
        assert database.rows(query) == before
    database.client.command("OPTIMIZE TABLE usage_events FINAL")
    assert database.rows(query) == before
    assert database.rows("SELECT count() FROM usage_events") == [(200,)]


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_the_earliest_record_of_an_id_stays(database: Database, order: tuple[int, ...]) -> None:
    """Of several events with one id the first in the log counts, however they were stored: as in the rates."""
    copies = [chunk("usage.events", event(1, input_tokens=tokens), first=tokens) for tokens in (10, 20, 30)]
    for number in order:
        database.store(copies[number])
    assert database.rows("SELECT input_tokens, offset FROM usage") == [(10, 10)]
    database.client.command("OPTIMIZE TABLE usage_events FINAL")
    assert database.rows("SELECT input_tokens, offset FROM usage_events") == [(10, 10)]


def test_the_earlier_line_of_a_record_stays(database: Database) -> None:
    """Within one record, and one INSERT, the earlier line of an id counts."""
    database.store(chunk("usage.events", b"\n".join(event(1, input_tokens=tokens) for tokens in (5, 6, 7))))
    assert database.rows("SELECT input_tokens, line FROM usage") == [(5, 0)]


def test_the_same_record_may_be_priced_again(database: Database) -> None:
    """A row stored again from the same place replaces the old one: a late price reaches events that were unpriced."""
    record = chunk("usage.events", event(1, provider="acme", model="new-1"))
    database.store(record)
    assert database.rows("SELECT cost_usd, price_version FROM usage") == [(None, "")]
    rows = decode_chunks([record], book=database.book, topics=TOPICS).rows[0].frame
    rows = rows.with_columns(cost_picodollars=pl.lit(1_500_000_000_000), price_version=pl.lit("mine"))
    database.client.raw_insert(
        "usage_events",
        column_names=[column.name for column in USAGE_EVENTS.columns],
        insert_block=USAGE_EVENTS.encode(rows),
        fmt="Native",
    )
    assert database.rows("SELECT cost_usd, price_version FROM usage") == [(Decimal("1.5"), "mine")]


def test_unpriced_is_null_and_not_zero(database: Database) -> None:
    """An unknown model costs NULL: sums leave it out, and it can be counted."""
    database.store(chunk("usage.events", event(1), event(2, provider="nobody", model="x")))
    assert database.rows("SELECT count(), countIf(cost_usd IS NULL), sum(cost_usd) FROM usage") == [
        (2, 1, Decimal("0.0045"))
    ]


def test_total_tokens_are_the_disjoint_leaves(database: Database) -> None:
    """total_tokens adds up what is disjoint; reasoning is part of output, searches are no tokens."""
    leaves = {"input_tokens": 1, "cache_read_tokens": 2, "cache_write_5m_tokens": 4, "cache_write_1h_tokens": 8}
    others = {"output_tokens": 16, "input_audio_tokens": 32, "output_audio_tokens": 64}
    database.store(chunk("usage.events", event(1, **leaves, **others, reasoning_tokens=16, web_search_requests=128)))
    assert database.rows("SELECT total_tokens FROM usage") == [(127,)]
    database.store(chunk("cost.rates", contribution(**leaves, **others, reasoning_tokens=16, web_search_requests=128)))
    assert database.rows("SELECT total_tokens FROM rates") == [(127,)]


def test_rates_add_up_the_highest_versions(database: Database) -> None:
    """However contributions are shuffled and repeated, a pane is the sum over blocks of the highest version."""
    lines = [
        contribution(partition=p, block=b, version=v, requests=v, cost_usd=f"{v}.00000000000{p}")
        for p in range(2)
        for b in range(3)
        for v in range(1, 6)
    ]
    lines += Random(3).choices(lines, k=30)
    Random(4).shuffle(lines)
    for at in range(0, len(lines), 7):
        database.store(chunk("cost.rates", b"\n".join(lines[at : at + 7]), first=at))
    query = "SELECT key, requests, cost_usd, dimensions['model'], cost_usd_per_hour FROM rates"
    cost = Decimal("30.000000000003")
    expected = [(["anthropic", "claude-sonnet-4-5"], 30, cost, "claude-sonnet-4-5", cost * 360)]
    assert database.rows(query) == expected
    database.client.command("OPTIMIZE TABLE cost_rates FINAL")
    assert database.rows(query) == expected


def test_a_later_edition_wins_over_any_version(database: Database) -> None:
    """A block that was priced anew replaces what the old prices said, also where that had read further."""
    lines = [
        contribution(edition=e, version=v, requests=100 * e + v, cost_usd=f"{e}.{v % 1000:012d}")
        for e, v in ((0, 9), (1, 3), (1, 5), (0, 2**48 - 1), (1, 4))
    ]
    for number, line in enumerate(lines):
        database.store(chunk("cost.rates", line, first=number))
    query = "SELECT requests, cost_usd FROM rates"
    assert database.rows(query) == [(105, Decimal("1.000000000005"))]
    database.client.command("OPTIMIZE TABLE cost_rates FINAL")
    assert database.rows(query) == [(105, Decimal("1.000000000005"))]
    assert database.rows("SELECT edition, version FROM cost_rates") == [(1, 5)]


def test_open_gaps_are_rows(database: Database) -> None:
    """The view has a row for each run of numbers that is missing by the highest version; a closed one is gone."""
    two = [{"first_seq": 3, "last_seq": 4}, {"first_seq": 7, "last_seq": 7}]
    lines = [
        gaps(source="a", version=20, next_seq=9, gaps=two, repeats=2),
        gaps(source="a", version=10, next_seq=5, gaps=two[:1]),
        gaps(source="b", version=10, next_seq=5, gaps=two[:1]),
        gaps(source="b", version=11, next_seq=5),
        gaps(source="c", version=12, shared=True),
    ]
    for first, order in enumerate((lines, lines[::-1], lines)):
        database.store(chunk("usage.gaps", b"\n".join(order), first=first))
    query = "SELECT source, first_seq, last_seq, missing, opened_offset, toUnixTimestamp64Milli(opened_at) FROM gaps"
    assert database.rows(f"{query} ORDER BY source, first_seq") == [
        ("a", 3, 4, 2, 5, NOW_MS),
        ("a", 7, 7, 1, 5, NOW_MS),
    ]
    standing = "SELECT source, version, next_seq, repeats, shared FROM source_gaps FINAL ORDER BY source"
    assert database.rows(standing) == [("a", 20, 9, 2, 0), ("b", 11, 5, 0, 0), ("c", 12, 0, 0, 1)]


def test_another_stream_is_another_contribution(database: Database) -> None:
    """A recreated topic's blocks add to its predecessor's; they do not replace them."""
    database.store(
        chunk("cost.rates", contribution(stream="old:8", requests=3), contribution(stream="new:8", requests=4))
    )
    assert database.rows("SELECT requests FROM rates") == [(7,)]


def test_the_total_has_no_dimensions(database: Database) -> None:
    """The series ``total`` has an empty key and an empty map."""
    database.store(chunk("cost.rates", contribution(series="total", key=())))
    assert database.rows("SELECT series, key, dimensions FROM rates") == [("total", [], {})]


def test_a_reject_is_kept_once(database: Database) -> None:
    """A dead letter stands once however often it was written, with its bytes."""
    for _ in range(3):
        database.store(chunk("usage.rejected", reject(value=b"\xff{", headers=(("h", None),)), reject(offset=6)))
    query = "SELECT offset, reason, rejected_by, key, hex(value), length(headers) FROM rejected ORDER BY offset"
    assert database.rows(query) == [
        (5, "invalid_json", "rates", "source", "FF7B", 1),
        (6, "invalid_json", "rates", "source", "7B", 0),
    ]


def test_a_row_that_the_table_refuses_is_isolated(database: Database) -> None:
    """One row that a constraint refuses becomes a dead letter with the reason; the 999 around it are stored."""
    database.client.command("ALTER TABLE usage_events ADD CONSTRAINT not_cursed CHECK model != 'cursed'")
    values = [event(n, model="cursed" if n == 617 else "claude-sonnet-4-5") for n in range(1000)]
    database.store(chunk("usage.events", *values))
    assert database.rows("SELECT count(), countIf(model = 'cursed') FROM usage") == [(999, 0)]
    letters = database.rows("SELECT offset, reason, rejected_by, detail, value FROM rejected")
    assert [row[:3] for row in letters] == [(617, "refused", "sink")]
    assert "not_cursed" in letters[0][3]
    assert letters[0][4] == values[617].decode()


@pytest.mark.parametrize("at", ["2019-12-31 23:59:59.999", "2100-01-01 00:00:00"])
def test_the_tables_refuse_insane_times(database: Database, at: str) -> None:
    """Whoever writes, no event and no pane lies before 2020 or from 2100 on: each would be a partition of its own."""
    for table, column in (("usage_events", "occurred_at"), ("cost_rates", "pane_start")):
        with pytest.raises(DatabaseError) as raised:
            database.client.command(f"INSERT INTO {table} ({column}) VALUES ('{at}')")
        assert raised.value.code == 469


def test_stored_at_is_the_servers_clock(database: Database) -> None:
    """Rows say when they were stored, by the clock that roll-ups compare with."""
    database.store(chunk("usage.events", event(1)))
    assert database.rows("SELECT stored_at BETWEEN now64(3) - 60 AND now64(3), received_at FROM usage")[0][0] == 1
    assert database.rows("SELECT toUnixTimestamp64Milli(received_at) FROM usage") == [(NOW_MS,)]
