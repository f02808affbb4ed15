"""What is raised, escalated and resolved in one partition of ``cost.rates``, and what must be kept of it?

    absorb   lines of any minutes come in
    close    a minute that is over is judged, after those that lines came late for were corrected
    entries  what must be kept before the alerts are sent
    save     what must be kept before older lines are committed

A restart reads what is kept, the lines from ``read_from`` on, closes the minutes after ``saved`` again, and goes on. A
minute that a row has absorbed changes nothing for it, and each step is kept with its row: so no step is taken twice,
however far the writing had come.
"""

import base64
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, NamedTuple

import numpy as np
import polars as pl

from spendgauge.schemas.alerts import Alert
from spendgauge.schemas.errors import SpendgaugeError
from spendgauge.schemas.money import picodollars
from spendgauge.streams.alerting.amounts import MEASURES, NAMED, RULES, WATCHED, amounts
from spendgauge.streams.alerting.entries import (
    CLOSED_KEY,
    Entry,
    Kept,
    KeptKey,
    KeptMinute,
    RuleKey,
    entry_of,
    key_of,
)
from spendgauge.streams.alerting.minutes import RecentMinutes
from spendgauge.streams.spikes import OUTPUT_TOKENS, Limits, SpikeDetector, SpikeKey, SpikeParameters, SpikeStep
from spendgauge.streams.spikes.incidents import Steps

__all__ = ["SAVED_EVERY", "Alarm", "Desk", "Judged"]

SAVED_EVERY: Final = 5
"""Minutes within which each row that changed is saved: a fifth of them in each. A restart reads the lines of so many
minutes again, and of those before that a correction can still change (15)."""


class Alarm(NamedTuple):
    """An alarm that is up, or was lately: its incident, its steps, and the minute in which it was resolved (0: up)."""

    incident_id: str = ""
    steps: Steps = ()
    resolved: int = 0


@dataclass(frozen=True)
class Judged:
    """One step, and the rule it was taken under."""

    rule: str
    step: SpikeStep

    @property
    def name(self) -> RuleKey:
        """Whose step it is."""
        return self.rule, self.step.key


