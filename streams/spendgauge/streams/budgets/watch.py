"""What is to be said of a budget now? Each alarm once: raised, escalated, resolved.

budget             a line was crossed (100 % and more: page), an alarm of its own; over with the period, or where that
                   is rolling, a tenth below the line
budget_burn        it burns too fast; over when no line burns any more
budget_forecast    the period will end above the budget; over when it will end 5 % below, or with the period
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Final, Literal

from spendgauge.schemas.alerts import SentSeverity
from spendgauge.streams.budgets.budget import Budget
from spendgauge.streams.budgets.forecast import Forecast
from spendgauge.streams.budgets.lines import BURN_LINES, Reached, burns, reach

__all__ = ["Alarm", "BudgetRule", "BudgetStep", "Fire", "Watched", "watch"]

BudgetRule = Literal["budget", "budget_burn", "budget_forecast"]
Alarm = tuple[BudgetRule, int]
"""A rule, and the line (per cent) where each has an alarm of its own; else 0."""

_CLEAR: Final = Fraction(95, 100)
"""Of the budget: a forecast that trembles at it is one alarm."""


@dataclass(frozen=True)
class Fire:
    """An alarm that is up."""

    since: int
    """What its id is made of: the start of the calendar's period, or since when it is judged anew in it; where it is
    not the calendar's, the moment it was raised."""
    severity: SentSeverity
    cause: tuple[int, int] | None = None
    """The line, and the ``since`` of its alarm, that a burn has crossed in the moment it was raised, if that is a page:
    both are one incident."""


@dataclass(frozen=True)
class Watched:
    """What has been said of one key of a budget."""

    reached: Reached
    fires: Mapping[Alarm, Fire]
    anew: int = 0
    """Since when it is judged anew (seconds): an edit ended what was up before; 0: there was none."""


@dataclass(frozen=True)
class BudgetStep:
    """One step in the life of an alarm."""

    rule: BudgetRule
    state: Literal["raised", "escalated", "resolved"]
    severity: SentSeverity
    since: int
    at: int
    line: int
    """Per cent of the budget: the line that was crossed; 0 for other rules."""
    cause: tuple[int, int] | None = None
    """Of its ``Fire``."""


def watch(
    before: Watched | None,
    budget: Budget,
    *,
    at: int,
    spent: int,
    windows: Mapping[int, int],
    outlook: Forecast | None = None,
) -> tuple[Watched, list[BudgetStep]]:
    """Say what is new at a moment (seconds, event time), and what is up from now on.

    ``spent``: picodollars in the period that holds the moment. ``windows``: picodollars in the last 300, 1800, 3600 and
    21,600 seconds. The same moment twice says nothing the second time.
    """
    period = budget.periods.at(at)
    reached, told = reach(before.reached if before else None, budget, period=period, spent=spent)
    fires: dict[Alarm, Fire] = dict(before.fires) if before else {}
    anew = before.anew if before else 0
    steps = [_over(fires, alarm, at=at) for alarm in sorted(_ended(budget, before, reached))]
    if told:
        alarm: Alarm = "budget", told
        since = at if budget.period == "rolling" else max(anew, period[0])
        steps += _moved(fires, alarm, "page" if told >= 100 else "warn", since=since, at=at)
    burning = _burning(budget, period, windows)
    cause = (told, fires["budget", told].since) if told and told >= 100 else None
    steps += _moved(fires, ("budget_burn", 0), burning, since=at, at=at, cause=cause)
    foreseen = _foreseen(budget, outlook, reached, up=("budget_forecast", 0) in fires)
    steps += _moved(fires, ("budget_forecast", 0), foreseen, since=at, at=at)
    return Watched(reached, fires, anew), steps


def _ended(budget: Budget, before: Watched | None, reached: Reached) -> list[Alarm]:
    """List the alarms that end with their period, and those of lines that a rolling sum has fallen below."""
    if before is None:
        return []
    if budget.period == "rolling":
        return [alarm for alarm in before.fires if alarm[0] == "budget" and alarm[1] > reached.line]
    same = before.reached.period_start == reached.period_start
    return [] if same else [alarm for alarm in before.fires if alarm[0] != "budget_burn"]


def _burning(budget: Budget, period: tuple[int, int], windows: Mapping[int, int]) -> SentSeverity | None:
    for line in BURN_LINES:
        long, short = windows[line.long_seconds], windows[line.short_seconds]
        if burns(line, budget, period=period, spent_long=long, spent_short=short):
            return line.severity
    return None


def _foreseen(budget: Budget, outlook: Forecast | None, reached: Reached, *, up: bool) -> SentSeverity | None:
    """Foresee what has not happened yet: at 100 % the crossing says it all."""
    if outlook is None or reached.line >= 100:
        return None
    return "warn" if outlook.total > budget.amount * (_CLEAR if up else 1) else None


def _moved(
    fires: dict[Alarm, Fire],
    alarm: Alarm,
    severity: SentSeverity | None,
    *,
    since: int,
    at: int,
    cause: tuple[int, int] | None = None,
) -> list[BudgetStep]:
    """Bring an alarm to a severity, in place."""
    fire, (rule, line) = fires.get(alarm), alarm
    if severity is None:
        return [_over(fires, alarm, at=at)] if fire else []
    if fire is None:
        fires[alarm] = Fire(since, severity, cause)
        return [BudgetStep(rule, "raised", severity, since, at, line, cause)]
    if severity == "page" and fire.severity == "warn":
        fires[alarm] = replace(fire, severity=severity)
        return [BudgetStep(rule, "escalated", severity, fire.since, at, line, fire.cause)]
    return []


def _over(fires: dict[Alarm, Fire], alarm: Alarm, *, at: int) -> BudgetStep:
    fire = fires.pop(alarm)
    return BudgetStep(alarm[0], "resolved", fire.severity, fire.since, at, alarm[1], fire.cause)
