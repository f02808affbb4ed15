"""Over what is rehearsed? Exactly one of: files, ClickHouse, simulated days; as lines, minute by minute."""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import polars as pl
import typer

from spendgauge.deploy.options import Where, parse_moment
from spendgauge.deploy.progress import progress_bar
from spendgauge.deploy.rehearse.filed import days_to_move, filed_events, look_through_all
from spendgauge.deploy.rehearse.minutes import MINUTE_SECONDS, MinuteLines, in_order
from spendgauge.deploy.rehearse.options import Filed, Simulated, Stored
from spendgauge.deploy.rehearse.simulated import DAY_SECONDS, Weeks, simulate_weeks
from spendgauge.deploy.rehearse.stored import stored_lines, stored_span
from spendgauge.deploy.replay.batches import Problem
from spendgauge.deploy.replay.mapping import FieldMapping
from spendgauge.deploy.simulation.runaway import Runaway
from spendgauge.insights.periods import Period
from spendgauge.schemas import ClickHouseSettings, ConfigurationError
from spendgauge.schemas.prices import PriceBook
from spendgauge.sinks.clickhouse import connect
from spendgauge.streams.judging.lines import LINES_SCHEMA

__all__ = ["Traffic", "filed_traffic", "simulated_traffic", "stored_traffic"]

_MOST_SHOWN: Final = 20


@dataclass(frozen=True)
class Traffic:
    """Lines in the order of time, no minute in two frames."""

    name: str
    minutes: int
    """How many, about."""
    lines: Iterator[pl.DataFrame]


def simulated_traffic(asked: Simulated, *, series: Collection[str], book: PriceBook, now_ms: int) -> Traffic:
    """Simulate the days before the last midnight, UTC.

    Raises ``ConfigurationError``.
    """
    span = asked.days * DAY_SECONDS
    start_ms = (now_ms // 1000 // DAY_SECONDS * DAY_SECONDS - span) * 1000
    text = asked.runaway or f"refactor-bot:2:{asked.days * 2 // 3}d14h:25m"
    runaway = None if text == "none" else Runaway.parse(text, span_seconds=span)
    weeks = Weeks(asked.days, asked.events, asked.seed, start_ms, runaway)
    minutes = MinuteLines(book, series=series)
    lines = in_order(minutes.lines(events) for events in simulate_weeks(weeks, book))
    days = "1 day" if asked.days == 1 else f"{asked.days} days"
    return Traffic(f"{days} of simulated traffic", asked.days * 1440, lines)


def filed_traffic(asked: Filed, *, series: Collection[str], book: PriceBook, now_ms: int) -> Traffic:
    """Read files, whatever the order of their rows; say on stderr which lines are no events.

    Raises ``ConfigurationError``.
    """
    paths = asked.files or []
    mapping = FieldMapping.parse(asked.columns or (), constants=asked.constants or (), models=asked.models or ())
    logs = look_through_all(paths, mapping)
    minutes, problems = MinuteLines(book, series=series), _Problems()
    with progress_bar("reading", sum(log.rows for log in logs)) as on_rows:
        move_ms = days_to_move(logs, now_ms=now_ms)
        events = filed_events(logs, on_problems=problems.hear, on_rows=on_rows, move_ms=move_ms)
        lines = pl.concat([LINES_SCHEMA.to_frame(), *map(minutes.lines, events)]).sort("minute", maintain_order=True)
    problems.conclude()
    span_ms = max(log.last_ms for log in logs) - min(log.first_ms for log in logs)
    return Traffic(", ".join(path.name for path in paths), span_ms // 60_000 + 1, iter([lines]))


def stored_traffic(asked: Stored, where: Where, *, series: Collection[str], now_ms: int) -> Traffic:
    """Ask ClickHouse for the rates of whole minutes that are over.

    Raises ``ConfigurationError`` where there are none.
    """
    until_ms = now_ms if asked.until is None else parse_moment(asked.until, now_ms=now_ms)
    period = Period(parse_moment(asked.since, now_ms=now_ms), until_ms // 60_000 * 60_000)
    client = connect(where.settings(ClickHouseSettings))
    span = stored_span(client, period)
    if span is None:
        raise ConfigurationError(f"ClickHouse holds no rates since {asked.since}; choose another --since or --until")
    lines = stored_lines(client, span, series={*series, "total"})
    return Traffic("stored traffic", (span[1] - span[0]) // MINUTE_SECONDS + 1, lines)


class _Problems:
    """Lists the first lines that are no events, counts all."""

    def __init__(self) -> None:
        self._count = 0

    def hear(self, path: Path, problems: Iterable[Problem]) -> None:
        """Show and count."""
        for problem in problems:
            self._count += 1
            if self._count <= _MOST_SHOWN:
                typer.echo(f"{path.name}, line {problem.line}: {problem.reason}", err=True)

    def conclude(self) -> None:
        """Say how many there were."""
        if self._count:
            typer.echo(f"{self._count:,} lines are no events; the others are rehearsed", err=True)
