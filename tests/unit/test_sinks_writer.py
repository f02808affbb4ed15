"""Does a batch reach its tables slice by slice, and the rows that do not, the dead letters?"""

from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pytest
from clickhouse_connect.driver.exceptions import DatabaseError
from tests.sinks import chunk, contribution, event, refusal, store

from spendgauge.schemas.prices import PriceBook
from spendgauge.sinks.writer import is_local


@dataclass
class FakeClient:
    """Keeps what is inserted; refuses blocks that hold a mark."""

    mark: bytes = b"no such bytes"
    failures: list[DatabaseError] = field(default_factory=list)
    inserts: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def raw_insert(self, table: str, **options: Any) -> None:
        """Take a block as clickhouse-connect does."""
        if self.failures:
            raise self.failures.pop()
        if self.mark in options["insert_block"] and table != "usage_rejected":
            raise refusal()
        self.inserts.append((table, options))

    @property
    def tables(self) -> list[str]:
        """The tables of the inserts, in order."""
        return [table for table, _ in self.inserts]


@pytest.fixture(scope="module")
def book() -> PriceBook:
    """The catalogue's prices."""
    return PriceBook.load()


def test_one_insert_is_one_month(book: PriceBook) -> None:
    """Events of two months are two INSERTs, for each is stored whole or not at all."""
    client = FakeClient()
    written = store(
        client,
        [chunk("usage.events", event(1, occurred_at="2026-08-31T23:59:59.999Z"), event(2), event(3))],
        book=book,
    )
    assert client.tables == ["usage_events", "usage_events"]
    assert (written.rows, written.refused, written.retries) == ({"usage_events": 3}, 0, 0)


def test_large_batches_are_cut(book: PriceBook) -> None:
    """No INSERT has more rows than allowed."""
    client = FakeClient()
    store(client, [chunk("usage.events", *map(event, range(5)))], book=book, batch_rows=2)
    assert len(client.inserts) == 3


def test_refused_rows_become_dead_letters_last(book: PriceBook) -> None:
    """A row that ClickHouse refuses is written to usage_rejected, with its bytes, after all other rows."""
    client = FakeClient(mark=b"cursed")
    bad = event(2, model="cursed")
    written = store(
        client, [chunk("usage.events", event(1), bad, event(3)), chunk("cost.rates", contribution())], book=book
    )
    assert client.tables == ["usage_events", "usage_events", "cost_rates", "usage_rejected"]
    assert bad in client.inserts[-1][1]["insert_block"]
    assert (written.rows, written.refused) == ({"usage_events": 2, "cost_rates": 1, "usage_rejected": 1}, 1)


def test_a_stored_insert_means_stored(book: PriceBook) -> None:
    """Every INSERT says that the answer must wait until the rows are on disk, whatever the server's defaults are."""
    client = FakeClient()
    store(client, [chunk("usage.events", event(1))], book=book)
    assert client.inserts[0][1]["settings"]["async_insert"] == 0


def test_retries_are_counted_and_told(book: PriceBook) -> None:
    """Each failure that is waited out is counted and told, with the table and the reason."""
    client, told = FakeClient(failures=[refusal(None, "Connection refused"), refusal(252, "too many parts")]), []
    written = store(
        client,
        [chunk("usage.events", event(1))],
        book=book,
        wait=lambda _: True,
        on_retry=lambda *heard: told.append(heard),
    )
    assert written.retries == 2
    assert told == [("usage_events", 1, "too many parts"), ("usage_events", 2, "Connection refused")]
    assert client.tables == ["usage_events"]


def test_blocks_are_packed_for_the_network(book: PriceBook) -> None:
    """What is sent to another machine is compressed, and unpacks to what is sent to this one."""
    plain, packed = FakeClient(), FakeClient()
    for client, compress in ((plain, False), (packed, True)):
        store(client, [chunk("usage.events", event(1))], book=book, compress=compress)
    block = plain.inserts[0][1]["insert_block"]
    sent = packed.inserts[0][1]
    assert sent["compression"] == "lz4"
    assert pa.decompress(sent["insert_block"], codec="lz4", decompressed_size=len(block), asbytes=True) == block


@pytest.mark.parametrize(
    ("host", "local"), [("127.0.0.1", True), ("::1", True), ("localhost", True), ("10.0.0.1", False), ("db", False)]
)
def test_this_machine_is_known(host: str, local: bool) -> None:
    """Loopback addresses and localhost are this machine; any other name may not be."""
    assert is_local(host) is local
