"""Which lines does spending cross, and how fast does it burn? Exact: integers against integers.

    spent        50, 80, 100 % of the budget, each once a period; a rolling one once until it has fallen by a tenth
    burning      14.4 times too fast over an hour and still over 5 minutes (page: 2 % of a month's budget in an hour)
                 6 times too fast over 6 hours and still over 30 minutes (warn: 5 % of a month's budget in 6 hours)

The long window says that it matters, the short one that it is still going on, and that it is over soon after it is.

*Source*: Beyer et al., The Site Reliability Workbook (2018), chapter 5, "multiwindow, multi-burn-rate alerts".
"""

from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from spendgauge.schemas.alerts import SentSeverity
from spendgauge.streams.budgets.budget import Budget

__all__ = ["BURN_LINES", "BurnLine", "Reached", "burns", "reach"]

_REARM: Final = Fraction(9, 10)
"""Of a line: a rolling sum that falls below is armed again, one that trembles at the line is not."""

_WORTH_A_WORD: Final = 5 * 10**11
"""Half a dollar, as for a spike: a budget of a dollar a month burns with every call."""


@dataclass(frozen=True)
class BurnLine:
    """Too fast, for too long."""

    times: Fraction
    long_seconds: int
    short_seconds: int
    severity: SentSeverity


BURN_LINES: Final = (
    BurnLine(Fraction(72, 5), 3600, 300, "page"),
    BurnLine(Fraction(6), 6 * 3600, 1800, "warn"),
)


@dataclass(frozen=True)
class Reached:
    """Up to which line a period has been told."""

    period_start: int
    line: int = 0
    """Per cent; 0: none yet."""


def reach(before: Reached | None, budget: Budget, *, period: tuple[int, int], spent: int) -> tuple[Reached, int | None]:
    """Say up to which line spending has come, and which line is to be told (the highest of those crossed at once).

    ``spent``: picodollars in the period. A line that was told in a period is not told again in it, also when an
    adjustment takes the spending back for a while.
    """
    rolling = budget.period == "rolling"
    if before is None or (not rolling and before.period_start != period[0]):
        before = Reached(period[0])
    told = before.line
    if rolling:
        told = max((line for line in budget.lines if line <= told and _above(spent, budget, line * _REARM)), default=0)
    line = max((line for line in budget.lines if _above(spent, budget, Fraction(line))), default=0)
    start = before.period_start if told or not rolling else period[0]
    return Reached(start, max(told, line)), line if line > told else None


def burns(line: BurnLine, budget: Budget, *, period: tuple[int, int], spent_long: int, spent_short: int) -> bool:
    """Whether the budget burns too fast: over the long window, and still over the short one."""
    seconds = period[1] - period[0]
    return spent_long >= _WORTH_A_WORD and all(
        spent * seconds >= line.times * budget.amount * window
        for spent, window in ((spent_long, line.long_seconds), (spent_short, line.short_seconds))
    )


def _above(spent: int, budget: Budget, per_cent: Fraction) -> bool:
    return 100 * spent >= per_cent * budget.amount
