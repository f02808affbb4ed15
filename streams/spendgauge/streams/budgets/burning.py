"""How much was spent in the last minutes and hours? Asked only where it could be too much."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Final

from spendgauge.streams.budgets.budget import Budget
from spendgauge.streams.budgets.lines import BURN_LINES
from spendgauge.streams.ledger import Account

__all__ = ["NOTHING_BURNS", "could_burn", "recent"]

WINDOWS: Final = tuple(sorted({seconds for line in BURN_LINES for seconds in (line.long_seconds, line.short_seconds)}))
NOTHING_BURNS: Final[Mapping[int, int]] = dict.fromkeys(WINDOWS, 0)

_HOURS: Final = WINDOWS[-1] // 3600


def could_burn(account: Account, budget: Budget, *, period_seconds: int, end: int) -> bool:
    """Whether the hours up to a moment cost enough for any line; looks at whole hours only."""
    last, hours = (end - 1) // 3600, account.hours
    spent = 0
    for number in range(last - _HOURS, last + 1):
        hour = hours.get(number)
        if hour is not None:
            spent += hour.cost
    return spent >= _least(budget.amount, period_seconds)


@lru_cache(1024)
def _least(amount: int, period_seconds: int) -> int:
    """Say how much is too fast for the line that is reached with the least; rounded down."""
    return min(int(line.times * amount * line.long_seconds / period_seconds) for line in BURN_LINES)


def recent(account: Account, end: int) -> dict[int, int]:
    """Say how many picodollars were spent in each of the windows that end at a whole minute."""
    windows = dict.fromkeys(WINDOWS, 0)
    last = (end - 1) // 3600
    for number in range(last - _HOURS, last + 1):
        hour = account.hours.get(number)
        for second, cost, _ in hour.stretches() if hour else ():
            age = end - number * 3600 - second
            for seconds in WINDOWS:
                if 0 < age <= seconds:
                    windows[seconds] += cost
    return windows
