"""Which commands run everything on one machine? ``up``, ``down``, ``status``, ``demo``."""

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from spendgauge.deploy.options import Where, with_addresses

if TYPE_CHECKING:
    from spendgauge.deploy.stack.status import StackStatus

__all__ = ["demo", "down", "status", "up"]

Port = Annotated[int | None, typer.Option(min=0, max=65_535, help="On 127.0.0.1; 0: any free one.")]


@with_addresses("kafka", "clickhouse", "data", "budgets", "rules", "channels")
def up(
    where: Where,
    detach: Annotated[bool, typer.Option("--detach", help="Go on in the background; stop it with `down`.")] = False,
    kafka_port: Port = None,
    clickhouse_port: Port = None,
    gateway_port: Port = None,
    workers: Annotated[int | None, typer.Option(min=1, max=64, help="Rates workers that share the load.")] = None,
    prices: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Your own prices, over the built-in ones.")
    ] = None,
) -> None:
    """Run everything on this machine: broker, ClickHouse, worker, watcher, sink and gateway, until Ctrl-C.

    Ctrl-C stores first what was sent, twice stops at once. With --kafka or --clickhouse your own takes the place of the
    embedded one. The embedded broker keeps all in memory; ClickHouse keeps its data under --data.

    Examples:

        spendgauge up
        spendgauge up --detach --data ./gauge
        spendgauge up --budgets budgets.toml --channels channels.toml
        spendgauge up --kafka kafka:9092 --clickhouse http://me:secret@ch:8123/spendgauge --workers 4
    """
    from spendgauge.deploy.stack.running import run_stack, start_detached
    from spendgauge.deploy.stack.settings import StackSettings
    from spendgauge.deploy.stack.signals import StopRequest

    settings = StackSettings.from_environment(
        data=where.data,
        kafka=where.kafka,
        clickhouse=where.clickhouse,
        kafka_port=kafka_port,
        clickhouse_port=clickhouse_port,
        gateway_port=gateway_port,
        workers=workers,
        prices=prices,
        budgets=where.budgets,
        rules=where.rules,
        channels=where.channels,
    )
    if detach:
        state = start_detached(settings)
        typer.echo(f"spendgauge runs on {state.data}; `spendgauge status` looks at it, `spendgauge down` stops it")
    else:
        stop = StopRequest()
        stop.listen()
        run_stack(settings, stop, say=typer.echo)


@with_addresses("data")
def down(
    where: Where,
    now: Annotated[
        bool, typer.Option("--now", help="At once: what is on its way is lost with an embedded broker.")
    ] = False,
) -> None:
    """Stop the stack that runs on this machine; what was sent is stored first.

    Examples:

        spendgauge down
        spendgauge down --data ./gauge --now
    """
    from spendgauge.deploy.stack.running import stop_stack

    stopped = stop_stack(where.data_dir, urgent=now)
    typer.echo("stopped" if stopped else f"no stack runs on {where.data_dir}")


@with_addresses("data")
def status(
    where: Where,
    json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Tell how the stack on this machine is doing; exit status 0 only if all is well.

    Examples:

        spendgauge status
        spendgauge status --json
    """
    from spendgauge.deploy.stack.status import read_status
    from spendgauge.schemas import KafkaSettings

    found = read_status(where.data_dir, KafkaSettings.from_environment())
    if json:
        import orjson

        typer.echo(orjson.dumps(asdict(found) | {"is_well": found.is_well}, option=orjson.OPT_INDENT_2).decode())
    else:
        typer.echo("\n".join(_described(found)))
    if not found.is_well:
        raise typer.Exit(1)


def demo(
    events: Annotated[int, typer.Option(min=1000, help="How many events the simulated day has.")] = 200_000,
) -> None:
    """See it work: run a stack of its own, simulate a day, balance the books, print the costs, leave nothing behind.

    Examples:

        spendgauge demo
        spendgauge demo --events 50000
    """
    from spendgauge.deploy.demo import run_demo

    run_demo(events)


def _described(found: "StackStatus") -> Iterator[str]:
    from spendgauge.sinks.clickhouse import parse_address

    yield f"stack       {found.phase}, data in {found.data}"
    if found.addresses is None:
        return
    clickhouse = parse_address(found.addresses.clickhouse)
    yield f"Kafka       {found.addresses.kafka}, {_answers(found.kafka_answers)}"
    yield f"ClickHouse  {clickhouse}/{clickhouse.database}, {_answers(found.clickhouse_answers)}"
    yield f"gateway     {found.addresses.gateway}, {_answers(found.gateway_answers)}"
    yield f"to do       {_records(found.uncounted)} to count, {_records(found.unstored)} to store"
    for child in found.children:
        state = f"process {child.pid}" if child.pid else "not running, will be started again"
        restarts = f", restarts: {child.restarts}" if child.restarts else ""
        yield f"  {child.name:<12}{state}{restarts}, log {child.log}"
        if child.fault:
            yield f"  {'':<12}{child.fault}"


def _answers(answers: bool) -> str:
    return "answers" if answers else "does not answer"


def _records(number: int | None) -> str:
    return "an unknown number of records" if number is None else f"{number:,} {'record' if number == 1 else 'records'}"
