"""What do those who call need to know of their quotas? Limits, what is spent of them, and how fresh that is.

By the clock, not by the events' time: a quota is about what may be called now. All that was read counts, up to the last
line; how fresh that is, those say who know up to when all was read. While nobody rates, that stands still.
"""

from collections.abc import Iterable
from typing import Final

from spendgauge.schemas.quotas import QuotaClock, limit_key, standing_key
from spendgauge.streams.budgets.quota import Quota
from spendgauge.streams.budgets.tracks import Clockwork, QuotaTrack
from spendgauge.streams.ledger import Account, Books, Patterns

__all__ = ["Standings"]

Entry = tuple[bytes, bytes | None]

_CLOCK_SECONDS: Final = 10


class Standings:
    """The quotas of one partition."""

    def __init__(self, partition: int, books: Books, quotas: Iterable[Quota], *, told: Iterable[str] = ()) -> None:
        """``told``: the names of the quotas that were told of before, by whomever."""
        self._partition = partition
        self._books = books
        self._quotas = {quota.name: (quota, Clockwork(quota)) for quota in quotas}
        self._quotas_of = Patterns((quota.pattern, quota) for quota, _ in self._quotas.values())
        self._tracks: dict[Account, list[QuotaTrack]] = {}
        self._changed: dict[QuotaTrack, None] = {}
        self._periods: dict[str, tuple[int, int]] = {}
        self._gone = [name for name in told if name not in self._quotas]
        self._removed: list[Entry] = []
        self._clock_at = 0
        self._told_at = -1

    @property
    def names(self) -> tuple[str, ...]:
        """The quotas that are told of."""
        return tuple(sorted(self._quotas))

    def on_change(self, account: Account, minute: int, cost: int, tokens: int) -> None:
        """Hear that something was added."""
        if not self._periods:
            return
        if account not in self._tracks:  # a new one asks the account, which has it already
            self._tracks_of(account)
            return
        for track in self._tracks[account]:
            if track.add(minute * 60, cost, tokens):
                self._changed[track] = None

    def look_at(self, accounts: Iterable[Account]) -> None:
        """Say next what these have spent: accounts that come with all that was read of them."""
        for account in accounts if self._periods else ():
            self._tracks_of(account)

    def follow(self, quotas: Iterable[Quota]) -> "Standings":
        """Go by other quotas from now on: what was said of keys that they do not limit is removed."""
        new = Standings(self._partition, self._books, quotas, told=(*self.names, *self._gone))
        new._removed = self._removed
        for account, tracks in self._tracks.items():
            limited = {quota.name for quota in new._quotas_of.of(account.key)}
            new._removed += [
                (standing_key(track.quota.name, account.key[1]), None)
                for track in tracks
                if track.quota.name not in limited and track.said is not False
            ]
        return new

    def forget(self, accounts: Iterable[Account]) -> None:
        """Drop accounts that nothing is left of, and what was said of them."""
        for account in accounts:
            for track in self._tracks.pop(account, ()):
                self._changed.pop(track, None)
                if track.said is not False:
                    self._removed.append((standing_key(track.quota.name, account.key[1]), None))

    def tell(self, now: int, *, known_ms: int) -> list[Entry]:
        """Say what is new at a second of the clock, once a second at most; ``known_ms``: all that was sent by then is
        counted."""
        if now <= self._told_at:
            return []
        self._told_at = now
        entries, self._removed = self._removed, []
        entries += [] if self._periods else self._introduce()
        self._move(now)
        entries += [self._standing(track, known_ms) for track in self._changed]
        self._changed = {}
        if self._quotas and now >= self._clock_at:
            self._clock_at = now + _CLOCK_SECONDS
            entries.append(QuotaClock(kind="clock", partition=self._partition, as_of_ms=known_ms).entry())
        return entries

    def _introduce(self) -> list[Entry]:
        """Say which quotas there are, and which no more."""
        gone: list[Entry] = [(limit_key(name), None) for name in self._gone]
        self._gone = []
        return [*gone, *(quota.limit.entry() for quota, _ in self._quotas.values())]

    def _move(self, now: int) -> None:
        """Begin the periods that have begun since: of them all is said anew, but what was idle in the last one, too."""
        moved = False
        for name, (_, clockwork) in self._quotas.items():
            period = clockwork.at(now)
            if self._periods.get(name) != period:
                self._periods[name] = period
                moved = True
        for account in self._books.accounts() if moved else ():
            for track in self._tracks_of(account):
                if track.begin(self._periods[track.quota.name]):
                    self._changed[track] = None

    def _tracks_of(self, account: Account) -> list[QuotaTrack]:
        found = self._tracks.get(account)
        if found is None:
            own = self._quotas_of.of(account.key)
            found = self._tracks[account] = [QuotaTrack(account, quota) for quota in own]
            for track in found:
                if track.quota.name in self._periods and track.begin(self._periods[track.quota.name]):
                    self._changed[track] = None
        return found

    def _standing(self, track: QuotaTrack, known_ms: int) -> Entry:
        track.said = not track.idle
        if track.idle:
            return standing_key(track.quota.name, track.account.key[1]), None
        return track.quota.standing(
            track.account.key,
            track.spent,
            period=self._periods[track.quota.name],
            as_of_ms=known_ms,
            partition=self._partition,
        ).entry()
