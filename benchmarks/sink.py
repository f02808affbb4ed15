"""How many events a second does the sink store, beside a bare insert of columns that are ready? How large are they?"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from clickhouse_connect.driver.client import Client

from benchmarks.machines import processors, run_pinned, start_pinned
from benchmarks.report import Row, compare
from benchmarks.watch import Pace, watch
from benchmarks.workload import Workload, fill
from spendgauge.schemas import ClickHouseSettings, KafkaSettings
from spendgauge.sinks.clickhouse import connect
from spendgauge.sinks.migrate import migrate

__all__ = ["measure_sink"]

_WAYS: Final = ("native", "arrow")


def measure_sink(kafka: str, clickhouse: ClickHouseSettings, workload: Workload, *, rounds: int) -> list[Row]:
    """Measure sink and bare inserts in turn on the same records; give the medians, and bytes an event after merges."""
    settings = KafkaSettings(kafka=kafka, topic_prefix=f"sink{workload.coalesced}.")
    fill(settings, workload)
    migrate(clickhouse)
    sinks, inserts = list[Pace](), {way: list[Pace]() for way in _WAYS}
    with _client(clickhouse) as client:
        for number in range(rounds):
            for way in _WAYS:
                client.command("TRUNCATE TABLE usage_events")
                inserts[way].append(_insert(settings, clickhouse, way, events=workload.events))
            client.command("TRUNCATE TABLE usage_events")
            sinks.append(_sink(settings, clickhouse, client, events=workload.events, group=f"bench-{number}"))
        size = _bytes_an_event(client)
    return [
        compare("sink, 1 a record", sinks, "ready columns, Native", inserts["native"]),
        compare("", sinks, "ready columns, insert_arrow()", inserts["arrow"]),
        Row("an event in usage_events, merged", size, "", 0, "bytes"),
    ]


@contextmanager
def _client(clickhouse: ClickHouseSettings) -> Iterator[Client]:
    client = connect(clickhouse)
    try:
        yield client
    finally:
        client.close()


def _insert(settings: KafkaSettings, clickhouse: ClickHouseSettings, way: str, *, events: int) -> Pace:
    where = ("--kafka", settings.kafka, "--prefix", settings.topic_prefix, "--clickhouse", clickhouse.clickhouse)
    return Pace(**run_pinned("benchmarks.inserts", way, *where, "--events", str(events)))


def _sink(settings: KafkaSettings, clickhouse: ClickHouseSettings, client: Client, *, events: int, group: str) -> Pace:
    environment = settings.environment() | clickhouse.environment() | {"SPENDGAUGE_SINK_GROUP": group}
    command = [sys.executable, "-m", "spendgauge.sinks"]

    def stored() -> int:
        return int(str(client.command("SELECT count() FROM usage_events")))

    with start_pinned(
        command,
        processor=processors()[1],
        environment=environment | {"SPENDGAUGE_SESSION_TIMEOUT_SECONDS": "6"},
    ) as process:
        try:
            return watch(stored, process.pid, events=events)
        finally:
            process.kill()


def _bytes_an_event(client: Client) -> float:
    client.command("OPTIMIZE TABLE usage_events FINAL")
    query = "SELECT sum(bytes_on_disk) / sum(rows) FROM system.parts WHERE active AND table = 'usage_events'"
    return float(str(client.command(f"{query} AND database = currentDatabase()")))
