"""Who may write to a partition of ``cost.watch``, and how is it noticed that somebody else does? By its offsets.

A keeper is the only one who writes to the partitions that it took over, so its records lie side by side. Where their
offsets have a gap somebody else has written there: nothing that was written since may be relied on, and the partition
must be taken over anew. That is asked of no one: each acknowledgement says it.

So an acknowledgement proves that a partition is ours, for as long as nobody can have taken it: a third of the session
timeout. Whoever has slept since must prove it again before it says anything elsewhere.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from typing import Final

import structlog

from spendgauge.schemas.clock import Clock
from spendgauge.streams.emitter import Emitter
from spendgauge.streams.judging.judge import Entry, KeptEntries
from spendgauge.streams.reading.loading import load_logs
from spendgauge.streams.records import Record
from spendgauge.streams.settings import MemberSettings
from spendgauge.streams.watching.kept import TERM_HEADER, owner_entry, read_log

__all__ = ["WATCH_SCHEMA", "Keeper"]

WATCH_SCHEMA: Final = "spendgauge.watch/1"

_ATTEMPTS: Final = 5

_log = structlog.get_logger(__name__)


class Keeper:
    """Keeps entries of the partitions that it has taken over; for one thread at a time."""

    def __init__(self, settings: MemberSettings, emitter: Emitter, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._fresh_seconds = settings.session_timeout_seconds / 3
        self._topic = settings.topics.watch
        self._emitter = emitter
        self._terms: dict[int, int] = {}
        self._ends: dict[int, int] = {}
        self._proved_at: dict[int, float] = {}

    def take(self, partitions: Collection[int]) -> dict[int, KeptEntries]:
        """Take partitions over, and say what is kept of each; not of those that others take at the same time.

        Raises ``UnavailableError`` where the broker does not give it.
        """
        taken: dict[int, KeptEntries] = {}
        for _ in range(_ATTEMPTS):
            left = set(partitions) - taken.keys()
            logs = load_logs(self._settings, self._topic, left)
            found = {partition: read_log(log.records) for partition, log in logs.items()}
            for partition, kept in found.items():
                self._terms[partition], self._ends[partition] = kept.term + 1, logs[partition].end
            owned = self.keep({partition: [owner_entry(kept.term + 1)] for partition, kept in found.items()})
            whole = self.keep({partition: found[partition].repairs for partition in owned})
            taken |= {partition: found[partition].entries for partition in whole}
        return taken

    def prove(self, partitions: Collection[int]) -> tuple[set[int], bool]:
        """Say which of these are still ours, and whether that had to be found out again."""
        now = self._clock.monotonic()
        stale = {p for p in partitions if now - self._proved_at.get(p, float("-inf")) > self._fresh_seconds}
        again = self.keep({p: [owner_entry(self._terms[p])] if p in self._terms else [] for p in stale})
        return (set(partitions) - stale) | again, bool(stale)

    def drop(self, partition: int) -> None:
        """Forget a partition: it is not ours any more."""
        self._terms.pop(partition, None)
        self._ends.pop(partition, None)

    def keep(self, entries: Mapping[int, Iterable[Entry]]) -> set[int]:
        """Write entries, by partition; say of which partitions all are kept, and by us alone.

        The others are to be taken over anew; none are kept where the emitter was stopped.
        """
        records = {
            partition: self._records(partition, dict(own))
            for partition, own in entries.items()
            if partition in self._terms
        }
        offsets: dict[int, list[int]] = defaultdict(list)
        written = self._emitter.emit(
            self._topic,
            WATCH_SCHEMA,
            [record for own in records.values() for record in own],
            on_written=lambda partition, offset: offsets[partition].append(offset),
        )
        kept = {partition for partition in records if written and self._is_alone(partition, offsets[partition])}
        self._proved_at |= dict.fromkeys(kept & offsets.keys(), self._clock.monotonic())
        for partition in entries.keys() - kept:
            self.drop(partition)
        return kept

    def _records(self, partition: int, entries: Mapping[bytes, bytes | None]) -> list[Record]:
        term = str(self._terms[partition]).encode()
        return [Record(partition, value, key, [(TERM_HEADER, term)]) for key, value in entries.items()]

    def _is_alone(self, partition: int, offsets: list[int]) -> bool:
        """Say whether what was written joins what was there."""
        begin, self._ends[partition] = self._ends[partition], self._ends[partition] + len(offsets)
        alone = sorted(offsets) == list(range(begin, begin + len(offsets)))
        if not alone:
            _log.warning("somebody else has written to what this watcher keeps", partition=partition)
        return alone
