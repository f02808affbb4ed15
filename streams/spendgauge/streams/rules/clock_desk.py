"""What do the rules say that go by the clock? Judged every second, for the whole deployment, by one watcher.

They are asked while no minute of events ends, too, for that is what they are about. What cannot be known (the broker
does not answer this watcher) neither raises nor ends anything.
"""

from collections.abc import Sequence
from typing import Final

from spendgauge.schemas.alerts import Alert
from spendgauge.streams.judging.judge import Entry, KeptEntries, Moment, Rating, Verdict
from spendgauge.streams.rules.book import AlarmBook
from spendgauge.streams.rules.kept import BY_CLOCK
from spendgauge.streams.rules.minutes import SUMS_SCHEMA
from spendgauge.streams.rules.rule import Rule, Seen
from spendgauge.streams.rules.standstills import Standstills
from spendgauge.streams.rules.stretches import STRETCHES_SCHEMA

__all__ = ["ClockDesk"]

_SAVED_EVERY: Final = 5
"""Minutes after which what changed is written again, without the alerts that were sent."""

_CURRENT_MS: Final = 10_000
"""An older answer of the broker says nothing of now."""


class ClockDesk:
    """Judges by the clock."""

    def __init__(self, partition: int, kept: KeptEntries, *, rules: Sequence[Rule]) -> None:
        """Go on from what is kept; ``partition``: of ``cost.rates``, whose owner judges."""
        self._partition = partition
        self._book = AlarmBook(BY_CLOCK, kept)
        self._standstills = Standstills(kept)
        self._no_lines = SUMS_SCHEMA.to_frame(), STRETCHES_SCHEMA.to_frame()
        self._minute: int | None = None
        self._saved: int | None = None
        self.reload(rules)

    @property
    def unsent(self) -> list[Alert]:
        """The alerts that were kept and may not have been sent."""
        return self._book.unsent

    def reload(self, rules: Sequence[Rule]) -> None:
        """Go by these rules from now on; what others had raised is over with the next closing."""
        self._rules = [rule for rule in rules if rule.by_clock]

    def close(self, moment: Moment) -> Verdict | None:
        """Judge now; None: there is nothing to say."""
        self._minute = minute = moment.now // 60 - 1
        rating, alerts = moment.rating, list[Alert]()
        if rating is not None and moment.now * 1000 - rating.at_ms <= _CURRENT_MS:
            alerts += self._judge(rating, minute, moment.now)
        alerts += self._book.withdraw(self._rules, minute, at=moment.now)
        entries = self._book.entries(minute) + self._standstills.entries(stepped=bool(alerts))
        return Verdict(self._partition, entries, alerts) if entries else None

    def save(self) -> list[Entry]:
        """Write what changed, now and then; often nothing."""
        if self._minute is None or (self._saved is not None and self._minute - self._saved < _SAVED_EVERY):
            return []
        before, self._saved = self._saved, self._minute
        return self._book.save(self._minute, before=before)

    def _judge(self, rating: Rating, minute: int, now: int) -> list[Alert]:
        self._standstills.look(rating)
        window, stretches = self._no_lines
        seen = Seen(
            partition=self._partition,
            minute=minute,
            current=True,
            window=window,
            stretches=stretches,
            prices=None,
            standstills=self._standstills.now,
        )
        return [alert for rule in self._rules for alert in self._book.judge(rule, rule.judge(seen), minute, at=now)]
