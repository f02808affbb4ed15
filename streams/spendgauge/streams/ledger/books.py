"""Where does a key that is new to the configuration begin? With what ``cost.rates`` still holds of it.

The keys that were counted before are in one ledger, with what is kept of it. Those that were not are in another, which
knows of no block that it might leave out. Where the log is read from its beginning anyhow that one counts along, and
joins the first at the first closing. Where it is not a ``Recall`` reads it once more for them, and joins when it is as
far. Only then are the new keys kept: killed before, they begin anew.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial

import polars as pl

from spendgauge.streams.ledger.account import Account, AccountKey
from spendgauge.streams.ledger.covers import Covers
from spendgauge.streams.ledger.entries import LEDGER_KEY, KeptLedger, LedgerEntries
from spendgauge.streams.ledger.ledger import Change, Entry, Ledger
from spendgauge.streams.ledger.recall import Recall

__all__ = ["Books"]

OnAccounts = Callable[[Sequence[Account]], None]

_HELD = 100_000
"""So many contributions of new keys are held before what is complete is dropped, while a log is read."""


class Books:
    """All accounts of one partition."""

    def __init__(self, patterns: Iterable[AccountKey], kept: LedgerEntries | None = None) -> None:
        """Go on from what is kept, with the keys that are asked for now."""
        kept = kept or LedgerEntries()
        wanted = Covers(patterns)
        before = Covers(kept.ledger.covers if kept.ledger else ()).meet(wanted)
        self._ledger = Ledger(before, kept)
        self._fresh: Ledger | None = None
        self._recall: Recall | None = None
        self._fold_at: int = _HELD
        self._begin(wanted, before)

    @property
    def read_from(self) -> int | None:
        """The first minute of which lines were read since the last saving; None: there were none."""
        found = [one.read_from for one in self._ledgers() if one.read_from is not None]
        return min(found, default=None)

    @property
    def places(self) -> int:
        """How many contributions are held one by one."""
        return sum(one.places for one in self._ledgers())

    @property
    def is_behind(self) -> bool:
        """Whether the next saving is to be soon: accounts that have joined or left are not all saved."""
        return self._ledger.is_behind

    def accounts(self) -> Iterator[Account]:
        """Give all accounts."""
        for ledger in self._ledgers():
            yield from ledger.accounts.values()

    def absorb(self, lines: pl.DataFrame, on_change: Change) -> None:
        """Take in lines (``LINES_SCHEMA``) in the order of the log."""
        for ledger in self._ledgers():
            ledger.absorb(lines, on_change)
        if self._fresh and self._fresh.places > self._fold_at:
            self._fresh.fold()
            self._fold_at = 2 * self._fresh.places + _HELD

    def complete(self) -> None:
        """Take it that the log was read from its beginning, where no recall reads it.

        Where keys have left, that is kept first: those that have come back since must not be mixed up with what is
        kept of them.
        """
        if self._fresh and not self._ledger.is_leaving:
            self._ledger.merge(self._fresh)
            self._fresh = None

    def recall(self, on_accounts: OnAccounts) -> Recall | None:
        """Give what must hear the log from its beginning; None: no key is new, or one was given that goes on.

        The new keys are counted only when it has joined; ``on_accounts`` hears of their accounts then.
        """
        if self._fresh is None:
            return None
        covers, self._fresh = self._fresh.covers, None
        self._recall = Recall(covers, partial(self._join, on_accounts))
        return self._recall

    def cover(self, patterns: Iterable[AccountKey]) -> list[Account]:
        """Go by other patterns from now on; give the accounts that nobody asks for any more."""
        wanted = Covers(patterns)
        if wanted.patterns == self._wanted.patterns:
            return []
        self.complete()
        dropped = list(self._fresh.accounts.values()) if self._fresh else []
        before = wanted.meet(self._ledger.covers)
        gone = self._ledger.narrow(before)
        self._begin(wanted, before)
        return gone + dropped

    def forget(self, before: int) -> list[Account]:
        """Remove the days before this one, with the next saving; give the accounts that nothing is left of."""
        return self._ledger.forget(before)

    def save(self, closed: int) -> list[Entry]:
        """Write what changed; what was written the last time is acknowledged. ``closed``: the last minute judged."""
        entries = self._ledger.save(closed)
        if self._fresh:
            self._fresh.fold()
        covers = tuple(sorted(self._ledger.kept_covers))
        kept = KeptLedger(closed=closed, covers=covers, folded=self._ledger.folding.kept)
        return [*entries, (LEDGER_KEY, kept.encode())]

    def _join(self, on_accounts: OnAccounts, recall: Recall) -> None:
        if recall is self._recall:
            self._recall, self._fresh = None, recall.ledger
            self.complete()
            on_accounts(list(recall.ledger.accounts.values()))

    def _begin(self, wanted: Covers, before: Covers) -> None:
        self._wanted = wanted
        if self._recall:
            self._recall.wanted = False
            self._recall = None
        new = wanted.beyond(before)
        self._fresh = Ledger(new) if new.patterns else None
        self._fold_at = _HELD

    def _ledgers(self) -> list[Ledger]:
        return [self._ledger, self._fresh] if self._fresh else [self._ledger]
