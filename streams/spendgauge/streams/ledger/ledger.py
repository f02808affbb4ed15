"""What have the keys of one partition of ``cost.rates`` spent, and what must be kept of it?

Contributions are cumulative: of each pane and block the highest rank counts. So an hour holds, beside its sums, which
contributions are in them: its *places*. A line that says more than its place adds the difference; one that says the
same again, or less, adds nothing.

Places are dropped when their block is *folded*: its lines cannot grow any more. A rates worker writes all lines of a
block before any of the next one, and they are in the same order here, so a block is complete when a line of a later
block of its source was read. Who reads the source again begins with the block that it had committed, and writes the
same again, unless prices changed; so a block is folded only two savings (four minutes) later, when it is committed:

    a later block is read ──▶ saved: all entries have it ──▶ kept: "folded" ──▶ its places dropped, its lines left out

Each arrow is a saving that was acknowledged. Killed anywhere in between, whoever goes on has either the places or the
word that their lines need not be counted.
"""

import json
from collections.abc import Callable, Sequence
from itertools import groupby, islice
from typing import Final

import polars as pl

from spendgauge.streams.ledger.account import DAY_SECONDS, Account, AccountKey
from spendgauge.streams.ledger.covers import Covers
from spendgauge.streams.ledger.entries import KeptBlock, KeptDay, KeptHour, LedgerEntries, day_key, hour_key
from spendgauge.streams.ledger.folding import Folding
from spendgauge.streams.ledger.sums import HOUR_SECONDS, QUARTER_SECONDS, Hour

__all__ = ["SETTLED_HOURS", "Change", "Ledger"]

Entry = tuple[bytes, bytes | None]
Change = Callable[[Account, int, int, int], None]
"""Hears of an account that in a minute so many picodollars and tokens were added."""

SETTLED_HOURS: Final = 7
"""So long an hour is known by the minute: burning is measured over six."""

_SECOND_BITS: Final = 12
_SECONDS: Final = 2**_SECOND_BITS - 1
_NOTHING: Final = (-1, 0, 0)
_MOST_LATER: Final = 20_000
"""So many hours and days of accounts that have joined are written with a saving: half a second's work."""
_MOST_KNOWN: Final = 200_000
"""So many keys are told from their texts at once; more are looked at anew."""

_COLUMNS: Final = ("series", "key", "stream", "partition", "block", "pane_start", "rank", "cost_picodollars", "tokens")


