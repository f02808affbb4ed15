"""Is a rehearsal what a watcher would have said? The same amounts, judged minute by minute, told once."""

import json
from collections import Counter
from io import StringIO
from pathlib import Path

import polars as pl
import pytest
from rich.console import Console

from spendgauge.deploy.feeding.lines import event_lines
from spendgauge.deploy.rehearse.document import as_json
from spendgauge.deploy.rehearse.figures import figures_by_rule, lives_of
from spendgauge.deploy.rehearse.filed import days_to_move, filed_events, look_through_all
from spendgauge.deploy.rehearse.messages import messages_of
from spendgauge.deploy.rehearse.minutes import MinuteLines, in_order, with_defaults
from spendgauge.deploy.rehearse.running import Rehearsed, create_judges, run_judges
from spendgauge.deploy.rehearse.simulated import DAY_SECONDS, Weeks, simulate_weeks
from spendgauge.deploy.rehearse.text import render_rehearsal
from spendgauge.deploy.replay.batches import Problem
from spendgauge.deploy.replay.mapping import FieldMapping
from spendgauge.deploy.simulation.runaway import Runaway
from spendgauge.schemas.prices import PriceBook
from spendgauge.streams.judging import Configuration
from spendgauge.streams.judging.lines import LINES_SCHEMA

START_MS = 1_767_225_600_000
SERIES = ("agent", "user_id", "provider+model")


@pytest.fixture(scope="module")
def book() -> PriceBook:
    """The built-in prices."""
    return PriceBook.load()


def weeks(days: int, events: int, *, runaway: str | None = None) -> Weeks:
    asked = Runaway.parse(runaway, span_seconds=days * DAY_SECONDS) if runaway else None
    return Weeks(days, events, 1, START_MS, asked)


def judged(lines: list[pl.DataFrame], *, at_once: int = 10) -> Rehearsed:
    return run_judges(lines, create_judges(Configuration()), on_minutes=lambda _: None, at_once=at_once)


@pytest.fixture(scope="module")
def hours(book: PriceBook) -> list[pl.DataFrame]:
    """The lines of three hours; in the second one an agent runs away for ten minutes."""
    minutes = MinuteLines(book, series={name for judge in create_judges(Configuration()) for name in judge.series})
    frames = (minutes.lines(events) for events in simulate_weeks(weeks(1, 20_000, runaway="coder:6:1h10m:10m"), book))
    early = pl.col("minute") < START_MS // 60_000 + 180
    return [frame.filter(early) for frame in in_order(frames)]


@pytest.fixture(scope="module")
def found(hours: list[pl.DataFrame]) -> Rehearsed:
    """What is said of them."""
    return judged(hours)


def test_lines_add_up_to_what_the_events_cost(book: PriceBook) -> None:
    """Of each series, key and minute the lines say what its events are and cost, whatever frames they come in."""
    events = pl.concat(simulate_weeks(weeks(1, 3_000), book))
    minutes = MinuteLines(book, series=SERIES)
    lines = pl.concat([minutes.lines(events[:1_000]), minutes.lines(events[1_000:])])
    assert lines.schema == LINES_SCHEMA
    requests, costs = Counter[tuple[str, str, int]](), Counter[tuple[str, str, int]]()
    for row in book.price(with_defaults(events)).iter_rows(named=True):
        for series in (*SERIES, "total"):
            names = [] if series == "total" else series.split("+")
            place = (
                series,
                json.dumps([row[name] for name in names], separators=(",", ":")),
                row["occurred_at_ms"] // 60_000,
            )
            requests[place] += 1
            costs[place] += row["cost_picodollars"] or 0
    found = lines.group_by("series", "key", "minute").agg(pl.col("requests", "cost_picodollars").sum())
    assert {(s, k, m): (n, c) for s, k, m, n, c in found.cast({"series": pl.String}).rows()} == {
        place: (requests[place], costs[place]) for place in requests
    }


def test_no_minute_is_in_two_frames(book: PriceBook) -> None:
    """A minute that two frames share is given once, whole, and minutes rise."""
    events = pl.concat(simulate_weeks(weeks(1, 2_000), book))
    minutes = MinuteLines(book, series=SERIES)
    frames = [minutes.lines(part) for part in events.iter_slices(117)]
    ordered = [frame for frame in in_order(frames) if len(frame)]
    seen = [minute for frame in ordered for minute in frame["minute"].unique(maintain_order=True)]
    assert seen == sorted(set(seen))
    columns = ["series", "key", "minute", "block", "cost_picodollars"]
    assert sorted(pl.concat(ordered).select(columns).rows()) == sorted(pl.concat(frames).select(columns).rows())


@pytest.mark.parametrize("at_once", [1, 37])
def test_how_many_minutes_are_given_at_once_changes_nothing(
    hours: list[pl.DataFrame], found: Rehearsed, at_once: int
) -> None:
    """Minute by minute, or many together, in one frame or in several: the same alerts, to the last letter."""
    assert found.alerts
    assert judged([pl.concat(hours)], at_once=at_once) == found


