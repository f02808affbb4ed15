"""Which commands put events in? ``simulate``, ``replay``, ``emit``."""

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from spendgauge.deploy.options import Where, parse_speed, with_addresses

if TYPE_CHECKING:
    import polars as pl

    from spendgauge.deploy.replay.batches import Problem
    from spendgauge.producers import DeliverySettings

__all__ = ["emit", "replay", "simulate"]

_MOST_SHOWN: Final = 20
_STALL_SECONDS: Final = 20.0

Speed = Annotated[
    float,
    typer.Option(
        parser=parse_speed, metavar="X|max", help="Play in time, X seconds of the events' time in one; max: at once."
    ),
]
KeepTime = Annotated[bool, typer.Option("--keep-time", help="Leave the times as they are; else the last event is now.")]


@with_addresses("kafka", "data")
def simulate(
    where: Where,
    events: Annotated[int, typer.Option(min=1, help="How many events the day has.")] = 100_000,
    seed: Annotated[int, typer.Option(min=0, help="Another seed is another day.")] = 1,
    speed: Speed = "max",  # type: ignore[assignment]  # Typer hands the text to the parser
    keep_time: KeepTime = False,
    runaway: Annotated[
        str | None,
        typer.Option(
            metavar="AGENT[:USD_A_MINUTE[:AFTER[:FOR]]]",
            help="Which agent runs away, how fast, when and for how long, such as coder:6:5m:10m; else the day's own.",
        ),
    ] = None,
) -> None:
    """Send a realistic day of usage: services, models, sessions, users, errors, an agent that runs away.

    The same seed is the same day; each run has new sources, sessions and event ids, so running it again adds a day.
    With --keep-time the day is yesterday, UTC. --runaway spends so many USD a minute in one session of many calls.

    Examples:

        spendgauge simulate
        spendgauge simulate --events 1000000 --seed 7
        spendgauge simulate --speed 60          a day in 24 minutes
        spendgauge simulate --speed 1 --runaway coder:6:5m:10m
    """
    from spendgauge.deploy.replay.playback import Tempo, play_day
    from spendgauge.deploy.simulation.runaway import Runaway, draw_runaway_calls
    from spendgauge.producers import DeliverySettings
    from spendgauge.schemas import SystemClock
    from spendgauge.schemas.prices import PriceBook

    clock = SystemClock()
    tempo = Tempo(speed, keep_time, clock)
    now_ms = clock.now_ms()
    calls = None
    if runaway is not None:
        calls = draw_runaway_calls(Runaway.parse(runaway), seed=seed, book=PriceBook.load(), at_ms=now_ms)
    total = events + (len(calls.calls) if calls else 0)
    frames = play_day(events, seed=seed, run=f"{now_ms:x}", tempo=tempo, runaway=calls)
    _feed(where.settings(DeliverySettings), "simulating", total, frames)


@with_addresses("kafka", "data")
def replay(
    where: Where,
    file: Annotated[Path, typer.Argument(help="A .csv, .jsonl or .ndjson file, .gz after it or not.")],
    columns: Annotated[
        list[str] | None, typer.Option(metavar="FIELD=COLUMN,...", help="Which column is which field of an event.")
    ] = None,
    models: Annotated[
        list[str] | None, typer.Option(metavar="NAME=PROVIDER/MODEL,...", help="What the file's models are called.")
    ] = None,
    constants: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="FIELD=VALUE,...", help="Values for all events; a column's value wins."),
    ] = None,
    speed: Speed = "max",  # type: ignore[assignment]  # Typer hands the text to the parser
    keep_time: KeepTime = False,
) -> None:
    """Send the usage that a log tells of, from CSV or JSON lines.

    A column that bears a field's name is that field. Times are ISO 8601 (UTC where no zone is given) or numbers since
    1970, whose unit is told by the column's name (..._ms, _us, _ns, _s) or the size. Durations (latency_ms, ttft_ms)
    are milliseconds unless the column's name says otherwise. Rows that are no events are listed, the others sent.

    Examples:

        spendgauge replay log.csv.gz --columns occurred_at=ts,user_id=key --models m=anthropic/claude-sonnet-4-5
        spendgauge replay calls.jsonl --columns occurred_at=at,input_tokens=usage.input --set provider=openai
        spendgauge replay log.csv --set usage_convention=inclusive     its input counts hold cached tokens
    """
    from spendgauge.deploy.replay.log import look_through
    from spendgauge.deploy.replay.mapping import FieldMapping
    from spendgauge.deploy.replay.playback import Tempo, play_log
    from spendgauge.producers import DeliverySettings
    from spendgauge.schemas import SystemClock

    settings = where.settings(DeliverySettings)
    log = look_through(file, FieldMapping.parse(columns or (), constants=constants or (), models=models or ()))
    problems = _Problems()
    frames = play_log(log, name="replay", tempo=Tempo(speed, keep_time, SystemClock()), on_problems=problems.hear)
    _feed(settings, "replaying", log.rows, frames)
    problems.conclude(log.rows)


