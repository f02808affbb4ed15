"""What does a partition look like to whoever judges budgets, and what is left when that one is killed?

Does by hand, in the same order, what the watcher does with its judges.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from tests.alerting_worlds import Killed, contribution, said

from spendgauge.schemas.alerts import Alert
from spendgauge.schemas.quotas import QuotaClock, QuotaLimit, QuotaStanding, read_quota
from spendgauge.schemas.rates import RateContribution
from spendgauge.streams.budgets import BudgetJudge
from spendgauge.streams.judging.judge import Configuration, Entry, History, Moment
from spendgauge.streams.judging.lines import read_lines
from spendgauge.streams.ledger import AccountKey

__all__ = ["USD", "BudgetWorld", "spending"]

USD = 10**12


def spending(
    key: AccountKey, second: int, usd: float, *, block: int | None = None, tokens: int = 0
) -> RateContribution:
    """Write that a key spent so much in the ten seconds that hold this one; each in a block of its own."""
    second = second // 10 * 10
    number = second // 10 if block is None else block
    return contribution(key, second, round(usd * 1000) * USD // 1000, block=number, input_tokens=tokens)


@dataclass
class BudgetWorld:
    """The topics, as they are left by whoever died: the log of lines, what is kept, what was sent."""

    toml: str
    partition: int = 0
    log: list[bytes] = field(default_factory=list)
    committed: int = 0
    kept: dict[bytes, bytes] = field(default_factory=dict)
    sent: list[Alert] = field(default_factory=list)
    quotas: dict[bytes, bytes] = field(default_factory=dict)
    doom: tuple[str, int] | None = None
    """Before which write the worker is killed: of an ``entry``, an ``alert`` or a ``commit``, after so many of them."""
    judge: BudgetJudge | None = None
    read: int = 0
    reads_history: bool = False
    """Whether the log is read from its beginning for keys that are new, and joins with the next work."""
    waits: bool = False
    """Whether that takes longer: what is read does not join yet."""
    past: History | None = None

    def spend(self, *lines: RateContribution) -> None:
        """Let lines come."""
        self.log += [line.model_dump_json().encode() for line in lines]

    def work(self, now: int, *, known: int | None = None) -> None:
        """Let a worker (a new one, where there is none) read to the end of the log and close what is over by now.

        ``known``: up to which second all that was sent is in the log, where that is not now.
        """
        judge = self.judge or self._begin()
        judge.absorb(self.partition, read_lines(self.log[self.read :], series=judge.series))
        self.read = len(self.log)
        self._join()
        for verdict in judge.close(
            {self.partition: now // 60 - 1}, Moment(now, {self.partition: (now if known is None else known) * 1000})
        ):
            self._keep(verdict.entries)
            self._send(verdict.alerts)
            for key, value in verdict.quotas:
                _put(self.quotas, key, value)
        for entries in judge.save().values():
            self._keep(entries)
        read_from = judge.read_from(self.partition)
        if read_from is not None and read_from > now // 60:
            self._write("commit")
            self.committed = self.read

    def die(self) -> None:
        """Let the worker be killed."""
        self.judge = None

    def reload(self, toml: str) -> None:
        """Change the file."""
        self.toml = toml
        if self.judge:
            self.judge.reload(Configuration(budgets=toml))
            self._ask(self.judge)

    def standings(self) -> dict[tuple[str, tuple[str, ...]], QuotaStanding]:
        """Read what quotas stand at."""
        found = [read_quota(value) for value in self.quotas.values()]
        return {(one.name, one.key): one for one in found if isinstance(one, QuotaStanding)}

    def limits(self) -> dict[str, QuotaLimit]:
        """Read which quotas there are."""
        found = [read_quota(value) for value in self.quotas.values()]
        return {one.name: one for one in found if isinstance(one, QuotaLimit)}

    def clocks(self) -> list[QuotaClock]:
        """Read how fresh they are."""
        return [one for one in map(read_quota, self.quotas.values()) if isinstance(one, QuotaClock)]

    def told(self, *names: str) -> list[tuple[object, ...]]:
        """Say what was sent, by these fields of the alerts."""
        return [tuple(getattr(alert, name) for name in names or ("rule", "state", "severity")) for alert in self.sent]

    def _begin(self) -> BudgetJudge:
        self.judge = judge = BudgetJudge()
        judge.reload(Configuration(budgets=self.toml))
        unsent = judge.assign(self.partition, dict(self.kept))
        self.read, self.past = self.committed, None
        if self.committed:
            self._ask(judge)
        known = {said(alert) for alert in self.sent}
        self._send([alert for alert in unsent if said(alert) not in known])
        return judge

    def _ask(self, judge: BudgetJudge) -> None:
        if self.reads_history:
            self.past = judge.history(self.partition) or self.past

    def _join(self) -> None:
        if self.past and not self.waits:
            self.past.absorb(read_lines(self.log[: self.read], series=self.past.series), 0.0)
            self.past.join()
            self.past = None

    def _keep(self, entries: Iterable[Entry]) -> None:
        for key, value in entries:
            self._write("entry")
            _put(self.kept, key, value)

    def _send(self, alerts: Sequence[Alert]) -> None:
        for alert in alerts:
            self._write("alert")
            self.sent.append(alert)

    def _write(self, kind: str) -> None:
        if self.doom is None or self.doom[0] != kind:
            return
        if self.doom[1] == 0:
            self.judge = None
            raise Killed
        self.doom = kind, self.doom[1] - 1


def _put(topic: dict[bytes, bytes], key: bytes, value: bytes | None) -> None:
    assert isinstance(json.loads(key), list)
    if value is None:
        topic.pop(key, None)
    else:
        topic[key] = value