def test_a_runaway_agent_is_a_page_that_names_it_and_is_over(found: Rehearsed) -> None:
    """It is raised with the second hot minute, says who, and is resolved; it is one message and its end."""
    begin = START_MS // 1000 + 70 * 60
    agent = next(life for life in lives_of(found.alerts) if life.raised.key == ("coder",))
    assert (agent.raised.severity, agent.raised.evaluated_at, agent.is_over) == ("page", begin + 120, True)
    assert "agent 'coder'" in agent.raised.message
    assert 55 < agent.since_onset_usd < 65
    messages = [one for one in messages_of(found.alerts) if one.incident_id == agent.raised.incident_id]
    assert [one.step for one in messages] == ["page", "page_resolved"]


def test_it_can_be_read(found: Rehearsed) -> None:
    """The text says what was judged, each incident that is sent, figures by rule, and what a person would have got."""
    console = Console(width=120, record=True, file=StringIO())
    console.print(render_rehearsal(found, traffic="three hours", info=False))
    text = console.export_text()
    assert f"three hours: {found.requests:,} calls, {found.picodollars / 10**12:,.2f} USD, Thu 01 Jan 00:00 to" in text
    grave = {life.raised.incident_id for life in lives_of(found.alerts) if life.severity != "info"}
    assert sum(line.strip().startswith("Thu") for line in text.splitlines()) == len(grave)
    pages = Counter(one.step for one in messages_of(found.alerts))["page"]
    assert f"A person would have got {pages} page" in text


def test_a_program_can_read_it(found: Rehearsed) -> None:
    """The document has every step, its figures are those of the alerts, and money is exact."""
    document = json.loads(json.dumps(as_json(found, traffic="three hours")))
    assert document["traffic"]["from"] == "2026-01-01T00:00:00Z"
    assert document["traffic"]["usd"] == f"{found.picodollars // 10**12}.{found.picodollars % 10**12:012}"
    assert len(document["alerts"]) == len(found.alerts)
    assert {rule["rule"]: rule["alerts"] for rule in document["rules"]} == {
        one.rule: one.alerts for one in figures_by_rule(lives_of(found.alerts))
    }


def test_nothing_is_nothing() -> None:
    """Traffic without calls is no error."""
    found = judged([LINES_SCHEMA.to_frame()])
    console = Console(width=80, record=True, file=StringIO())
    console.print(render_rehearsal(found, traffic="nothing", info=True))
    assert console.export_text() == "nothing: no calls, so there is nothing to judge.\n"
    assert as_json(found, traffic="nothing")["traffic"]["from"] is None


def test_times_that_only_count_are_moved(tmp_path: Path) -> None:
    """Seconds from a beginning are moved by whole days, to end within the last day; dates stay where they are."""
    now_ms = START_MS + 7 * 3_600_000
    path, dated = tmp_path / "counted.csv", tmp_path / "dated.csv"
    path.write_text("occurred_at,provider,model\n90000.5,openai,gpt-5\n", encoding="utf-8")
    dated.write_text("occurred_at,provider,model\n1767225600,openai,gpt-5\n", encoding="utf-8")
    logs = look_through_all([path], FieldMapping.parse())
    move_ms = days_to_move(logs, now_ms=now_ms)
    (events,) = filed_events(logs, on_problems=lambda *_: None, on_rows=lambda _: None, move_ms=move_ms)
    assert events["occurred_at_ms"].to_list() == [START_MS + 3_600_500]
    assert days_to_move(look_through_all([dated], FieldMapping.parse()), now_ms=now_ms) == 0


@pytest.mark.parametrize("suffix", [".ndjson", ".csv"])
def test_files_are_the_same_traffic(book: PriceBook, tmp_path: Path, suffix: str) -> None:
    """Events written to a file and rehearsed from it are the lines that they were; a broken line is named."""
    events = next(simulate_weeks(weeks(1, 400), book)).drop("host").with_columns(pl.col("user_id") + ' "x"')
    path = tmp_path / f"calls{suffix}"
    if suffix == ".csv":
        events.rename({"occurred_at_ms": "occurred_at", "started_at_ms": "started_at"}).write_csv(path)
        broken = "x" + "," * (events.width - 1)
    else:
        path.write_text("".join(line + "\n" for line in event_lines(events)), encoding="utf-8")
        broken = "{"
    with path.open("a", encoding="utf-8") as file:
        file.write(broken + "\n")
    problems: list[Problem] = []
    logs = look_through_all([path], FieldMapping.parse())
    read = list(filed_events(logs, on_problems=lambda _, found: problems.extend(found), on_rows=lambda _: None))
    direct, filed = (MinuteLines(book, series=SERIES).lines(frame) for frame in (events, pl.concat(read)))
    assert sorted(filed.rows()) == sorted(direct.rows())
    assert [problem.line for problem in problems] == [len(events) + (2 if suffix == ".csv" else 1)]
