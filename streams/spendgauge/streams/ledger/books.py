"""Where does a key that is new to the configuration begin? With what ``cost.rates`` still holds of it.

The keys that were counted before are in one ledger, with what is kept of it. Those that were not are in another, which
knows of no block that it might leave out: where the log is read from its beginning it counts all that is there. Once
that is read (at the first closing) it joins the first, and only then is it kept. Killed before, it begins anew.
"""

from collections.abc import Iterable, Iterator

import polars as pl

from spendgauge.streams.ledger.account import Account, AccountKey
from spendgauge.streams.ledger.covers import Covers
from spendgauge.streams.ledger.entries import LEDGER_KEY, KeptLedger, LedgerEntries
from spendgauge.streams.ledger.ledger import Change, Entry, Ledger

__all__ = ["Books"]

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
        self._fold_at: int = _HELD
        self._begin(wanted, before)

    @property
    def needs_history(self) -> bool:
        """Whether there are keys of which the log should be read from its beginning."""
        return self._fresh is not None

    @property
    def read_from(self) -> int | None:
        """The first minute of which lines were read since the last saving; None: there were none."""
        found = [one.read_from for one in self._ledgers() if one.read_from is not None]
        return min(found, default=None)

    @property
    def places(self) -> int:
        """How many contributions are held one by one."""
        return sum(one.places for one in self._ledgers())

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
        """Take it that the log was read to its end."""
        if self._fresh:
            self._ledger.merge(self._fresh)
            self._fresh = None

    def cover(self, patterns: Iterable[AccountKey]) -> list[Account]:
        """Go by other patterns from now on; give the accounts that nobody asks for any more."""
        self.complete()
        wanted = Covers(patterns)
        before = wanted.meet(self._ledger.covers)
        gone = self._ledger.narrow(before)
        self._begin(wanted, before)
        return gone

    def forget(self, before: int) -> list[Account]:
        """Remove the days before this one, with the next saving; give the accounts that nothing is left of."""
        return self._ledger.forget(before)

    def save(self, closed: int) -> list[Entry]:
        """Write what changed; what was written the last time is acknowledged. ``closed``: the last minute judged."""
        entries = self._ledger.save(closed)
        if self._fresh:
            self._fresh.fold()
        covers = tuple(sorted(self._ledger.covers.patterns))
        kept = KeptLedger(closed=closed, covers=covers, folded=self._ledger.folding.kept)
        return [*entries, (LEDGER_KEY, kept.encode())]

    def _begin(self, wanted: Covers, before: Covers) -> None:
        new = wanted.beyond(before)
        self._fresh = Ledger(new) if new.patterns else None
        self._fold_at = _HELD

    def _ledgers(self) -> list[Ledger]:
        return [self._ledger, self._fresh] if self._fresh else [self._ledger]
