"""What is known of quotas? The limits, found by what a call is for; what is spent of them; and how fresh that is.

The guard's thread writes and callers read, each under the lock, for a few microseconds.
"""

import threading
from collections.abc import Mapping

from spendgauge.producers.quotas.index import Index, Matches, Quota, Standing
from spendgauge.producers.quotas.pending import Pending
from spendgauge.schemas.quotas import QuotaClock, QuotaLimit, QuotaStanding, amount_of, read_quota, read_quota_key

__all__ = ["Board"]

_Key = tuple[str, ...]
_Identity = tuple[str, str, str]
"""Name, series and unit: a quota that is given another series or unit begins with nothing."""


class Board:
    """All that was read of ``cost.quotas``."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.complete = False
        """Whether the topic was read to its end."""
        self._oldest_ms = 0  # of the clocks the one that is furthest behind
        self._clocks: dict[int, int] = {}
        self._quotas: dict[str, Quota] = {}
        self._standings: dict[_Identity, dict[_Key, Standing]] = {}
        self._pending: dict[_Identity, dict[_Key, Pending]] = {}
        self._index: Index | None = Index(())
        self._unlimited: set[_Identity] = set()
        """Those without a limit at the last sweep."""

    def apply(self, key: bytes | None, value: bytes | None) -> bool:
        """Take in one record; say whether it is one of those that are known here."""
        if not value:
            return self._remove(key)
        line = read_quota(value)
        with self.lock:
            if isinstance(line, QuotaStanding):
                self._set_standing(line)
            elif isinstance(line, QuotaLimit):
                self._set_limit(line)
            elif isinstance(line, QuotaClock):
                self._set_clock(line.partition, line.as_of_ms)
        return line is not None

    def forget(self) -> None:
        """Begin anew: the topic is another one. What this process holds stays held."""
        with self.lock:
            self.complete, self._oldest_ms, self._index = False, 0, Index(())
            self._clocks.clear()
            self._quotas.clear()
            self._unlimited.clear()
            for standings in self._standings.values():
                standings.clear()

    def sweep(self, over_ms: int) -> None:
        """Drop what nobody asks for any more: standings of periods that ended up to ``over_ms``, and removed quotas.

        What has no limit is kept until the next sweep: a quota may be removed and come back meanwhile, and
        while the topic is read for the first time a limit may come after its standings.
        """
        for standings in self._standings.values():
            over = [key for key, standing in list(standings.items()) if standing.is_over(over_ms)]
            for key in over:
                with self.lock:
                    standings.pop(key, None)
        with self.lock:
            unlimited = self._standings.keys() - {_identity_of(quota.limit) for quota in self._quotas.values()}
            for identity in unlimited & self._unlimited:
                del self._standings[identity]
                self._pending.pop(identity, None)
            self._unlimited = unlimited if self.complete else set()

    def on_fork(self) -> None:
        """Hold nothing any more: this process is a child, and the calls under way are its parent's."""
        self.lock = threading.RLock()
        for pending in self._pending.values():
            pending.clear()

    def matching(self, who: Mapping[str, str]) -> Matches:
        """Find the limits that a call falls under, each with the key that it falls under it as."""
        index = self._index
        if index is None:
            index = self._index = Index(self._quotas.values())
        return index.matching(who)

    @property
    def quotas(self) -> list[Quota]:
        """All limits."""
        with self.lock:
            return list(self._quotas.values())

    def is_known(self, now_ms: int, stale_ms: int) -> bool:
        """Whether all was read, and no clock of the watcher is older than ``stale_ms``."""
        return self.complete and now_ms - self._oldest_ms <= stale_ms

    def fresh_ms(self, standing: Standing | None) -> int:
        """Say up to when a standing is what it says; none says that nothing was spent."""
        if standing is None:
            return self._oldest_ms
        return max(standing.as_of_ms, self._clocks.get(standing.partition, 0))

    def _set_standing(self, line: QuotaStanding) -> None:
        standings = self._standings.setdefault(_identity_of(line), {})
        standings[line.key] = Standing(
            amount_of(line.spent, line.unit),
            line.period_start * 1000,
            None if line.resets_at is None else line.resets_at * 1000,
            line.as_of_ms,
            line.partition,
        )

    def _set_limit(self, limit: QuotaLimit) -> None:
        known = self._quotas.get(limit.name)
        if known is None or known.limit != limit:
            identity = _identity_of(limit)
            standings, pending = self._standings.setdefault(identity, {}), self._pending.setdefault(identity, {})
            self._quotas[limit.name] = Quota(limit, standings, pending)
            self._index = None

    def _set_clock(self, partition: int, as_of_ms: int | None) -> None:
        if as_of_ms is None:
            self._clocks.pop(partition, None)
        else:
            self._clocks[partition] = as_of_ms
        self._oldest_ms = min(self._clocks.values(), default=0)

    def _remove(self, key: bytes | None) -> bool:
        read = read_quota_key(key)
        with self.lock:
            match read:
                case ("limit", str(name)):
                    if self._quotas.pop(name, None) is not None:
                        self._index = None
                case ("standing", str(name), tuple(values)):
                    for identity, standings in self._standings.items():
                        if identity[0] == name:
                            standings.pop(values, None)
                case ("clock", int(partition)):
                    self._set_clock(partition, None)
        return read is not None


def _identity_of(line: QuotaLimit | QuotaStanding) -> _Identity:
    return line.name, line.series, line.unit
