"""When is a budget crossed, burnt too fast, or going to be?

    periods      from when to when it counts
    budget       who may spend how much: budgets.toml
    lines        what is crossed, and how fast it burns
    forecast     where the period will end
    watch        what is to be said of it, once

Pure: no clock, no I/O (but the system's time zones). See ``docs/spikes.md``.
"""

from spendgauge.streams.budgets.budget import Budget, parse_budgets
from spendgauge.streams.budgets.forecast import Forecast, WeekProfile, forecast
from spendgauge.streams.budgets.lines import BURN_LINES, BurnLine, Reached, burns, reach
from spendgauge.streams.budgets.periods import Periods
from spendgauge.streams.budgets.watch import BudgetStep, Watched, watch

__all__ = [
    "BURN_LINES",
    "Budget",
    "BudgetStep",
    "BurnLine",
    "Forecast",
    "Periods",
    "Reached",
    "Watched",
    "WeekProfile",
    "burns",
    "forecast",
    "parse_budgets",
    "reach",
    "watch",
]
