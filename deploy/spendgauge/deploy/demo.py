"""What does it do, in a minute? A throw-away stack, a simulated day, balanced books, the costs, and nothing left."""

import signal
from typing import Final

import typer

from spendgauge.deploy.feeding.feed import Fed, feed
from spendgauge.deploy.interrupts import interrupted_once
from spendgauge.deploy.progress import progress_bar
from spendgauge.deploy.reconciling import balance_books
from spendgauge.deploy.replay.playback import Tempo, play_day
from spendgauge.deploy.stack.throwaway import throwaway_stack
from spendgauge.insights.periods import last_days
from spendgauge.insights.reconcile_text import as_sentences
from spendgauge.insights.report import print_report
from spendgauge.producers import BulkWriter, DeliverySettings
from spendgauge.schemas import ClickHouseSettings, SystemClock
from spendgauge.sinks.clickhouse import connect

__all__ = ["run_demo"]

_WAIT_SECONDS: Final = 90.0


def run_demo(events: int) -> None:
    """Show it all; exit with 1 where the books do not balance. Whatever ends it, the stack goes too."""
    clock = SystemClock()
    begun = clock.monotonic()

    def say(text: str) -> None:
        typer.echo(f"[{clock.monotonic() - begun:5.1f} s] {text}")

    say("starting a broker, a ClickHouse, a rates worker, a watcher and a sink in a temporary directory")
    with interrupted_once(signal.SIGTERM), throwaway_stack(clock) as stack:
        kafka, clickhouse = DeliverySettings(kafka=stack.kafka), ClickHouseSettings(clickhouse=stack.clickhouse)
        say(f"simulating a day of {events:,} calls to models")
        fed = _simulate(kafka, events)
        say(f"{fed.events:,} events of {fed.sources} instances are in Kafka; waiting for the last rate and row")
        found = balance_books(kafka, clickhouse, wait_seconds=_WAIT_SECONDS)
        say("reconciled: every event that was produced, against what is stored and what the rates sum up to\n")
        typer.echo("\n".join(as_sentences(found)) + "\n")
        print_report(connect(clickhouse), last_days(1.01, now_ms=clock.now_ms()))
    typer.echo(
        "\nThat stack is gone. To keep one running: make up, then in another shell: .venv/bin/spendgauge simulate"
    )
    if not found.balanced:
        raise typer.Exit(1)


def _simulate(settings: DeliverySettings, events: int) -> Fed:
    clock = SystemClock()
    frames = play_day(events, seed=1, run="demo", tempo=Tempo(float("inf"), keep_time=False, clock=clock))
    with BulkWriter(settings) as writer, progress_bar("simulating", events) as on_progress:
        return feed(frames, writer, clock=clock, on_progress=on_progress)
