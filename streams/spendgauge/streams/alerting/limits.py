"""What must a key exceed before somebody is told? Limits by its budget, and by what people want in general."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from spendgauge.streams.budgets import Budget
from spendgauge.streams.ledger import Patterns
from spendgauge.streams.spikes import Limits, SpikeKey, SpikeParameters

__all__ = ["limits_by_budget", "monthly"]

_DAYS: Final = {"day": 1, "week": 7, "month": 30}

_PEOPLE: Final = "user_id"
"""A person's spending is nothing but bursts, and there are hundreds of people: of 480 simulated ones 60 to 90 a day
exceeded the usual floor, and one or two the cap."""


def monthly(budget: Budget) -> int:
    """Say what a budget is for thirty days, whatever its period: whole picodollars."""
    return budget.amount * 30 // (budget.days or _DAYS.get(budget.period, 30))


def limits_by_budget(budgets: Sequence[Budget], parameters: SpikeParameters) -> Callable[[SpikeKey], Limits]:
    """Say how to find a key's limits: by the smallest of the budgets that are just for it.

    A person who has no budget by name must exceed what a new key may cost (``cap``), and twice that to wake somebody.
    """

    amounts = Patterns((budget.pattern, monthly(budget)) for budget in budgets)
    named = {budget.key for budget in budgets if budget.series == _PEOPLE}

    def limits_of(key: SpikeKey) -> Limits:
        limits = parameters.limits(monthly_budget=min(amounts.of(key), default=None))
        if key[0] != _PEOPLE or key[1] in named:
            return limits
        return replace(limits, floor=max(limits.floor, limits.cap), page=max(limits.page, 2 * limits.cap))

    return limits_of
