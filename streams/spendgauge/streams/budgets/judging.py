"""Which keys must be looked at in a minute, and what is to be said of them? Few, and mostly nothing.

Looked at are the keys that spent, and those with an alarm that may end. Most are far from any line; that is seen by a
few comparisons, before anything else is worked out.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from spendgauge.schemas.alerts import Alert
from spendgauge.streams.budgets.alerts import Seen, budget_alert, withdrawn
from spendgauge.streams.budgets.budget import Budget
from spendgauge.streams.budgets.burning import NOTHING_BURNS, could_burn, recent
from spendgauge.streams.budgets.outlooks import Outlooks
from spendgauge.streams.budgets.states import KeptFire, KeptWatch, StateKey, as_stamped, keep, stamp, state_key
from spendgauge.streams.budgets.tracks import BudgetTrack, Clockwork
from spendgauge.streams.budgets.watch import Alarm, BudgetStep, Fire, Watched, watch
from spendgauge.streams.ledger import Account, Patterns

__all__ = ["BudgetBench"]

Entry = tuple[bytes, bytes | None]

_ANEW_SECONDS: Final = 32 * 86_400
"""So long it is known that an edit ended an alarm: in a period as long as a month its lines may be crossed anew."""


class BudgetBench:
    """The budgets of one partition's keys."""

    def __init__(self, budgets: Sequence[Budget], kept: Mapping[StateKey, KeptWatch]) -> None:
        """Go on from what was said."""
        self._budgets = {budget.name: (budget, Clockwork(budget)) for budget in budgets}
        self._budgets_of = Patterns((budget.pattern, budget) for budget in budgets)
        self._kept = dict(kept)
        """Of keys that were not looked at yet."""
        self._tracks: dict[Account, list[BudgetTrack]] = {}
        self._up: dict[BudgetTrack, None] = {}
        self._changed: dict[Account, None] = {}
        self._outlooks = Outlooks()
        self._entries: dict[StateKey, KeptWatch] = {}
        self._told = {name: one for name, one in kept.items() if one.alerts}
        """What is to be written again without its alerts, for they are sent."""
        self._alerts: list[Alert] = []
        self._over: dict[StateKey, None] = {}
        self._removable: dict[StateKey, None] = {}
        self._begun = False

    @property
    def unsent(self) -> list[Alert]:
        """The alerts that may not have been sent, the first one first."""
        return sorted((alert for one in self._kept.values() for alert in one.alerts), key=lambda one: one.evaluated_at)

    def look_at(self, accounts: Iterable[Account]) -> None:
        """Look at these with the next closing, whether they spend or not."""
        self._changed |= dict.fromkeys(accounts)

    def add(self, account: Account, minute: int, cost: int) -> None:
        """Hear what was added to a minute that is over, or is about to be."""
        self._changed[account] = None
        for track in self._tracks.get(account, ()):
            track.add(minute * 60, cost, 0)

    def forget(self, accounts: Iterable[Account]) -> None:
        """Drop accounts that nothing is left of: should they spend again, they are new."""
        for account in accounts:
            self._tracks.pop(account, None)
            self._changed.pop(account, None)

    def close(self, minute: int) -> None:
        """Judge the minute, after all before it."""
        self._outlooks.renew()
        if not self._begun:
            self._withdraw(minute)
        self._begun = True
        wanted = {track: None for account in self._changed for track in self._tracks_of(account)} | self._up
        self._changed = {track.account: None for track in wanted if minute <= track.judged}
        for track in wanted:
            if minute > track.judged:
                self._judge(track, minute)

    def take(self) -> tuple[list[Entry], list[Alert]]:
        """Take what is to be kept, and then sent."""
        entries, alerts = _written(self._entries), self._alerts
        self._told |= self._entries
        self._entries, self._alerts = {}, []
        return entries, alerts

    def save(self) -> list[Entry]:
        """Write again, without its alerts, what was sent; remove what says nothing any more."""
        sent = {name: one.model_copy(update={"alerts": ()}) for name, one in self._told.items() if one.alerts}
        entries = _written(sent) + [(state_key(name), None) for name in self._removable]
        self._told, self._removable, self._over = {}, self._over, {}
        return entries

    def follow(self, budgets: Sequence[Budget]) -> "BudgetBench":
        """Go by other budgets from now on: what was said of those that stay is remembered."""
        kept = dict(self._kept)
        for track in (track for tracks in self._tracks.values() for track in tracks):
            if track.watched and not _is_nothing(track.watched):
                kept[track.name] = keep(track.budget, track.watched, judged=track.judged, alerts=())
        new = BudgetBench(budgets, kept)
        new._entries, new._alerts = self._entries, self._alerts
        new._over, new._removable, new._told = self._over, self._removable, self._told
        return new

    def _judge(self, track: BudgetTrack, minute: int) -> None:
        budget, clockwork = self._budgets[track.budget.name]
        end = (minute + 1) * 60
        track.move(clockwork.at(end - 1), until=end)
        outlook = self._outlooks.find(track, minute)
        burning = could_burn(track.account, budget, period_seconds=_seconds(track), end=end)
        if not burning and _is_calm(track, foreseen=outlook.total if outlook else 0):
            return
        windows = recent(track.account, end) if burning else NOTHING_BURNS
        watched, steps = watch(track.watched, budget, at=end - 1, spent=track.cost, windows=windows, outlook=outlook)
        period = (track.start, track.start + _seconds(track))
        seen = Seen(period, track.cost, windows=windows, outlook=outlook)
        alerts = [budget_alert(step, budget, track.account.key, seen) for step in steps]
        if alerts or _said(watched) != _said(track.watched):
            self._keep(track, watched, minute, alerts)
        track.watched = watched

    def _keep(self, track: BudgetTrack, watched: Watched, minute: int, alerts: Sequence[Alert]) -> None:
        track.judged = minute
        self._put(track.name, keep(track.budget, watched, judged=minute, alerts=alerts), nothing=_is_nothing(watched))
        self._alerts += alerts
        if watched.fires:
            self._up[track] = None
        else:
            self._up.pop(track, None)

    def _put(self, name: StateKey, kept: KeptWatch, *, nothing: bool) -> None:
        earlier = self._entries.get(name)
        if earlier is not None:  # several minutes are closed at once: all of their alerts are kept
            kept = kept.model_copy(update={"alerts": (*earlier.alerts, *kept.alerts)})
        self._entries[name] = kept
        self._removable.pop(name, None)
        self._over.pop(name, None)
        if nothing:
            self._over[name] = None

    def _withdraw(self, minute: int) -> None:
        """End the alarms of budgets that are no longer what they were; forget what nobody asks for any more."""
        for name, kept in list(self._kept.items()):
            if not kept.line and not kept.fires:
                if kept.anew < minute * 60 - _ANEW_SECONDS:
                    self._over[name] = None
            elif not self._holds(name, kept):
                self._end(name, kept, max(minute, kept.judged + 1))

    def _holds(self, name: StateKey, kept: KeptWatch) -> bool:
        budget = self._budgets.get(name[0], (None,))[0]
        return budget is not None and kept.stamp == stamp(budget) and budget.covers(*name[1])

    def _end(self, name: StateKey, kept: KeptWatch, minute: int) -> None:
        """Say that what is up is over; this minute may still be judged here, and not by who takes over."""
        before = as_stamped(name[0], kept.stamp)
        steps = [_step_of(fire, at=(minute + 1) * 60) for fire in kept.fires]
        alerts = tuple(withdrawn(step, before, name[1]) for step in steps if before is not None)
        ended = kept.model_copy(
            update={"line": 0, "fires": (), "alerts": alerts, "anew": minute * 60, "judged": minute}
        )
        self._put(name, ended, nothing=False)
        self._alerts += alerts
        self._kept[name] = ended.model_copy(update={"judged": minute - 1, "alerts": ()})

    def _tracks_of(self, account: Account) -> list[BudgetTrack]:
        found = self._tracks.get(account)
        if found is None:
            own = self._budgets_of.of(account.key)
            found = self._tracks[account] = [BudgetTrack(account, budget) for budget in own]
            for track in found:
                kept = self._kept.pop(track.name, None)
                if kept is not None:
                    track.watched, track.judged = kept.watched, kept.judged
                    self._up |= {track: None} if kept.fires else {}
        return found


