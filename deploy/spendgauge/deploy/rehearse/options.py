"""What can be typed after ``rehearse``? Options in groups, each a dataclass whose fields are what Typer reads."""

import inspect
from collections.abc import Callable
from dataclasses import MISSING, dataclass, fields
from functools import wraps
from pathlib import Path
from typing import Annotated, Any

import typer

__all__ = ["Filed", "Limits", "Shown", "Simulated", "Stored", "with_groups"]


@dataclass(frozen=True)
class Simulated:
    """Traffic that is made up."""

    simulate: Annotated[
        bool, typer.Option("--simulate", help="Rehearse over simulated days, the last one yesterday.")
    ] = False
    days: Annotated[int, typer.Option(min=1, max=400, help="How many simulated days.")] = 14
    events: Annotated[int, typer.Option(min=1, help="How many events a working day has, about.")] = 20_000
    seed: Annotated[int, typer.Option(min=0, help="Another seed is other traffic.")] = 1
    runaway: Annotated[
        str | None,
        typer.Option(
            metavar="AGENT[:USD_A_MINUTE[:AFTER[:FOR]]]|none",
            help="Which agent runs away, how fast, when, for how long; else refactor-bot, 2 USD a minute, 25 minutes.",
        ),
    ] = None


@dataclass(frozen=True)
class Filed:
    """Traffic that files tell of."""

    files: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="FILE...", help="Files that `replay` reads: .csv, .jsonl or .ndjson, .gz after it or not."
        ),
    ] = None
    columns: Annotated[
        list[str] | None, typer.Option(metavar="FIELD=COLUMN,...", help="As for `replay`, and so are the next two.")
    ] = None
    models: Annotated[list[str] | None, typer.Option(metavar="NAME=PROVIDER/MODEL,...")] = None
    constants: Annotated[list[str] | None, typer.Option("--set", metavar="FIELD=VALUE,...")] = None


@dataclass(frozen=True)
class Stored:
    """Traffic that ClickHouse holds."""

    stored: Annotated[bool, typer.Option("--stored", help="Rehearse over the rates that ClickHouse holds.")] = False
    since: Annotated[str, typer.Option(metavar="TIME", help="From when: 7d (ago), or 2026-01-31T12:00.")] = "7d"
    until: Annotated[str | None, typer.Option(metavar="TIME", help="Until when; else now.")] = None


@dataclass(frozen=True)
class Limits:
    """What is tried."""

    budgets: Annotated[
        Path | None, typer.Option(metavar="FILE", envvar="SPENDGAUGE_BUDGETS", help="Budgets and quotas to try.")
    ] = None
    rules: Annotated[
        Path | None, typer.Option(metavar="FILE", envvar="SPENDGAUGE_RULES", help="Rules and spike limits to try.")
    ] = None
    prices: Annotated[
        Path | None, typer.Option(metavar="FILE", envvar="SPENDGAUGE_PRICES", help="Your own prices.")
    ] = None


@dataclass(frozen=True)
class Shown:
    """How it is told."""

    info: Annotated[bool, typer.Option("--info", help="Show also what is only stored, and sent to nobody.")] = False
    json: Annotated[bool, typer.Option("--json", help="Every alert and figure, as JSON.")] = False


def with_groups(**groups: type) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command that takes these dataclasses, by these names, their fields as options instead."""

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        @wraps(command)
        def run(**given: Any) -> None:
            built = {
                name: group(**{one.name: given.pop(one.name) for one in fields(group)})
                for name, group in groups.items()
            }
            command(**built, **given)

        kept = [one for name, one in inspect.signature(command).parameters.items() if name not in groups]
        added = [_parameter(one) for group in groups.values() for one in fields(group)]
        run.__signature__ = inspect.Signature([*kept, *added])  # type: ignore[attr-defined]  # what Typer reads
        return run

    return decorate


def _parameter(one: Any) -> inspect.Parameter:
    default = inspect.Parameter.empty if one.default is MISSING else one.default
    return inspect.Parameter(one.name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=one.type)
