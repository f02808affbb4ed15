"""Which commands get answers? ``sql``, ``tail``, ``report``, ``reconcile``."""

import sys
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from spendgauge.deploy.options import Count, FromStart, JsonLines, Where, parse_moment, with_addresses
from spendgauge.deploy.pipes import until_enough

if TYPE_CHECKING:
    from spendgauge.deploy.reconciling import Groups

__all__ = ["Topic", "reconcile", "report", "sql", "tail"]


class Topic(StrEnum):
    """What can be followed; the values are the names in ``TopicNames``."""

    USAGE = "usage"
    RATES = "rates"
    REJECTED = "rejected"
    ALERTS = "alerts"
    REFUSALS = "refusals"


@with_addresses("clickhouse", "data")
def sql(
    where: Where,
    query: Annotated[str, typer.Argument(help="A statement of ClickHouse SQL; - reads it from standard input.")],
    format_: Annotated[
        str | None, typer.Option("--format", metavar="NAME", help="Any of ClickHouse's formats, such as CSV or JSON.")
    ] = None,
) -> None:
    """Ask the database: a table on a terminal, tab-separated values elsewhere.

    Read the views usage (events), rates (costs by series and pane), alerts, incidents, refusals and rejected.

    Examples:

        spendgauge sql "SELECT model, sum(cost_usd) FROM usage GROUP BY model"
        spendgauge sql "SELECT * FROM rates LIMIT 3" --format JSONEachRow
        spendgauge sql - < question.sql
    """
    from spendgauge.insights.asking import ask_stream
    from spendgauge.schemas import ClickHouseSettings
    from spendgauge.sinks.clickhouse import connect

    text = sys.stdin.read() if query == "-" else query
    usual = "PrettyCompactMonoBlock" if sys.stdout.isatty() else "TabSeparatedWithNames"
    client = connect(where.settings(ClickHouseSettings))
    with until_enough():
        ask_stream(client, text, sys.stdout.buffer, default_format=format_ or usual)


@with_addresses("kafka", "data")
def tail(
    where: Where,
    topic: Annotated[Topic, typer.Argument(help="What to follow.")],
    from_start: FromStart = False,
    count: Count = None,
    json: JsonLines = False,
) -> None:
    """Follow what comes in, until Ctrl-C: for people on a terminal, JSON lines elsewhere.

    Examples:

        spendgauge tail rates
        spendgauge tail usage --from-start --count 10 --json
    """
    from spendgauge.deploy.tail.topic import print_topic
    from spendgauge.schemas import KafkaSettings

    print_topic(where.settings(KafkaSettings), topic.value, from_start=from_start, count=count, as_json=json)


@with_addresses("clickhouse", "data")
def report(
    where: Where,
    days: Annotated[float, typer.Option(min=0, help="How far back, in days.")] = 1.0,
) -> None:
    """Print what it cost: by model, by feature, by user, the 10 dearest entities, and a plot of cost per minute.

    Examples:

        spendgauge report
        spendgauge report --days 30
    """
    from spendgauge.insights.periods import last_days
    from spendgauge.insights.report import print_report
    from spendgauge.schemas import ClickHouseSettings, SystemClock
    from spendgauge.sinks.clickhouse import connect

    print_report(connect(where.settings(ClickHouseSettings)), last_days(days, now_ms=SystemClock().now_ms()))


@with_addresses("kafka", "clickhouse", "data")
def reconcile(
    where: Where,
    wait: Annotated[float, typer.Option(min=0, metavar="SECONDS", help="Look again until they balance, so long.")] = 0,
    since: Annotated[
        str | None, typer.Option(metavar="TIME", help="Judge the hours from then on: 7d (ago) or 2026-01-31.")
    ] = None,
    until: Annotated[
        str | None, typer.Option(metavar="TIME", help="Judge the hours that were over by then: 1h (ago), or a time.")
    ] = None,
    groups: Annotated[
        str | None,
        typer.Option(metavar="WORKERS,SINKS", help="The consumer groups, where they are not the usual ones."),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Every number, as JSON.")] = False,
) -> None:
    """Balance the books: was everything that was produced stored, and do the rates say the same to the last digit?

    Exit status 0 only if they balance. Where events keep coming in, judge finished hours with --until 1h.

    Examples:

        spendgauge reconcile --wait 30
        spendgauge reconcile --since 7d --until 1h --json
    """
    from spendgauge.deploy.reconciling import balance_books
    from spendgauge.insights.periods import Period
    from spendgauge.insights.reconcile_text import as_json, as_sentences
    from spendgauge.schemas import ClickHouseSettings, KafkaSettings, SystemClock

    now_ms = SystemClock().now_ms()
    since_ms, until_ms = (text and parse_moment(text, now_ms=now_ms) for text in (since, until))
    period = Period(since_ms or None, until_ms or None).whole_hours()
    kafka, clickhouse = where.settings(KafkaSettings), where.settings(ClickHouseSettings)
    found = balance_books(kafka, clickhouse, wait_seconds=wait, period=period, groups=_groups(groups))
    if json:
        import orjson

        typer.echo(orjson.dumps(as_json(found), option=orjson.OPT_INDENT_2).decode())
    else:
        typer.echo("\n".join(as_sentences(found)))
    if not found.balanced:
        raise typer.Exit(1)


def _groups(text: str | None) -> "Groups | None":
    from spendgauge.deploy.reconciling import Groups

    if text is None:
        return None
    workers, comma, sinks = text.partition(",")
    if not (workers and comma and sinks):
        raise typer.BadParameter(f"{text!r} is not two names, such as spendgauge-rates,spendgauge-sink")
    return Groups(workers, sinks)
