"""Which commands are about alerts and quotas? ``alerts list``, ``tail``, ``ack``, ``silence`` and so on; ``quotas``."""

from collections.abc import Iterable
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from spendgauge.deploy.options import (
    Count,
    FromStart,
    JsonLines,
    Where,
    parse_duration,
    parse_moment,
    with_addresses,
)

if TYPE_CHECKING:
    from spendgauge.deploy.alerts.words import Words
    from spendgauge.schemas import KafkaSettings

__all__ = ["Severity", "ack", "list_incidents", "quotas", "silence", "silences", "tail_alerts", "unsilence"]

By = Annotated[str | None, typer.Option(metavar="NAME", help="Who says so; else the name of this shell's user.")]
Reason = Annotated[str, typer.Option(metavar="TEXT", help="Why: others read it.")]
AsJson = Annotated[bool, typer.Option("--json", help="All that is known, a line of JSON each.")]


class Severity(StrEnum):
    """How grave."""

    INFO = "info"
    WARN = "warn"
    PAGE = "page"


@with_addresses("kafka", "clickhouse", "data")
def list_incidents(
    where: Where,
    since: Annotated[
        str | None, typer.Option(metavar="TIME", help="Also what is over, from then on: 7d (ago) or 2026-01-31.")
    ] = None,
    severity: Annotated[Severity, typer.Option(help="Of this severity at least; info is never sent to anybody.")] = (
        Severity.WARN
    ),
    json: AsJson = False,
) -> None:
    """List what is up: incidents, the gravest first, with what they cost above the usual, and who is at it.

    Alerts that began together are one incident, under the id of the first; ALERTS says how many of them are still up.

    Examples:

        spendgauge alerts list
        spendgauge alerts list --since 7d
        spendgauge alerts list --severity info --json
    """
    from spendgauge.deploy.alerts.listing import as_json, as_text
    from spendgauge.insights.incidents import fetch_incidents, incidents_of
    from spendgauge.insights.periods import Period
    from spendgauge.schemas import ClickHouseSettings, KafkaSettings, SystemClock
    from spendgauge.sinks.clickhouse import connect

    now_ms = SystemClock().now_ms()
    period = None if since is None else Period(parse_moment(since, now_ms=now_ms))
    client = connect(where.settings(ClickHouseSettings))
    found = fetch_incidents(client, incidents_of(period, severity=severity.value))
    words = _words_or_none(where.settings(KafkaSettings), now_ms=now_ms)
    if json:
        _print_json(as_json(incident, words) for incident in found)
        return
    for line in as_text(found, words, history=since is not None):
        typer.echo(line)
    if not found:
        which = f" of severity {severity.value}" if severity is Severity.PAGE else ""
        typer.echo(f"nothing {'is' if period is None else 'was'} up{which}")


@with_addresses("kafka", "data")
def tail_alerts(where: Where, from_start: FromStart = False, count: Count = None, json: JsonLines = False) -> None:
    """Follow what is raised, escalated and resolved, until Ctrl-C; the same as `spendgauge tail alerts`.

    Examples:

        spendgauge alerts tail
        spendgauge alerts tail --from-start --json
    """
    from spendgauge.deploy.tail.topic import print_topic
    from spendgauge.schemas import KafkaSettings

    print_topic(where.settings(KafkaSettings), "alerts", from_start=from_start, count=count, as_json=json)


@with_addresses("kafka", "clickhouse", "data")
def ack(
    where: Where,
    incident: Annotated[str, typer.Argument(help="Its id as `spendgauge alerts list` shows it, or the first of it.")],
    by: By = None,
    reason: Reason = "",
) -> None:
    """Say that you are at an incident: nothing is sent of it any more but what is graver, and its end.

    Examples:

        spendgauge alerts ack 3f2a9c1e --reason "stopping the agent"
    """
    from spendgauge.deploy.alerts.listing import in_short
    from spendgauge.deploy.alerts.naming import find_incident
    from spendgauge.deploy.alerts.words import acknowledge
    from spendgauge.schemas import ClickHouseSettings, KafkaSettings, SystemClock
    from spendgauge.sinks.clickhouse import connect

    found = find_incident(connect(where.settings(ClickHouseSettings)), incident)
    said = acknowledge(where.settings(KafkaSettings), found, by=_who(by), reason=reason, now_ms=SystemClock().now_ms())
    typer.echo(f"{found.short_id} ({in_short(found)}) is acknowledged by {said.by}")


