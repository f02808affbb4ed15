"""What has a key spent in the period that counts? Known at any moment, without adding up days again.

A track follows one budget or quota of one key. It hears of each amount that is added; where its period moves on, what
was spent in the new one is asked of the account.
"""

from typing import Final

from spendgauge.streams.budgets.budget import Budget
from spendgauge.streams.budgets.forecast import Forecast, WeekProfile
from spendgauge.streams.budgets.quota import Quota
from spendgauge.streams.budgets.scope import Scope
from spendgauge.streams.budgets.watch import Watched
from spendgauge.streams.ledger import QUARTER_SECONDS, Account, AccountKey, Amounts

__all__ = ["BudgetTrack", "Clockwork", "QuotaTrack"]

_FOREVER: Final = 2**62


class Clockwork:
    """Finds the period that holds a moment; asked for about the same one again and again."""

    def __init__(self, scope: Scope) -> None:
        self._periods = scope.periods
        self._period = (0, 0)

    def at(self, moment: int) -> tuple[int, int]:
        """Give the period [start, end) in which spending counts in a second.

        A rolling one begins on a quarter hour, and what was spent since then counts.
        """
        if self._periods.kind == "rolling":
            start, _ = self._periods.at(moment + 1)
            return start // QUARTER_SECONDS * QUARTER_SECONDS, _FOREVER
        start, end = self._period
        if not start <= moment < end:
            self._period = self._periods.at(moment)
        return self._period


class _Track:
    __slots__ = ("account", "cost", "end", "start", "tokens")

    def __init__(self, account: Account) -> None:
        self.account = account
        self.start = self.end = 0
        self.cost = self.tokens = 0

    @property
    def spent(self) -> Amounts:
        """What was spent in the period so far."""
        return Amounts(self.cost, self.tokens)

    def add(self, second: int, cost: int, tokens: int) -> bool:
        """Hear of an amount; say whether it counts in the period."""
        if not self.start <= second < self.end:
            return False
        self.cost += cost
        self.tokens += tokens
        return True

    def move(self, period: tuple[int, int], *, until: int = _FOREVER) -> bool:
        """Go on to a period; say whether it is another one. What is spent from ``until`` on will be heard of."""
        if period == (self.start, self.end):
            return False
        self.start, self.end = period
        self.cost, self.tokens = self.account.spent(self.start, min(self.end, until))
        return True


class QuotaTrack(_Track):
    """One quota of one key."""

    __slots__ = ("before", "quota", "said")

    def __init__(self, account: Account, quota: Quota) -> None:
        super().__init__(account)
        self.quota = quota
        self.before = self.spent
        """What was spent in the period before; nothing is known of it at the beginning."""
        self.said: bool | None = None
        """Whether there is a standing of it; None: nobody knows."""

    @property
    def idle(self) -> bool:
        """Whether nothing was spent in this period, nor in the last one."""
        return not any(self.spent) and not any(self.before)

    def begin(self, period: tuple[int, int]) -> bool:
        """Go on to a period; say whether anything is to be said then."""
        before = self.spent
        if not self.move(period):
            return False
        self.before = before
        if self.said is None:
            return True
        if self.idle:
            return self.said
        return self.quota.period != "rolling" or self.spent != before


class BudgetTrack(_Track):
    """One budget of one key."""

    __slots__ = ("budget", "foreseen_for", "foreseen_in", "judged", "outlook", "profile", "watched")

    def __init__(self, account: Account, budget: Budget) -> None:
        super().__init__(account)
        self.budget = budget
        self.watched: Watched | None = None
        """What was said."""
        self.judged = -1
        """The minute in which something was said last: it is not judged again."""
        self.outlook: Forecast | None = None
        self.foreseen_in = -1
        """The hour in which the outlook was found."""
        self.foreseen_for = -1
        """The start of the period that it is about."""
        self.profile: tuple[int, WeekProfile] | None = None
        """What is usual, and the day it was found on."""

    @property
    def name(self) -> tuple[str, AccountKey]:
        """What tells it from others."""
        return self.budget.name, self.account.key
