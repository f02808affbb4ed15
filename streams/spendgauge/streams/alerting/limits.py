"""What must a key exceed before somebody is told? Limits by its budget, and by what people want in general."""

from collections.abc import Callable, Sequence
from typing import Final

from spendgauge.streams.budgets import Budget
from spendgauge.streams.spikes import Limits, SpikeKey, SpikeParameters

__all__ = ["limits_by_budget", "monthly"]

_DAYS: Final = {"day": 1, "week": 7, "month": 30}


def monthly(budget: Budget) -> int:
    """Say what a budget is for thirty days, whatever its period: whole picodollars."""
    return budget.amount * 30 // (budget.days or _DAYS.get(budget.period, 30))


def limits_by_budget(budgets: Sequence[Budget], parameters: SpikeParameters) -> Callable[[SpikeKey], Limits]:
    """Say how to find a key's limits: by the smallest of the budgets that are just for it."""

    def limits_of(key: SpikeKey) -> Limits:
        own = [monthly(budget) for budget in budgets if budget.covers(*key)]
        return parameters.limits(monthly_budget=min(own, default=None))

    return limits_of
