"""What is said of a step? The alert for ``cost.alerts``: which budget, what is spent of how much, until when it lasts.

The id is a function of rule, budget, key and onset, so what is said again is the same again. ``usual`` is what the
budget allows in the window: all of it for a line that was crossed or a forecast, an even share for what burns.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

from spendgauge.schemas.alerts import Alert
from spendgauge.schemas.keys import named_key
from spendgauge.schemas.money import usd, usd_rounded, usd_text
from spendgauge.schemas.wire import compact_json
from spendgauge.streams.budgets.budget import Budget
from spendgauge.streams.budgets.forecast import Forecast
from spendgauge.streams.budgets.lines import BURN_LINES
from spendgauge.streams.budgets.watch import Alarm, BudgetStep
from spendgauge.streams.ledger import AccountKey

__all__ = ["Seen", "budget_alert", "withdrawn"]

_HOUR: Final = 3600


class Seen:
    """What was known when a step was taken."""

    def __init__(
        self, period: tuple[int, int], spent: int, *, windows: Mapping[int, int], outlook: Forecast | None = None
    ) -> None:
        """``windows``: picodollars in the last so many seconds."""
        self.period = period
        self.spent = spent
        self.windows = windows
        self.outlook = outlook


def budget_alert(step: BudgetStep, budget: Budget, key: AccountKey, seen: Seen) -> Alert:
    """Write the alert of a step."""
    return _alert(step, budget, key, measured=_measured(step, budget, seen), message=_sentence(step, budget, key, seen))


def withdrawn(step: BudgetStep, budget: Budget, key: AccountKey) -> Alert:
    """Write that an alarm is over because its budget is no longer what it was."""
    message = f"{_named(budget, key)} was changed or removed, so what was said of it no longer holds."
    return _alert(step, budget, key, measured=(_HOUR, 0, 0), message=message)


def _alert(step: BudgetStep, budget: Budget, key: AccountKey, *, measured: tuple[int, int, int], message: str) -> Alert:
    window, usual, seen = measured
    name = _name((step.rule, step.line), step.since, budget, key)
    cause = name if step.cause is None else _name(("budget", step.cause[0]), step.cause[1], budget, key)
    return Alert(
        alert_id=name,
        incident_id=cause,
        rule=step.rule,
        state=step.state,
        severity=step.severity,
        series=key[0],
        key=key[1],
        onset=step.since // 60 * 60,
        evaluated_at=step.at + 1,
        window_seconds=window,
        usual_usd=usd_text(usual),
        seen_usd=usd_text(seen),
        excess_usd=usd_text(seen - usual),
        excess_usd_per_hour=usd_text((seen - usual) * _HOUR // window),
        since_onset_usd=usd_text(seen - usual),
        driver="none",
        contributors=(),
        message=message,
    )


def _name(alarm: Alarm, since: int, budget: Budget, key: AccountKey) -> str:
    """Name an alert: the same alarm always has the same name, and no two keys, budgets or lines share one."""
    rule, line = alarm
    who = [budget.name, str(budget.usd), budget.period, *([line] if line else []), key[0], key[1]]
    return f"{rule}:{compact_json(who)}:{since}"


def _measured(step: BudgetStep, budget: Budget, seen: Seen) -> tuple[int, int, int]:
    """Give the window's seconds, what the budget allows in it, and what was spent."""
    start, end = seen.period
    if step.rule != "budget_burn":
        return step.at + 1 - start, budget.amount, seen.spent
    line = next(line for line in BURN_LINES if line.severity == step.severity)
    return line.long_seconds, budget.amount * line.long_seconds // (end - start), seen.windows[line.long_seconds]


def _sentence(step: BudgetStep, budget: Budget, key: AccountKey, seen: Seen) -> str:
    who, spent, period = _named(budget, key), _of(seen.spent, budget), _period(budget, seen)
    gone = _gone(budget, seen, step.at)
    if step.state == "resolved":
        return f"{who}: {_over(step, budget)}; {spent} is spent in {period}."
    if step.rule == "budget":
        return f"{who}: {step.line} % is spent, {spent}, in {period}{gone}."
    if step.rule == "budget_burn":
        window, usual, burnt = _measured(step, budget, seen)
        times = 10 * burnt // max(usual, 1)
        fast = f"{_usd(burnt)} USD in {window // _HOUR} h, {times // 10}.{times % 10} times what would last"
        return f"{who} burns too fast: {fast}; {spent} is spent{gone}."
    total = seen.outlook.total if seen.outlook else seen.spent
    return f"{who} will be exceeded: {_usd(total)} of {_usd(budget.amount)} USD are expected in {period}{gone}."


def _over(step: BudgetStep, budget: Budget) -> str:
    if step.rule == "budget":
        return f"{step.line} % is not reached any more, for {_WHY_OVER[budget.period == 'rolling']}"
    burning = step.rule == "budget_burn"
    return "it does not burn too fast any more" if burning else "it is not expected to be exceeded any more"


_WHY_OVER: Final = {False: "a new period has begun", True: "what was spent is old enough"}


def _named(budget: Budget, key: AccountKey) -> str:
    series, values = key
    return f"Budget {budget.name!r}" + (f" of {named_key(series, values)}" if values else "")


def _of(spent: int, budget: Budget) -> str:
    return f"{_usd(spent)} of {_usd(budget.amount)} USD"


def _period(budget: Budget, seen: Seen) -> str:
    if budget.period == "rolling":
        return f"the last {budget.rolling_days} days"
    return f"the {budget.period} until {_when(budget, seen.period[1])} ({budget.time_zone})"


def _gone(budget: Budget, seen: Seen, at: int) -> str:
    """Say when nothing is left: as is usual at each hour, or where that is not known, at the period's pace so far."""
    if seen.spent >= budget.amount:
        return ""
    moment = seen.outlook.exhausted_at if seen.outlook else _at_this_pace(budget, seen, at)
    lasts = moment is None or (budget.period != "rolling" and moment >= seen.period[1])
    return "" if lasts or moment is None else f"; at this pace it is gone on {_when(budget, moment)}"


def _at_this_pace(budget: Budget, seen: Seen, at: int) -> int | None:
    elapsed = at + 1 - seen.period[0]
    return at + (budget.amount - seen.spent) * elapsed // seen.spent if seen.spent > 0 else None


def _when(budget: Budget, moment: int) -> str:
    return f"{datetime.fromtimestamp(moment, ZoneInfo(budget.time_zone)):%A %-d %B %H:%M}"


def _usd(amount: int) -> str:
    return usd_rounded(usd(amount))
