"""What is to be said of the budgets of one partition of ``cost.rates``, and what must be kept of it?

    absorb   lines come in: accounts grow, and what they add to minutes that are not over yet is noted
    close    minute by minute, in the events' own time: what was added then is judged, with all alarms that may end
    save     every two minutes, what must be kept before lines are committed

A step is kept with its alerts before they are sent. Where something was said in a minute, that minute and those before
it are not judged again for that key, so a restart that closes minutes again says nothing twice.
"""

from collections.abc import Iterable, Sequence
from typing import Final

import polars as pl

from spendgauge.schemas.alerts import Alert
from spendgauge.streams.budgets.budget import Budget
from spendgauge.streams.budgets.judging import BudgetBench
from spendgauge.streams.budgets.quota import Quota
from spendgauge.streams.budgets.standings import Standings
from spendgauge.streams.budgets.states import QUOTAS_KEY, KeptQuotas, read_quotas, read_states
from spendgauge.streams.judging.judge import Entry, History, KeptEntries, Verdict
from spendgauge.streams.ledger import Account, Books, read_ledger

__all__ = ["KEPT_DAYS", "SAVED_EVERY_SECONDS", "BudgetDesk"]

SAVED_EVERY_SECONDS: Final = 120
"""What changed is saved so often. A restart reads the lines of so many seconds again. A block's contributions are held
for two to three times as long: in that time the rates worker must have committed it."""

KEPT_DAYS: Final = 35
"""So long days are kept at least: a month, and four weeks to foresee from. Longer for longer rolling periods."""

_MOST_PLACES: Final = 250_000
"""So many contributions more are saved at once, to be dropped soon: about 70 MB."""

_ALL_KEPT: Final = 2**62


class BudgetDesk:
    """Judges the keys of one partition."""

    def __init__(self, partition: int, budgets: Sequence[Budget], quotas: Sequence[Quota], kept: KeptEntries) -> None:
        """Go on from what is kept."""
        entries = read_ledger(kept)
        self._partition = partition
        self._books = Books(_patterns(budgets, quotas), entries)
        self._closed = entries.ledger.closed if entries.ledger else None
        self._bench = BudgetBench(budgets, read_states(kept))
        self._told = read_quotas(kept)
        self._standings = Standings(partition, self._books, quotas, told=self._told)
        self._scopes: tuple[Sequence[Budget], Sequence[Quota]] = budgets, quotas
        self._due: dict[int, dict[Account, int]] = {}
        """What was added to each minute that is not over."""
        self._begun = False
        self._now = 0
        self._saved_at: int | None = None
        self._saved_places = 0

    @property
    def unsent(self) -> list[Alert]:
        """The alerts that may not have been sent, the first one first."""
        return self._bench.unsent

    @property
    def read_from(self) -> int:
        """The first minute whose lines are needed again after a restart."""
        found = self._books.read_from
        return _ALL_KEPT if found is None else found

    def absorb(self, lines: pl.DataFrame) -> None:
        """Take in lines (``LINES_SCHEMA``) of any minutes, in the order of the partition's log."""
        self._books.absorb(lines, self._on_change)

    def close(self, until: int, now: int, *, known_ms: int | None) -> Verdict:
        """Judge all minutes up to this one, which are over.

        ``now``: the clock's second; ``known_ms``: up to when all that was sent is absorbed, None: that is not known.
        """
        self._now = max(now, self._now)
        if self._closed is not None and until < self._closed:  # a log that is read from its beginning
            return Verdict(self._partition)
        self._books.complete()
        if not self._begun:
            self._begin(until)
        for minute in sorted({*(one for one in self._due if one <= until), until}):
            if self._closed is None or minute > self._closed:
                self._close(minute)
        entries, alerts = self._bench.take()
        quotas = [] if known_ms is None else self._standings.tell(now, known_ms=known_ms)
        return Verdict(self._partition, entries=entries, alerts=alerts, quotas=quotas)

    def save(self) -> list[Entry]:
        """Write what must be kept before lines are committed; what was written before is acknowledged."""
        if self._closed is None or not self._is_due():
            return []
        self._saved_at = self._now
        budgets, quotas = self._scopes
        days = max([KEPT_DAYS, *(one.rolling_days + 2 for one in (*budgets, *quotas))])
        gone = self._books.forget(self._closed // 1440 - days)
        self._bench.forget(gone)
        self._standings.forget(gone)
        entries = self._books.save(self._closed)
        self._saved_places = self._books.places
        entries += self._bench.save()
        if self._told != self._standings.names:
            self._told = self._standings.names
            entries.append((QUOTAS_KEY, KeptQuotas(names=self._told).encode() if self._told else None))
        nothing = not budgets and not quotas and len(entries) == 1
        return [] if nothing else entries

    def reload(self, budgets: Sequence[Budget], quotas: Sequence[Quota]) -> None:
        """Go by other budgets and quotas from now on."""
        self._scopes = budgets, quotas
        gone = self._books.cover(_patterns(budgets, quotas))
        for minute in self._due.values():
            for account in gone:
                minute.pop(account, None)
        self._bench = self._bench.follow(budgets)
        self._bench.look_at(self._books.accounts())
        self._standings = self._standings.follow(quotas)

    def history(self) -> History | None:
        """Give what must hear the log from its beginning, for keys that are new; None: none is, or it was given."""
        return self._books.recall(self._on_joined)

    def _on_joined(self, accounts: Sequence[Account]) -> None:
        """Go on with accounts of which all is known now; where no minute was closed yet, all are looked at anyhow."""
        if self._begun:
            self._look_at(accounts)
        self._standings.look_at(accounts)

    def _on_change(self, account: Account, minute: int, cost: int, tokens: int) -> None:
        self._standings.on_change(account, minute, cost, tokens)
        if not self._begun:
            return
        if self._closed is None or minute > self._closed:
            due = self._due.setdefault(minute, {})
            due[account] = due.get(account, 0) + cost
        else:
            self._bench.add(account, minute, cost)

    def _begin(self, until: int) -> None:
        """Judge from where the last worker was; where nothing is known, from now on."""
        self._begun = True
        if self._closed is None:
            self._closed = until - 1
        self._look_at(self._books.accounts())

    def _look_at(self, accounts: Iterable[Account]) -> None:
        """Judge accounts with the next minute that is over, and with those in which they have spent."""
        closed = -1 if self._closed is None else self._closed
        for account in accounts:
            self._bench.look_at([account])
            for minute, cost in account.minutes_from(closed + 1):
                self._due.setdefault(minute, {})[account] = cost

    def _close(self, minute: int) -> None:
        added = self._due.pop(minute, {})
        for account, cost in added.items():
            self._bench.add(account, minute, cost)
        self._bench.close(minute)
        self._closed = minute

    def _is_due(self) -> bool:
        if self._saved_at is None or self._books.is_behind:
            return True
        crowded = self._books.places > self._saved_places + _MOST_PLACES
        return crowded or self._now >= self._saved_at + SAVED_EVERY_SECONDS


def _patterns(budgets: Iterable[Budget], quotas: Iterable[Quota]) -> set[tuple[str, tuple[str, ...]]]:
    return {one.pattern for one in (*budgets, *quotas)}