@with_addresses("kafka", "data")
def silence(
    where: Where,
    length: Annotated[str, typer.Option("--for", metavar="TIME", help="How long: 30m, 2h, 7d.")],
    rule: Annotated[str, typer.Option(help="Alerts of this rule only, such as spike.")] = "",
    series: Annotated[str, typer.Option(help="Alerts of this series only, such as agent or provider+model.")] = "",
    key: Annotated[
        list[str] | None,
        typer.Option(metavar="VALUE", help="Of this key only: a value for each dimension of the series, * for any."),
    ] = None,
    by: By = None,
    reason: Reason = "",
) -> None:
    """Send no alerts of some kind for some time; they are still listed and stored. What is up afterwards is sent then.

    Examples:

        spendgauge alerts silence --series agent --key nightly-batch --for 2h --reason "a backfill"
        spendgauge alerts silence --rule budget_forecast --for 7d
        spendgauge alerts silence --series provider+model --key openai --key "*" --for 30m
    """
    from spendgauge.deploy.alerts.listing import silence_text
    from spendgauge.deploy.alerts.subjects import notes_on
    from spendgauge.deploy.alerts.words import Subject, mute
    from spendgauge.schemas import KafkaSettings, SystemClock

    about = Subject(rule, series, tuple(key or ()))
    for note in notes_on(about):
        typer.echo(f"spendgauge: {note}", err=True)
    said = mute(
        where.settings(KafkaSettings),
        about,
        by=_who(by),
        reason=reason,
        length_ms=parse_duration(length),
        now_ms=SystemClock().now_ms(),
    )
    typer.echo(silence_text(said))


@with_addresses("kafka", "data")
def silences(where: Where, json: AsJson = False) -> None:
    """List what is silenced, by whom and until when.

    Examples:

        spendgauge alerts silences
        spendgauge alerts silences --json
    """
    from spendgauge.deploy.alerts.listing import silence_text
    from spendgauge.deploy.alerts.words import read_words
    from spendgauge.schemas import KafkaSettings, SystemClock

    found = read_words(where.settings(KafkaSettings), now_ms=SystemClock().now_ms()).silences
    if json:
        _print_json(one.model_dump(mode="json") for one in found)
        return
    for one in found:
        typer.echo(silence_text(one))
    if not found:
        typer.echo("nothing is silenced")


@with_addresses("kafka", "data")
def unsilence(
    where: Where,
    name: Annotated[str, typer.Argument(metavar="ID", help="Of a silence, or of an incident that was acknowledged.")],
) -> None:
    """Take back a silence, or an acknowledgement: what is still up is sent.

    Examples:

        spendgauge alerts unsilence 7c1d20ab
    """
    from spendgauge.deploy.alerts.naming import find_word
    from spendgauge.deploy.alerts.words import read_words, take_back
    from spendgauge.schemas import KafkaSettings, SystemClock

    settings = where.settings(KafkaSettings)
    word = find_word(read_words(settings, now_ms=SystemClock().now_ms()), name)
    take_back(settings, word)
    typer.echo(f"{name} is taken back")


@with_addresses("kafka", "data")
def quotas(
    where: Where,
    name: Annotated[str | None, typer.Argument(help="Of one quota only.")] = None,
    json: AsJson = False,
) -> None:
    """List the quotas, and who has spent how much of each: those nearest to their limit first.

    Examples:

        spendgauge quotas
        spendgauge quotas "a user" --json
    """
    from spendgauge.deploy.alerts.standings import as_json, as_text, read_quotas
    from spendgauge.schemas import KafkaSettings, SystemClock

    found = read_quotas(where.settings(KafkaSettings), now_ms=SystemClock().now_ms(), name=name)
    if json:
        _print_json(map(as_json, found))
        return
    for line in as_text(found):
        typer.echo(line)


def _words_or_none(settings: "KafkaSettings", *, now_ms: int) -> "Words":
    """Read what people said; where the broker does not answer the list is shown all the same."""
    from spendgauge.deploy.alerts.words import Words, read_words
    from spendgauge.schemas import UnavailableError

    try:
        return read_words(settings, now_ms=now_ms)
    except UnavailableError as error:
        typer.echo(f"spendgauge: what is acknowledged and silenced is not known: {error}", err=True)
        return Words()


def _who(by: str | None) -> str:
    from getpass import getuser

    if by:
        return by
    try:
        return getuser()
    except (KeyError, OSError):
        raise typer.BadParameter("this shell's user has no name; say --by NAME") from None


def _print_json(documents: Iterable[dict[str, Any]]) -> None:
    import orjson

    for document in documents:
        typer.echo(orjson.dumps(document).decode())