def _is_calm(track: BudgetTrack, *, foreseen: int) -> bool:
    """Whether nothing can be new: no line is crossed, nothing may end, and nothing is foreseen."""
    budget, watched = track.budget, track.watched
    told = 0
    if watched is not None:
        same = watched.reached.period_start == track.start
        rolling = budget.period == "rolling"
        if (
            any(rule != "budget" for rule, _ in watched.fires)
            or (rolling and watched.reached.line)
            or (watched.fires and not same)
        ):
            return False
        told = watched.reached.line if same else 0
    if foreseen > budget.amount and told < 100:
        return False
    return not any(line > told and 100 * track.cost >= line * budget.amount for line in budget.lines)


def _step_of(fire: KeptFire, *, at: int) -> BudgetStep:
    return BudgetStep(fire.rule, "resolved", fire.severity, fire.since, at - 1, fire.line, fire.cause)


def _said(watched: Watched | None) -> tuple[int, Mapping[Alarm, Fire]]:
    return (watched.reached.line, watched.fires) if watched else (0, {})


def _is_nothing(watched: Watched) -> bool:
    return not watched.reached.line and not watched.fires and not watched.anew


def _written(kept: Mapping[StateKey, KeptWatch]) -> list[Entry]:
    return [(state_key(name), one.encode()) for name, one in kept.items()]


def _seconds(track: BudgetTrack) -> int:
    """Say how long the period is."""
    return track.budget.rolling_days * 86_400 if track.budget.period == "rolling" else track.end - track.start