@with_addresses("kafka", "data")
def emit(
    where: Where,
    service: Annotated[str, typer.Option(help="Who emits: the first part of the events' source.")] = "cli",
) -> None:
    """Send events from standard input, one JSON object a line with the fields of an event.

    occurred_at is now unless given; event_id, source and seq are filled in. Lines that are no events are listed with
    their numbers, the others sent; then the exit status is 1.

    Examples:

        echo '{"provider": "openai", "model": "gpt-5", "input_tokens": 12}' | spendgauge emit
        tail -F usage.jsonl | spendgauge emit --service gateway
    """
    import socket

    from spendgauge.deploy.feeding.emit import send_lines
    from spendgauge.deploy.tail.topic import require_topic
    from spendgauge.producers import BulkWriter, DeliverySettings
    from spendgauge.schemas import SystemClock

    settings = where.settings(DeliverySettings)
    require_topic(settings, settings.topics.usage)
    problems = _Problems()
    with BulkWriter(settings, stall_seconds=_STALL_SECONDS) as writer:
        source = writer.open_source(service, socket.gethostname())
        lines: Any = sys.stdin.buffer  # a BufferedReader, whatever its type says
        for problem in send_lines(lines, source, now_ms=SystemClock().now_ms):
            problems.hear([problem])
    typer.echo(f"{_counted(source.next_seq, 'event')} sent by {source.name}")
    problems.conclude(source.next_seq + problems.count)


class _Problems:
    """Lists the first lines that are not sent, counts all."""

    def __init__(self) -> None:
        self.count = 0

    def hear(self, problems: "Iterable[Problem]") -> None:
        """Show and count."""
        for problem in problems:
            self.count += 1
            if self.count <= _MOST_SHOWN:
                typer.echo(f"line {problem.line}: {problem.reason}", err=True)

    def conclude(self, lines: int) -> None:
        """Say how many there were; exit with 1 if any."""
        if self.count:
            typer.echo(f"{self.count:,} of {lines:,} lines were not sent", err=True)
            raise typer.Exit(1)


def _feed(settings: "DeliverySettings", label: str, total: int, frames: "Iterator[pl.DataFrame]") -> None:
    """Send, show how far it is, say what was sent."""
    from spendgauge.deploy.feeding.feed import feed
    from spendgauge.deploy.progress import progress_bar
    from spendgauge.deploy.tail.topic import require_topic
    from spendgauge.producers import BulkWriter
    from spendgauge.schemas import SystemClock

    require_topic(settings, settings.topics.usage)
    with BulkWriter(settings, stall_seconds=_STALL_SECONDS) as writer, progress_bar(label, total) as on_progress:
        fed = feed(frames, writer, clock=SystemClock(), on_progress=on_progress)
    rate = fed.events / max(fed.seconds, 0.001)
    sent = f"{_counted(fed.events, 'event')} of {_counted(fed.sources, 'source')} sent"
    typer.echo(f"{sent} in {fed.seconds:.1f} s ({rate:,.0f}/s)")


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
