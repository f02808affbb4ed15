"""Are the contributions of a stream that ended in the middle brought in line with what was stored?"""

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest
from clickhouse_connect.driver.client import Client
from tests.loads import Load, Totals
from tests.sinks import NOW_MS, TOPICS, chunk, contribution, event, store

from spendgauge.deploy.stack.settle import StreamLedger, settle_streams, settlement_sql
from spendgauge.schemas import MEASURES, ClickHouseSettings
from spendgauge.schemas.prices import PriceBook
from spendgauge.sinks.clickhouse import connect
from spendgauge.sinks.migrate import migrate

STREAM = "topic:16384"


@pytest.fixture
def database(clickhouse: ClickHouseSettings) -> Iterator[Client]:
    """A client of a migrated database."""
    migrate(clickhouse)
    client = connect(clickhouse)
    yield client
    client.close()


def rates(client: Client) -> Totals:
    """Read what the view ``rates`` says, as whole numbers; what is nothing in every measure is left out."""
    names = ", ".join((*MEASURES[:-1], "toInt128(cost_usd * 1000000000000)"))
    rows = client.query(f"SELECT series, key, toUnixTimestamp(pane_start), {names} FROM rates").result_rows
    return {(series, tuple(key), pane): tuple(sums) for series, key, pane, *sums in rows if any(sums)}


def merged(*loads: Totals) -> Totals:
    """Add totals up."""
    sums: dict[tuple[str, tuple[str, ...], int], list[int]] = defaultdict(lambda: [0] * len(MEASURES))
    for load in loads:
        for key, total in load.items():
            sums[key] = [a + b for a, b in zip(sums[key], total, strict=True)]
    return {key: tuple(total) for key, total in sums.items()}


@pytest.mark.integration
def test_stored_events_are_rated(database: Client, clickhouse: ClickHouseSettings) -> None:
    """Events that were stored and never rated are rated, in each series, key and pane as a worker would; once."""
    load = Load(1, NOW_MS - 600_000)
    lines = [line for _, line in load.lines(3_000, spread_ms=300_000)]
    store(database, [chunk(TOPICS.usage, *lines, first=16_000)], book=PriceBook.load())
    assert settle_streams(clickhouse, [STREAM]) > 0
    assert rates(database) == merged(load.expected())
    assert settle_streams(clickhouse, [STREAM]) == 0


@pytest.mark.integration
def test_what_was_rated_and_not_stored_is_taken_back(database: Client, clickhouse: ClickHouseSettings) -> None:
    """Contributions of events that are lost count nothing any more; those of other streams stay."""
    lost = contribution(partition=0, block=0, version=9, requests=5, input_tokens=70, cost_usd="0.000000000500")
    other = contribution(stream="other:16384", version=9, requests=7)
    store(database, [chunk(TOPICS.rates, lost, other)], book=PriceBook.load())
    assert settle_streams(clickhouse, [STREAM]) == 1
    assert [total[0] for total in rates(database).values()] == [7]


@pytest.mark.integration
def test_a_partly_stored_block_wins_over_its_contributions(database: Client, clickhouse: ClickHouseSettings) -> None:
    """Where rates and events of a block differ, the events are right, whatever edition and version the rates had."""
    where = {"key": ("anthropic", "claude-sonnet-4-5"), "series": "provider+model", "pane_start": NOW_MS // 1000}
    rated = contribution(**where, block=1, edition=7, version=32_767, requests=9)
    stored = [event(1), event(2, status="error"), event(3, kind="adjustment", adjusts=event_id(1), input_tokens=-1000)]
    store(database, [chunk(TOPICS.rates, rated)], book=PriceBook.load())
    store(database, [chunk(TOPICS.usage, *stored, first=20_000)], book=PriceBook.load())
    settle_streams(clickhouse, [STREAM])
    ((requests, errors, unpriced, input_tokens, *_),) = rates(database).values()
    assert (requests, errors, unpriced, input_tokens) == (2, 1, 0, 1000)


def event_id(number: int) -> str:
    """The id that ``tests.sinks.event`` gives to an event of that number."""
    return f"{number:08d}-0000-4000-8000-000000000001"


def test_a_series_of_an_unknown_dimension_is_refused() -> None:
    """Names go into SQL only if events have them."""
    with pytest.raises(ValueError, match="has the dimension 'x`y'"):
        settlement_sql("model+x`y", block_offsets=8)


def test_the_ledger_lists_what_ended_until_it_is_settled(tmp_path: Path) -> None:
    """A stream that began is remembered; once another runs it has ended, until it is forgotten."""
    ledger = StreamLedger(tmp_path / "streams.json")
    assert ledger.begin("a:1") == ()
    assert StreamLedger(tmp_path / "streams.json").begin("b:1") == ("a:1",)
    assert ledger.begin("c:1") == ("a:1", "b:1")
    ledger.forget(["a:1"])
    assert ledger.begin("c:1") == ("b:1",)
    (tmp_path / "streams.json").write_text("not JSON")
    assert ledger.begin("d:1") == ()
