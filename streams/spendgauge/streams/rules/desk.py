"""What do the rules say of one partition of ``cost.rates``, and what must be kept of it?

    absorb   lines of any minutes come in
    close    minutes that are over are judged, one after another
    save     what must be kept before older lines are committed

A restart goes on at the minute after ``saved``, with the lines of the longest window before it. A key that took a step
was kept with it, and with the minute it had absorbed, so it is not judged again up to there; nothing was said of the
others, so judging them again says it for the first time.
"""

from collections.abc import Sequence
from typing import Final

import polars as pl

from spendgauge.schemas.alerts import Alert
from spendgauge.schemas.prices.freshness import PriceData
from spendgauge.streams.judging.judge import Entry, KeptEntries, Verdict
from spendgauge.streams.rules.book import AlarmBook
from spendgauge.streams.rules.kept import BY_EVENTS, read_saved, read_stretches, saved_entry, stretches_entries
from spendgauge.streams.rules.minutes import SUMS_SCHEMA, Minutes
from spendgauge.streams.rules.rule import LEVELS_SCHEMA, Rule, Seen
from spendgauge.streams.rules.stretches import Stretches
from spendgauge.streams.rules.windows import Window

__all__ = ["SAVED_EVERY", "Desk"]

SAVED_EVERY: Final = 5
"""Minutes after which what changed is saved: so many are judged again after a restart."""

_OLDEST: Final = 1440
"""Minutes that were over for longer than this when they are closed are not judged: nobody waits for that news."""

_LAG: Final = 3
"""The clock may be so many minutes further than what is closed before somebody is said to be catching up."""

_LATE: Final = 60
"""A silence is broken by lines that are at most so many minutes late."""


class Desk:
    """Judges the keys of one partition by some rules."""

    def __init__(self, partition: int, kept: KeptEntries, *, rules: Sequence[Rule], prices: PriceData | None) -> None:
        """Go on from what is kept."""
        self._partition = partition
        self._prices = prices
        self._minutes = Minutes()
        self._dirty: set[int] = set()
        """Minutes that lines came for since they were summed."""
        self._book = AlarmBook(BY_EVENTS, kept)
        self._stretches = {name: Stretches(0, rows) for name, rows in read_stretches(kept).items()}
        self._nothing = SUMS_SCHEMA.to_frame(), Stretches(0).rows
        self._removed: list[Entry] = []
        self._saved = self._closed = read_saved(kept)
        self.reload(rules)

    @property
    def unsent(self) -> list[Alert]:
        """The alerts that were kept and may not have been sent."""
        return self._book.unsent

    @property
    def read_from(self) -> int | None:
        """The first minute of the longest window that ends with the minute after what is saved."""
        return None if self._saved is None else self._saved + 2 - self._held

    def reload(self, rules: Sequence[Rule]) -> None:
        """Go by these rules from the next minute on; what others had raised is over with the next closing."""
        rules = [rule for rule in rules if not rule.by_clock]
        before, self._stretches = self._stretches, {}
        for rule in rules:
            if rule.gap_minutes:
                own = before.pop(_name(rule), None)
                self._stretches[_name(rule)] = Stretches(rule.gap_minutes, None if own is None else own.rows)
        for name, gone in before.items():
            self._removed += stretches_entries(*name, gone.rows, remove=True)
        self._rules = rules
        self._windows = {_window(rule): Window(rule.window_minutes) for rule in rules if rule.window_minutes}
        self._held = max((max(rule.window_minutes, min(rule.gap_minutes, _LATE)) for rule in rules), default=0)
        self._dirty |= set(self._minutes.held())

    def absorb(self, lines: pl.DataFrame) -> None:
        """Take in lines (``LINES_SCHEMA``) of any minutes."""
        concerned = [rule.concerned() for rule in self._rules if rule.looks]
        first = 0 if self._closed is None else self._closed + 2 - self._held
        own = lines.filter(pl.col("minute") >= first, pl.any_horizontal(pl.lit(value=False), *concerned))
        self._dirty |= self._minutes.add(own)

    def close(self, until: int, now: int) -> Verdict | None:
        """Judge the minutes up to this one; ``now``: the clock's seconds. None: there is nothing to say."""
        alerts: list[Alert] = []
        current = now // 60 - until <= _LAG
        for minute in range(max(self._next(until), now // 60 - _OLDEST), until + 1):
            alerts += self._judge(minute, current=current)
        self._closed = until if self._closed is None else max(until, self._closed)
        self._minutes.forget(before=self._closed + 2 - self._held)
        alerts += self._book.withdraw(self._rules, self._closed)
        entries = self._book.entries(self._closed)
        return Verdict(self._partition, entries, alerts) if entries else None

    def save(self) -> list[Entry]:
        """Write what must be kept before older lines are committed, in this order; often nothing."""
        if self._closed is None or (self._saved is not None and self._closed - self._saved < SAVED_EVERY):
            return []
        entries, self._removed = [*self._removed, *self._book.save(self._closed, before=self._saved)], []
        for name, own in self._stretches.items():
            entries += stretches_entries(*name, own.rows.filter("changed"))
            own.saved()
            entries += stretches_entries(*name, own.forget(self._closed), remove=True)
        self._saved = self._closed
        return [*entries, saved_entry(self._saved)]

    def _next(self, until: int) -> int:
        if self._closed is not None:
            return self._closed + 1
        return min((minute for minute in self._minutes.held() if minute <= until), default=until)

    def _judge(self, minute: int, *, current: bool) -> list[Alert]:
        self._see(minute)
        alerts: list[Alert] = []
        for rule in self._rules:
            window, stretches = self._windows.get(_window(rule)), self._stretches.get(_name(rule))
            seen = Seen(
                partition=self._partition,
                minute=minute,
                current=current,
                window=self._nothing[0] if window is None else rule.covered(window.sums),
                stretches=self._nothing[1] if stretches is None else stretches.rows,
                prices=self._prices,
            )
            idle = rule.looks and seen.window.is_empty() and seen.stretches.is_empty()
            alerts += self._book.judge(rule, LEVELS_SCHEMA.to_frame() if idle else rule.judge(seen), minute)
        return alerts

    def _see(self, minute: int) -> None:
        """Bring windows and stretches to the end of a minute."""
        due = sorted(one for one in self._dirty if one <= minute)
        self._dirty.difference_update(due)
        sums = {one: self._minutes.sums(one) for one in due if one > minute - self._held}

        def changed(series: str) -> dict[int, pl.DataFrame]:
            return {one: parts[series] for one, parts in sums.items() if series in parts}

        for (series, _), window in self._windows.items():
            window.advance(minute, changed(series))
        for rule in self._rules:
            if own := self._stretches.get(_name(rule)):
                for one, part in changed(rule.series).items():
                    own.see(one, rule.covered(part.filter(pl.col("requests") > 0)))


def _name(rule: Rule) -> tuple[str, str]:
    return rule.name, rule.series


def _window(rule: Rule) -> tuple[str, int]:
    return rule.series, rule.window_minutes
