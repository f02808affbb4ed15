"""Which alarms are there in one partition, what happened to them, and what of that must be kept?

Only keys that are over a line, or were a while ago, are in it.
"""

from collections.abc import Collection, Iterator, Sequence
from typing import Any, Final

import polars as pl

from spendgauge.schemas.alerts import Alert
from spendgauge.streams.judging.judge import Entry, KeptEntries
from spendgauge.streams.rules.alarms import QUIET, Alarm, advance, withdraw
from spendgauge.streams.rules.alerts import rule_alert, withdrawn_alert
from spendgauge.streams.rules.kept import KeptAlarm, Place, alarm_entry, read_alarms
from spendgauge.streams.rules.rule import CALM, NEAR, WARN, Rule

__all__ = ["MOST_ALARMS", "AlarmBook"]

MOST_ALARMS: Final = 1000
"""So many keys of a rule are watched at a time: a rule that all users break is one mistake, not 100,000 alerts."""

_Name = tuple[str, Place]


class AlarmBook:
    """The alarms of all rules that go by events, or of all that go by the clock."""

    def __init__(self, head: str, kept: KeptEntries) -> None:
        """Go on from what is kept; ``head``: ``BY_EVENTS`` or ``BY_CLOCK``."""
        self._head = head
        self._alarms: dict[str, dict[Place, Alarm]] = {}
        self._kinds: dict[str, str] = {}
        self._absorbed: dict[_Name, int] = {}
        """Of what was kept: minutes that are not judged again."""
        self._kept: set[_Name] = set()
        self._changed: set[_Name] = set()
        self._said: dict[_Name, list[Alert]] = {}
        self.unsent: list[Alert] = []
        """What was kept and may not have been sent, the first one first."""
        for rule, place, state in read_alarms(head, kept):
            self._alarms.setdefault(rule, {})[place] = state.alarm
            if state.kind:
                self._kinds[rule] = state.kind
            self._absorbed[rule, place] = state.minute
            self._kept.add((rule, place))
            if state.alerts:
                self._changed.add((rule, place))  # written again once they are sent
                self.unsent += state.alerts
        self.unsent.sort(key=lambda alert: alert.evaluated_at)

    def judge(self, rule: Rule, levels: pl.DataFrame, minute: int, *, at: int | None = None) -> list[Alert]:
        """Move a rule's alarms on to a minute; ``levels``: of its ``judge``, ``at``: the second that is told.

        By default that is the minute's end.
        """
        self._kinds.setdefault(rule.name, rule.kind)
        if self._kinds[rule.name] != rule.kind:
            return []  # those of its namesake are withdrawn first
        alarms = self._alarms.setdefault(rule.name, {})
        rows = {(rule.series, row["key"]): row for row in _of_interest(levels, alarms)}
        alerts = []
        for place in sorted({*alarms, *rows}):
            if minute <= self._absorbed.get((rule.name, place), -1):
                continue
            row = rows.get(place)
            level, onset = (CALM, None) if row is None else (row["level"], row.get("onset"))
            alarm, step = advance(alarms.get(place, QUIET), rule, minute, level=level, onset=onset)
            self._put((rule.name, place), alarm, minute)
            if step is not None:
                alerts.append(rule_alert(rule, place, step, at=at or _end(minute), row=row))
                self._said.setdefault((rule.name, place), []).append(alerts[-1])
        return alerts

    def withdraw(self, rules: Sequence[Rule], minute: int, *, at: int | None = None) -> list[Alert]:
        """End what rules have raised that are not there any more, or are others; ``at``: as for ``judge``."""
        kinds = {rule.name: rule.kind for rule in rules}
        alerts = []
        for rule in sorted(name for name, kind in self._kinds.items() if kinds.get(name) != kind):
            for place, alarm in sorted(self._alarms.get(rule, {}).items()):
                last = max(minute, self._absorbed.get((rule, place), minute))
                ended, step = withdraw(alarm, last, quiet_until=0)
                self._put((rule, place), ended, minute)
                if alarm.severity != CALM:
                    alerts.append(withdrawn_alert(rule, place, step, at=max(at or 0, _end(last))))
                    self._said.setdefault((rule, place), []).append(alerts[-1])
            del self._kinds[rule]
        return alerts

    def entries(self, minute: int) -> list[Entry]:
        """Write what must be kept before the alerts of this closing, which ended with this minute, are sent."""
        said, self._said = self._said, {}
        self._changed.update(said)  # written again without the alerts, once they are sent
        return [self._entry(name, minute, alerts) for name, alerts in said.items()]

    def save(self, minute: int, *, before: int | None) -> list[Entry]:
        """Write what changed since it was written; ``before``: the minute that was saved before this one.

        What was as good as new by then already, and was not written since, is removed: nobody will judge those
        minutes again.
        """
        changed, self._changed = self._changed, set()
        entries = [self._entry(name, minute, ()) for name in sorted(changed)]
        for rule, place in sorted(self._kept - changed):
            if before is not None and self._alarms[rule][place].is_idle(before):
                del self._alarms[rule][place]
                self._kept.discard((rule, place))
                entries.append(alarm_entry(self._head, rule, place, None))
        self._absorbed = {name: until for name, until in self._absorbed.items() if until > minute}
        return entries

    def _put(self, name: _Name, alarm: Alarm, minute: int) -> None:
        rule, place = name
        if alarm != self._alarms[rule].get(place, QUIET):
            self._changed.add(name)
        self._alarms[rule][place] = alarm
        if name not in self._kept and alarm.is_idle(minute) and name not in self._said:
            del self._alarms[rule][place]
            self._changed.discard(name)

    def _entry(self, name: _Name, minute: int, alerts: Sequence[Alert]) -> Entry:
        rule, place = name
        self._kept.add(name)
        absorbed = max(minute, self._absorbed.get(name, minute))
        state = KeptAlarm(
            kind=self._kinds.get(rule, ""), minute=absorbed, alarm=self._alarms[rule][place], alerts=tuple(alerts)
        )
        return alarm_entry(self._head, rule, place, state)


def _end(minute: int) -> int:
    return (minute + 1) * 60


def _of_interest(levels: pl.DataFrame, alarms: Collection[Place]) -> Iterator[dict[str, Any]]:
    """Give the rows of what is watched already, and of what is over a line: the highest first, while there is room."""
    if levels.is_empty():
        return
    known = pl.col("key").is_in([key for _, key in alarms])
    found = levels.filter(pl.col("level") >= pl.when(known).then(NEAR).otherwise(WARN))
    if len(found) > MOST_ALARMS:
        order = (known.alias("known"), "level", "key")
        found = found.sort(*order, descending=[True, True, False]).head(MOST_ALARMS)
    yield from found.iter_rows(named=True)