class Desk:
    """Judges the keys of one partition."""

    def __init__(
        self,
        kept: Kept | None = None,
        *,
        usd: SpikeParameters | None = None,
        limits_of: Callable[[SpikeKey], Limits] | None = None,
    ) -> None:
        """Go on from what is kept.

        ``usd``: how money is judged, where that is not as usual; ``limits_of``: what a key must exceed, in money.
        """
        kept = kept or Kept()
        money = usd or SpikeParameters()
        self._detectors = {RULES[0]: SpikeDetector(money, limits_of=limits_of), RULES[1]: SpikeDetector(OUTPUT_TOKENS)}
        self._correctable = money.kept_minutes
        self._alarms: dict[RuleKey, Alarm] = {}
        self._closed = kept.minute.saved if kept.minute else None
        self._saved = [self._closed] * SAVED_EVERY
        """Of each part of the rows, up to which minute they are kept."""
        self._read_from = kept.minute.read_from if kept.minute else None
        self._marked: int | None = None
        """The minute that was the last closed one when it was last said how far this partition is."""
        self._late: set[int] = set()
        """Closed minutes that were perhaps told otherwise than the lines now say."""
        self._begun = False
        self._restored = -1
        """The last minute that any restored row has absorbed."""
        self._minutes = RecentMinutes(MEASURES)
        self._restore(kept.keys)

    @property
    def closed(self) -> int | None:
        """The last minute that is closed; None: there is none yet."""
        return self._closed

    @property
    def read_from(self) -> int | None:
        """Lines of earlier minutes may be committed, once ``save`` is written; None: of no minute."""
        return self._read_from

    @property
    def alarms(self) -> Mapping[RuleKey, Alarm]:
        """The alarms that are up, or were since rows were last saved."""
        return self._alarms

    @property
    def minutes(self) -> RecentMinutes:
        """What the keys did lately."""
        return self._minutes

    def __len__(self) -> int:
        """Say how many keys are known."""
        return sum(map(len, self._detectors.values()))

    def reload(self, limits_of: Callable[[SpikeKey], Limits]) -> None:
        """Take other limits of money from now on."""
        self._detectors[RULES[0]].reload(limits_of)

    def absorb(self, lines: pl.DataFrame) -> int | None:
        """Take in lines (``LINES_SCHEMA``); say which is the newest minute that they are about, None for none."""
        newest = lines["minute"].max()
        lines = lines.filter(pl.col("series").cast(pl.String).is_in((*WATCHED, *NAMED)))
        if self._closed is not None:
            lines = lines.filter(pl.col("minute") > self._closed - self._correctable)
            self._late |= set(lines.filter(pl.col("minute") <= self._closed)["minute"].unique())
        self._minutes.add(lines)
        return None if newest is None else int(str(newest))

    def due(self, until: int) -> list[int]:
        """Name the minutes to close so that all up to this one are closed, the first one first; none twice."""
        if self._closed is not None and until <= self._closed:
            return []
        after = -1 if self._closed is None else self._closed
        return sorted({minute for minute in self._minutes.held() if after < minute <= until} | {until})

    def close(self, minute: int) -> list[Judged]:
        """Close all minutes up to this one, which is over: those between hold nothing.

        Raises ``ValueError`` for a minute that is closed already.
        """
        if self._closed is not None and minute <= self._closed:
            raise ValueError(f"minute {minute} is closed already, the last one is {self._closed}; ask due() first")
        if self._begun:
            self._correct()
        judged = []
        for rule, own in amounts(self._minutes, minute).items():
            steps = self._detectors[rule].close(minute, own.keys, own.amounts, own.requests)
            judged += [Judged(rule, step) for step in steps]
        self._closed = minute
        if minute <= self._restored:
            self._late.add(minute)
        if not self._begun:
            self._begun = True
            self._late |= {one for one in self._minutes.held() if one <= minute}
            self._correct()
        return judged

    def entries(self, alerts: Mapping[RuleKey, Sequence[Alert]]) -> list[Entry]:
        """Write what must be kept before these alerts are sent; those of one key in their order."""
        for name, told in alerts.items():
            for alert in told:
                minute = alert.evaluated_at // 60 - 1
                step = minute, picodollars(Decimal(alert.excess_usd))
                if alert.state == "raised":
                    self._alarms[name] = Alarm(alert.incident_id, (step,))
                elif name not in self._alarms:
                    continue
                elif alert.state == "escalated":
                    self._alarms[name] = self._alarms[name]._replace(steps=(*self._alarms[name].steps, step))
                else:
                    self._alarms[name] = self._alarms[name]._replace(resolved=minute)
        return [self._entry(name, self._detectors[name[0]].state_of(name[1]), told) for name, told in alerts.items()]

    def save(self) -> list[Entry]:
        """Write what must be kept before older lines are committed, in this order.

        Nothing before a first closing, nor when no minute was closed since.
        """
        if self._closed is None or self._closed == self._marked:
            return []
        self._marked = self._closed
        entries: list[Entry] = [
            (key_of((rule, key)), None) for rule, d in self._detectors.items() for key in d.forget(self._closed)
        ]
        for part, saved in enumerate(self._saved):
            if saved is None or self._closed % SAVED_EVERY == part or self._closed - saved >= SAVED_EVERY:
                entries += self._rows(part, since=-1 if saved is None else saved)
                self._saved[part] = self._closed
        complete = min(saved for saved in self._saved if saved is not None)
        self._alarms = {n: alarm for n, alarm in self._alarms.items() if not 0 < alarm.resolved <= complete}
        again = self._closed - self._correctable - SAVED_EVERY + 1
        self._read_from = again if self._read_from is None else max(again, self._read_from)
        held = self._closed - self._correctable + 1
        self._minutes.forget(before=held)
        self._late = {minute for minute in self._late if minute >= held}
        kept = KeptMinute(saved=complete, read_from=self._read_from)
        return [*entries, (CLOSED_KEY, kept.model_dump_json().encode())]

    def _rows(self, part: int, *, since: int) -> list[Entry]:
        return [
            self._entry((rule, key), row, ())
            for rule, detector in self._detectors.items()
            for key, row in detector.snapshot(since=since, part=slice(part, None, SAVED_EVERY))
        ]

    def _entry(self, name: RuleKey, row: bytes, alerts: Sequence[Alert]) -> Entry:
        alarm = self._alarms.get(name, Alarm())._asdict()
        return entry_of(name, KeptKey(row=base64.b64encode(row).decode(), alerts=tuple(alerts), **alarm))

    def _correct(self) -> None:
        """Tell the detector what closed minutes have cost after all, where that is not what it was told."""
        for minute in sorted(one for one in self._late if self._closed is None or one <= self._closed):
            self._late.discard(minute)
            for rule, own in amounts(self._minutes, minute, again=True).items():
                detector = self._detectors[rule]
                for n in np.flatnonzero(detector.told(minute, own.keys) != own.amounts):
                    cost, requests = int(own.amounts[n]), int(own.requests[n])
                    detector.correct(own.keys[n], minute, cost=cost, requests=requests)

    def _restore(self, keys: Mapping[RuleKey, KeptKey]) -> None:
        for name, kept in keys.items():
            rule, key = name
            try:
                absorbed = self._detectors[rule].restore(key, kept.state)
            except (KeyError, SpendgaugeError):  # of another version or other windows: it begins anew
                continue
            self._restored = max(self._restored, absorbed)
            if kept.incident_id:
                self._alarms[name] = Alarm(kept.incident_id, kept.steps, kept.resolved)
