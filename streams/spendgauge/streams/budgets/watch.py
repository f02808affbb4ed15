"""What is to be said of a budget now? Each alarm once: raised, escalated, resolved.

budget             a line was crossed (100 % and more: page); over with the period
budget_burn        it burns too fast; over when no line burns any more
budget_forecast    the period will end above the budget; over when it will end 5 % below, or with the period
"""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Final, Literal

from spendgauge.streams.budgets.budget import Budget
from spendgauge.streams.budgets.forecast import Forecast
from spendgauge.streams.budgets.lines import BURN_LINES, Reached, burns, reach

__all__ = ["BudgetRule", "BudgetStep", "Fire", "Watched", "watch"]

BudgetRule = Literal["budget", "budget_burn", "budget_forecast"]
Severity = Literal["warn", "page"]

_CLEAR: Final = Fraction(95, 100)
"""Of the budget: a forecast that trembles at it is one alarm."""


@dataclass(frozen=True)
class Fire:
    """An alarm that is up."""

    since: int
    """What its id is made of: the start of the calendar's period, else the moment it was raised."""
    severity: Severity


@dataclass(frozen=True)
class Watched:
    """What has been said of one key of a budget."""

    reached: Reached
    fires: Mapping[BudgetRule, Fire]


@dataclass(frozen=True)
class BudgetStep:
    """One step in the life of an alarm."""

    rule: BudgetRule
    state: Literal["raised", "escalated", "resolved"]
    severity: Severity
    since: int
    at: int
    line: int
    """Per cent of the budget that were told in this period so far."""


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
    fires: dict[BudgetRule, Fire] = dict(before.fires) if before else {}
    steps = []
    if before and before.reached.period_start != reached.period_start and budget.period != "rolling":
        steps += [_over(fires, rule, reached, at=at) for rule in ("budget", "budget_forecast") if rule in fires]
    wanted: dict[BudgetRule, Severity | None] = {
        "budget": ("page" if reached.line >= 100 else "warn") if reached.line else None,
        "budget_burn": _burning(budget, period, windows),
        "budget_forecast": _foreseen(budget, outlook, reached, up="budget_forecast" in fires),
    }
    for rule, severity in wanted.items():
        since = at if rule == "budget_burn" or budget.period == "rolling" else period[0]
        steps += _moved(fires, rule, severity, reached=reached, since=since, at=at, again=rule == "budget" and told)
    return Watched(reached, fires), steps


def _burning(budget: Budget, period: tuple[int, int], windows: Mapping[int, int]) -> Severity | None:
    for line in BURN_LINES:
        long, short = windows[line.long_seconds], windows[line.short_seconds]
        if burns(line, budget, period=period, spent_long=long, spent_short=short):
            return line.severity
    return None


def _foreseen(budget: Budget, outlook: Forecast | None, reached: Reached, *, up: bool) -> Severity | None:
    """Foresee what has not happened yet: at 100 % the crossing says it all."""
    if outlook is None or reached.line >= 100:
        return None
    return "warn" if outlook.total > budget.amount * (_CLEAR if up else 1) else None


def _moved(
    fires: dict[BudgetRule, Fire],
    rule: BudgetRule,
    severity: Severity | None,
    *,
    reached: Reached,
    since: int,
    at: int,
    again: object,
) -> list[BudgetStep]:
    """Bring an alarm to a severity, in place; ``again``: say it even if it is up and no more severe."""
    fire = fires.get(rule)
    if severity is None:
        return [_over(fires, rule, reached, at=at)] if fire else []
    if fire is None:
        fires[rule] = Fire(since, severity)
        return [BudgetStep(rule, "raised", severity, since, at, reached.line)]
    if again or (severity == "page" and fire.severity == "warn"):
        fires[rule] = Fire(fire.since, severity)
        return [BudgetStep(rule, "escalated", severity, fire.since, at, reached.line)]
    return []


def _over(fires: dict[BudgetRule, Fire], rule: BudgetRule, reached: Reached, *, at: int) -> BudgetStep:
    fire = fires.pop(rule)
    return BudgetStep(rule, "resolved", fire.severity, fire.since, at, reached.line)
