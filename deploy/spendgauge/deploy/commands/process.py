"""Which commands run one process, or prepare for it? The worker, the watcher, the sink, the store, topics, tables."""

import signal
from pathlib import Path
from typing import Annotated

import typer

from spendgauge.deploy.options import Where, with_addresses

__all__ = ["create_topics", "migrate", "sink", "store", "watcher", "worker"]


@with_addresses("kafka", "data")
def worker(
    where: Where,
    prices: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Your own prices, over the built-in ones.")
    ] = None,
) -> None:
    """Run one rates worker until Ctrl-C: events in, cost rates out. More of them share the partitions.

    Further settings come from the environment, SPENDGAUGE_*: see docs/commands.md.

    Examples:

        spendgauge worker --kafka kafka:9092
        spendgauge worker --prices prices.toml
    """
    from spendgauge.streams.rating.process import run_worker
    from spendgauge.streams.settings import WorkerSettings

    run_worker(where.settings(WorkerSettings, prices=prices))


@with_addresses("kafka", "data", "budgets", "rules")
def watcher(where: Where) -> None:
    """Run one watcher until Ctrl-C: cost rates in, alerts and quotas out. More of them share the partitions.

    Further settings come from the environment, SPENDGAUGE_*: see docs/watcher.md.

    Examples:

        spendgauge watcher --kafka kafka:9092
        spendgauge watcher --budgets budgets.toml --rules rules.toml
    """
    from spendgauge.streams.watching.app import run_watcher
    from spendgauge.streams.watching.settings import WatcherSettings

    run_watcher(where.settings(WatcherSettings))


@with_addresses("kafka", "clickhouse", "data")
def sink(
    where: Where,
    prices: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Your own prices, over the built-in ones.")
    ] = None,
) -> None:
    """Run one sink until Ctrl-C: from Kafka into ClickHouse, each event once. More of them share the partitions.

    Further settings come from the environment, SPENDGAUGE_*: see docs/commands.md.

    Examples:

        spendgauge sink --kafka kafka:9092 --clickhouse http://default@clickhouse:8123/spendgauge
    """
    from threading import Event

    from spendgauge.sinks.settings import SinkSettings
    from spendgauge.sinks.sink import run_sink

    settings = where.settings(SinkSettings, prices=prices)
    stop = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    run_sink(settings, stop)


def store(
    path: Annotated[Path, typer.Option(help="The data directory; created if missing.")],
    port: Annotated[int, typer.Option(min=0, max=65_535, help="The port to listen on; 0: any free one.")] = 8123,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
) -> None:
    """Run the embedded ClickHouse until Ctrl-C: one process, one directory, ClickHouse's HTTP protocol.

    Examples:

        spendgauge store --path ./clickhouse --port 8123
    """
    from spendgauge.deploy.store.process import StoreSettings, run_store

    run_store(path=path, port=port, host=host, settings=StoreSettings.from_environment())


@with_addresses("kafka", "data")
def create_topics(
    where: Where,
    partitions: Annotated[
        int | None, typer.Option(min=1, help="As many workers and sinks can share the load; default 4.")
    ] = None,
    replicas: Annotated[int, typer.Option(min=-1, help="Copies of each partition; -1: as the broker has it.")] = -1,
) -> None:
    """Create the topics that are missing; those that are there stay as they are.

    Examples:

        spendgauge topics create
        spendgauge topics create --partitions 24 --replicas 3
    """
    from spendgauge.schemas.kafka import create_topics as create
    from spendgauge.schemas.topics import topic_specs
    from spendgauge.streams.settings import WorkerSettings

    settings = where.settings(WorkerSettings, partitions=partitions)
    created = create(
        settings, topic_specs(settings.topics, partitions=settings.partitions), replication_factor=replicas
    )
    typer.echo(f"created {', '.join(created)}" if created else "all topics are there")


@with_addresses("clickhouse", "data")
def migrate(where: Where) -> None:
    """Create or update the database's tables; safe to run twice, and from two places at once.

    Examples:

        spendgauge migrate --clickhouse http://default@clickhouse:8123/spendgauge
    """
    from spendgauge.schemas import ClickHouseSettings
    from spendgauge.sinks.migrate import migrate as apply

    applied = apply(where.settings(ClickHouseSettings))
    typer.echo(f"applied {', '.join(applied)}" if applied else "the tables are up to date")