class Ledger:
    """The accounts of one partition."""

    def __init__(self, covers: Covers, kept: LedgerEntries | None = None) -> None:
        """Go on from what is kept of the keys that ``covers`` names."""
        kept = kept or LedgerEntries()
        self.accounts: dict[AccountKey, Account] = {}
        self.folding = Folding(kept.ledger.folded if kept.ledger else ())
        self.read_from: int | None = None
        """The first minute of which lines were read since the last saving; None: there were none."""
        self.places = 0
        """How many contributions are held one by one."""
        self.covers = covers
        self._earliest_day = 0
        self._packed_before = 0
        self._known: dict[tuple[str, str], Account | None] = {}
        self._changed: dict[tuple[Account, int], None] = {}
        self._packed: dict[tuple[Account, int], None] = {}
        """The days that were packed and are to be written."""
        self._later: dict[tuple[Account, int, bool], None] = {}
        """Hours and (true) days of accounts that have joined, to be written a part at a time."""
        self._unkept: frozenset[AccountKey] = frozenset()
        """The patterns of those accounts: they are kept when all of them is written."""
        self._open: dict[tuple[Account, int], Hour] = {}
        self._obsolete = list(kept.obsolete)
        self._leaving: list[bytes] = []
        """What is kept of accounts that are not covered any more; removed once it is kept that they are not."""
        self._restore(kept)

    @property
    def is_behind(self) -> bool:
        """Whether something is still to be written of accounts that have joined, or to be removed."""
        return bool(self._later) or self.is_leaving

    @property
    def is_leaving(self) -> bool:
        """Whether accounts that are not covered any more are kept as if they were: until the next saving."""
        return bool(self._leaving)

    @property
    def kept_covers(self) -> frozenset[AccountKey]:
        """The patterns whose accounts are kept with what was written last."""
        return self.covers.patterns - self._unkept

    def absorb(self, lines: pl.DataFrame, on_change: Change) -> None:
        """Take in lines (``LINES_SCHEMA``) in the order of the log."""
        rows = lines.filter(pl.col("series").cast(pl.String).is_in(list(self.covers.series)))
        if rows.is_empty():
            return
        earliest = int(str(rows["minute"].min()))
        self.read_from = earliest if self.read_from is None else min(earliest, self.read_from)
        first, numbers = self._earliest_day * DAY_SECONDS, self.folding.numbers
        texts = pl.col("series", "stream").cast(pl.String)
        for series, key, stream, partition, block, second, *place in (
            rows.select(_COLUMNS).with_columns(texts).iter_rows()
        ):
            number = numbers.get((stream, partition, block)) or self.folding.number((stream, partition, block))
            account = self._account(series, key)
            if account is not None and number is not None and second >= first:
                self._take(account, second, number, place, on_change)

    def save(self, closed: int) -> list[Entry]:
        """Write what changed; what was written the last time is acknowledged. ``closed``: the last minute judged."""
        entries: list[Entry] = [(key, None) for key in self._obsolete]
        self._obsolete, self._leaving = self._leaving, []
        self._catch_up(_MOST_LATER)
        self._drop(self.folding.advance())
        self._pack((closed + 1) // 60 - SETTLED_HOURS)
        entries += [_day_entry(account, day) for account, day in self._packed if day in account.days]
        entries += [
            _hour_entry(account, number, self.folding) for account, number in self._changed if number in account.hours
        ]
        self._packed, self._changed = {}, {}
        self.read_from = None
        return entries

    def fold(self, before: int = 0) -> None:
        """Drop what is complete and pack the hours before this one, without a word to anybody: of a ledger that is not
        kept."""
        self._drop(self.folding.advance())
        self._pack(before)
        self._obsolete = []

    def forget(self, before: int) -> list[Account]:
        """Remove the days before this one, with the next saving; drop the accounts that nothing is left of, and give
        them."""
        if before <= self._earliest_day:
            return []
        self._earliest_day = before
        for account in self.accounts.values():
            for day in [day for day in account.known_days() if day < before]:
                self._obsolete.append(day_key(account.key, day))
                for number in account.forget(day):
                    self._obsolete.append(hour_key(account.key, number))
                    self.places -= len(self._open.pop((account, number), Hour()).places)
        empty = [account for account in self.accounts.values() if not account.days and not account.hours]
        for account in empty:
            del self.accounts[account.key]
        self._known = {}
        return empty

    def narrow(self, covers: Covers) -> list[Account]:
        """Drop the accounts that are not covered any more; give them."""
        self._catch_up(len(self._later))
        gone = [account for account in self.accounts.values() if account.key not in covers]
        for account in gone:
            del self.accounts[account.key]
            self._leaving += [day_key(account.key, day) for day in account.days]
            self._leaving += [hour_key(account.key, number) for number in account.hours]
            for number in account.hours:
                self.places -= len(self._open.pop((account, number), Hour()).places)
                self._changed.pop((account, number), None)
            for day in account.days:
                self._packed.pop((account, day), None)
        self.covers = covers
        self._known = {}
        return gone

    def merge(self, other: "Ledger") -> None:
        """Take over the accounts of a ledger that has read the same log as far; they are to be saved.

        What the other has folded is left out from now on, for all: it holds nothing to tell by what comes again. A part
        of the accounts is saved at a time; until all are, whoever goes on does not know them.
        """
        for hour in other._open.values():
            told = [(self.folding.number(other.folding.block(at >> _SECOND_BITS)), at) for at in hour.places]
            kept = {n << _SECOND_BITS | at & _SECONDS: hour.places[at] for n, at in told if n is not None}
            hour.places = kept
            self.places += len(kept)
        self.folding.adopt(other.folding)
        self.accounts |= other.accounts
        self._open |= other._open
        for account in other.accounts.values():
            self._later |= {(account, number, False): None for number in account.hours}
            self._later |= {(account, number, True): None for number in account.days}
        self._unkept |= other.covers.patterns
        self.covers = Covers(self.covers.patterns | other.covers.patterns)
        self._known = {}

    def _catch_up(self, most: int) -> None:
        """Write so much, with what has changed, of what is still to be written."""
        for at in list(islice(self._later, most)):
            del self._later[at]
            account, number, is_day = at
            (self._packed if is_day else self._changed)[account, number] = None
        if not self._later:
            self._unkept = frozenset()

    def _take(self, account: Account, second: int, number: int, place: Sequence[int], on_change: Change) -> None:
        at, within = divmod(second, HOUR_SECONDS)
        hour = self._open.get((account, at)) or self._reopen(account, at)
        where = number << _SECOND_BITS | within
        rank, cost, tokens = hour.places.get(where, _NOTHING)
        if place[0] <= rank:
            return
        self.places += rank < 0
        hour.places[where] = place[0], place[1], place[2]
        self._changed[account, at] = None
        cost, tokens = place[1] - cost, place[2] - tokens
        if cost or tokens:
            hour.add(within // 60, cost, tokens)
            on_change(account, second // 60, cost, tokens)

    def _reopen(self, account: Account, number: int) -> Hour:
        hour = self._open[account, number] = account.open(number)
        return hour

    def _account(self, series: str, text: str) -> Account | None:
        try:
            return self._known[series, text]
        except KeyError:
            if len(self._known) >= _MOST_KNOWN:
                self._known = {}
            key = series, tuple(json.loads(text))
            covered = key in self.covers
            account = self.accounts.setdefault(key, Account(key)) if covered else None
            self._known[series, text] = account
            return account

    def _drop(self, numbers: frozenset[int]) -> None:
        """Drop the places of folded blocks."""
        if not numbers:
            return
        for hour in self._open.values():
            left = {at: place for at, place in hour.places.items() if at >> _SECOND_BITS not in numbers}
            self.places -= len(hour.places) - len(left)
            hour.places = left

    def _pack(self, before: int) -> None:
        """Pack what is settled, once an hour; what was kept of a day's hours is removed with the next saving."""
        if before <= self._packed_before:
            return
        self._packed_before = before
        for account in self.accounts.values():
            for day in account.settle(before):
                self._obsolete += [hour_key(account.key, number) for number in account.pack(day)]
                self._packed[account, day] = None
        self._open = {at: hour for at, hour in self._open.items() if at[0].hours.get(at[1]) is hour}

    def _restore(self, kept: LedgerEntries) -> None:
        for (key, day), packed in kept.days.items():
            if key in self.covers:
                account = self.accounts.setdefault(key, Account(key))
                account.days[day], account.rounds[day] = packed.sums(), packed.round
            else:
                self._leaving.append(day_key(key, day))
        for (key, number), told in kept.hours.items():
            if key in self.covers:
                self._restore_hour(self.accounts.setdefault(key, Account(key)), number, told)
            else:
                self._leaving.append(hour_key(key, number))

    def _restore_hour(self, account: Account, number: int, told: KeptHour) -> None:
        hour = self._reopen(account, number)
        for second, cost, tokens in told.minutes:
            hour.add(second // 60, cost, tokens)
        for block in told.blocks:
            name = self.folding.number((block.stream, block.partition, block.block))
            if name is not None:
                hour.places |= {
                    name << _SECOND_BITS | at: (rank, cost, tokens) for at, rank, cost, tokens in block.panes
                }
        self.places += len(hour.places)


def _hour_entry(account: Account, number: int, folding: Folding) -> Entry:
    hour = account.hours[number]
    places = sorted(hour.places.items()) if isinstance(hour, Hour) else []
    blocks = []
    for name, panes in groupby(places, key=lambda item: item[0] >> _SECOND_BITS):
        stream, partition, block = folding.block(name)
        told = tuple((at & _SECONDS, *place) for at, place in panes)
        blocks.append(KeptBlock(stream=stream, partition=partition, block=block, panes=told))
    kept = KeptHour(round=account.round(number), minutes=tuple(hour.stretches()), blocks=tuple(blocks))
    return hour_key(account.key, number), kept.encode()


def _day_entry(account: Account, day: int) -> Entry:
    quarters = tuple(
        (second // QUARTER_SECONDS, cost, tokens) for second, cost, tokens in account.days[day].stretches()
    )
    return day_key(account.key, day), KeptDay(round=account.rounds[day], quarters=quarters).encode()
