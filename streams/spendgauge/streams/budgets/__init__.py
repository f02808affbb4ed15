"""When is a budget crossed, burnt too fast, or going to be, and who has used up a quota?

    scope        for whom, and from when to when
    periods      the calendar of it
    budget       who may spend how much before somebody is told
    quota        who may spend how much before calls are refused
    file         budgets.toml
    lines        what is crossed, and how fast it burns
    forecast     where the period will end
    watch        what is to be said of it, once
    tracks       what a key has spent in the period that counts
    burning      what it spent in the last hours
    outlooks     what it will have spent
    alerts       what is said of a step
    states       what is kept of what was said
    judging      which keys must be looked at in a minute
    standings    what those who call are told of their quotas
    desk         one partition
    judge        all partitions of a worker

Pure: no clock, no I/O (but the system's time zones). See ``docs/budgets.md``.
"""

from spendgauge.streams.budgets.budget import Budget
from spendgauge.streams.budgets.file import parse_budgets, parse_quotas
from spendgauge.streams.budgets.forecast import Forecast, WeekProfile, forecast
from spendgauge.streams.budgets.judge import BudgetJudge
from spendgauge.streams.budgets.lines import BURN_LINES, BurnLine, Reached, burns, reach
from spendgauge.streams.budgets.periods import Periods
from spendgauge.streams.budgets.quota import Quota
from spendgauge.streams.budgets.watch import BudgetStep, Watched, watch

__all__ = [
    "BURN_LINES",
    "Budget",
    "BudgetJudge",
    "BudgetStep",
    "BurnLine",
    "Forecast",
    "Periods",
    "Quota",
    "Reached",
    "Watched",
    "WeekProfile",
    "burns",
    "forecast",
    "parse_budgets",
    "parse_quotas",
    "reach",
    "watch",
]
