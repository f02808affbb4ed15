"""How does a rehearsal read? What would have been said, in the order of time; then what it comes to."""

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from spendgauge.deploy.rehearse.figures import Life, RuleFigures, figures_by_rule, lives_of
from spendgauge.deploy.rehearse.messages import messages_of
from spendgauge.deploy.rehearse.running import Rehearsed
from spendgauge.schemas.alerts import SEVERITIES
from spendgauge.schemas.keys import named_key
from spendgauge.schemas.money import usd, usd_rounded

__all__ = ["print_rehearsal", "render_rehearsal"]

_STYLES: Final = {"page": "bold red", "warn": "yellow", "info": "dim"}
_WIDTH_OF_A_FILE: Final = 120
_DAY_MINUTES: Final = 1440


def print_rehearsal(found: Rehearsed, *, traffic: str, info: bool) -> None:
    """Print a rehearsal on standard output; ``traffic`` names what it was over."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=_WIDTH_OF_A_FILE)
    console.print(render_rehearsal(found, traffic=traffic, info=info))


def render_rehearsal(found: Rehearsed, *, traffic: str, info: bool) -> RenderableType:
    """Lay a rehearsal out; ``info``: with the alerts that are only stored."""
    if found.first_minute is None:
        return Text(f"{traffic}: no calls, so there is nothing to judge.")
    lives = lives_of(found.alerts)
    shown = [life for life in lives if info or life.severity != "info"]
    parts: list[RenderableType] = [_heading(found, found.first_minute, traffic), ""]
    parts += [_alerts(shown)] if shown else []
    parts += [_rules(figures_by_rule(lives), days=found.minutes / _DAY_MINUTES)] if lives else []
    return Group(*parts, *_sentences(found, hidden=len(lives) - len(shown)))


def _heading(found: Rehearsed, first_minute: int, traffic: str) -> Text:
    first, last = (_moment(minute * 60) for minute in (first_minute, found.last_minute or 0))
    text = Text(f"{traffic}: ")
    text.append(f"{found.requests:,} calls, {usd_rounded(usd(found.picodollars))} USD", style="bold")
    return text.append(f", {first} to {last} UTC")


def _alerts(lives: Sequence[Life]) -> Table:
    """List incidents in the order of time: the alert that began each, and under it the others."""
    table = _table("What would have been said")
    table.add_column("UTC", no_wrap=True)
    table.add_column("", no_wrap=True)
    table.add_column("who, and what", overflow="fold", ratio=1)
    table.add_column("USD above", justify="right", no_wrap=True)
    table.add_column("over after", justify="right", no_wrap=True)
    for incident in _incidents(lives):
        table.add_row(*_cells(incident[0]))
        if len(incident) > 1:
            table.add_row("", "", _others(incident[1:]), "", "")
    return table


def _incidents(lives: Sequence[Life]) -> list[list[Life]]:
    found: dict[str, list[Life]] = {}
    for life in lives:
        found.setdefault(life.raised.incident_id, []).append(life)
    return list(found.values())


def _cells(life: Life) -> tuple[str | Text, ...]:
    return (
        _moment(life.raised.evaluated_at),
        Text(life.severity, style=_STYLES[life.severity]),
        next(step.message for step in life.steps if step.severity == life.severity),
        usd_rounded(life.since_onset_usd) if life.since_onset_usd else "",
        _lasted(life),
    )


def _others(lives: Sequence[Life]) -> Text:
    """Name the other alerts of an incident, and what each came to."""
    text = Text("└ with it: ", style="dim")
    for life in lives:
        who = named_key(life.raised.series, life.raised.key)
        text.append(f"{', ' if life is not lives[0] else ''}{who} ").append(life.severity, style=_STYLES[life.severity])
        text.append(f" {usd_rounded(life.since_onset_usd)}" if life.since_onset_usd else "")
    return text


def _lasted(life: Life) -> str:
    if not life.is_over:
        return "still up"
    hours, minutes = divmod(life.minutes, 60)
    if hours >= 48:
        return f"{hours // 24} d {hours % 24} h"
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"


def _rules(figures: Sequence[RuleFigures], *, days: float) -> Table:
    table = _table("By rule")
    table.add_column("rule")
    for heading in ("alerts", "a day", *reversed(SEVERITIES), "median min", "longest min", "still up"):
        table.add_column(heading, justify="right", no_wrap=True)
    for one in figures:
        counts = [str(one.severities[severity] or "") for severity in reversed(SEVERITIES)]
        lasted = [str(number or "") for number in (one.median_minutes, one.longest_minutes, one.open)]
        table.add_row(one.rule, str(one.alerts), f"{one.alerts / max(days, 1):.1f}", *counts, *lasted)
    return table


def _table(title: str) -> Table:
    return Table(title=title, title_justify="left", title_style="bold", box=SIMPLE_HEAD, pad_edge=False)


def _sentences(found: Rehearsed, *, hidden: int) -> Iterator[Text]:
    yield _messages(found)
    if hidden:
        yield Text(f"{_counted(hidden, 'alert')} below every limit: stored, and sent to nobody; --info shows them.")
    dearest, most = max(found.days.items(), key=lambda day: (day[1], -day[0]))
    middle = sorted(found.days.values())[len(found.days) // 2]
    day = datetime.fromtimestamp(dearest * 86_400, UTC).strftime("%a %d %b")
    yield Text(
        f"A day cost {usd_rounded(usd(middle))} USD at the median, and {usd_rounded(usd(most))} at most ({day})."
    )
    if found.unpriced:
        yield Text(
            f"{_counted(found.unpriced, 'call')} had no price, and are in no amount above; --prices gives them one."
        )


def _messages(found: Rehearsed) -> Text:
    sent = [message for message in messages_of(found.alerts) if not message.is_end]
    if not sent:
        return Text("Nobody would have been sent anything.", style="bold")
    days = max(Decimal(found.minutes) / _DAY_MINUTES, Decimal(1))
    kinds = Counter(message.step for message in sent)
    said = [_counted(kinds[step], name) for step, name in (("page", "page"), ("warn", "warning")) if kinds[step]]  # type: ignore[index]  # mypy widens the literals to str
    text = Text(f"A person would have got {' and '.join(said)}", style="bold")
    return text.append(f", {len(sent) / days:.1f} a day, and of each that it is over.", style="not bold")


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def _moment(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).strftime("%a %d %b %H:%M")
