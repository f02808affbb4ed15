"""What is raised, escalated and resolved in one partition of ``cost.rates``, and what must be kept of it?

    absorb   lines of any minutes come in
    close    minutes that are over are judged, and those that lines came late for corrected
    entries  what must be kept before the alerts are sent
    save     what must be kept before older lines are committed

A restart reads what is kept, the lines from ``read_from`` on, closes the minutes after ``saved`` again, and goes on. A
minute that a row has absorbed changes nothing for it, and each step is kept with its row: so no step is taken twice,
however far the writing had come.
"""

import base64
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl

from spendgauge.schemas.alerts import Alert
from spendgauge.schemas.errors import SpendgaugeError
from spendgauge.streams.alerting.entries import CLOSED_KEY, Entry, Kept, KeptKey, KeptMinute, RuleKey, entry_of
from spendgauge.streams.alerting.lines import key_text
from spendgauge.streams.alerting.minutes import AMOUNTS_SCHEMA, RULES, RecentMinutes
from spendgauge.streams.spikes import OUTPUT_TOKENS, SpikeDetector, SpikeParameters, SpikeStep
from spendgauge.streams.spikes.state import row_dtype, unpack

__all__ = ["SAVED_EVERY", "Desk", "Judged"]

SAVED_EVERY: Final = 5
"""Minutes after which the rows that changed are saved. A restart reads the lines of so many minutes again, and of those
before that a correction can still change (15)."""

_NAME: Final = ("rule", "series", "key")


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

    def __init__(self, kept: Kept | None = None, *, usd: SpikeParameters | None = None) -> None:
        """Go on from what is kept; ``usd``: how money is judged, where that is not as usual."""
        kept = kept or Kept()
        parameters = usd or SpikeParameters(), OUTPUT_TOKENS
        self._detectors = {rule: SpikeDetector(own) for rule, own in zip(RULES, parameters, strict=True)}
        self._correctable = parameters[0].kept_minutes
        self._minutes = RecentMinutes()
        self._up: dict[RuleKey, tuple[str, int]] = {}
        """The incident of each alarm that is up, and when it was raised."""
        self._closed = kept.minute.saved if kept.minute else None
        self._saved = self._closed
        self._read_from = kept.minute.read_from if kept.minute else None
        self._told: dict[int, pl.DataFrame] = {}
        """What the detector was told of each closed minute."""
        self._late: set[int] = set()
        self._begun = False
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
    def up(self) -> Mapping[RuleKey, tuple[str, int]]:
        """The alarms that are up: the incident of each, and the minute it was raised in."""
        return self._up

    def __len__(self) -> int:
        """Say how many keys are known."""
        return sum(map(len, self._detectors.values()))

    def absorb(self, lines: pl.DataFrame) -> int | None:
        """Take in lines (``LINES_SCHEMA``); say which is the newest minute that they are about, None for none."""
        newest = lines["minute"].max()
        if self._closed is not None:
            lines = lines.filter(pl.col("minute") > self._closed - self._correctable)
            self._late |= set(lines.filter(pl.col("minute") <= self._closed)["minute"].unique())
        self._minutes.add(lines)
        return None if newest is None else int(str(newest))

    def close(self, until: int) -> list[Judged]:
        """Close all minutes up to this one, which is over; a minute that is closed already stays so."""
        if self._closed is not None and until <= self._closed:
            return []
        if self._begun:
            self._correct()
        judged: list[Judged] = []
        due = [minute for minute in self._minutes.held() if minute <= until]
        for minute in sorted({*due, until}):
            if self._closed is None or minute > self._closed:
                judged += self._close(minute)
        return judged

    def entries(self, alerts: Mapping[RuleKey, Sequence[Alert]]) -> list[Entry]:
        """Write what must be kept before these alerts are sent; those of one key in their order."""
        for name, told in alerts.items():
            for alert in told:
                if alert.state == "raised":
                    self._up[name] = alert.incident_id, alert.evaluated_at // 60 - 1
                elif alert.state == "resolved":
                    self._up.pop(name, None)
        rows = {
            (rule, key): row
            for rule in {rule for rule, _ in alerts}
            for key, row in self._detectors[rule].snapshot()
            if (rule, key) in alerts
        }
        return [self._entry(name, row, alerts[name]) for name, row in rows.items()]

    def save(self) -> list[Entry]:
        """Write what must be kept before older lines are committed, in this order; nothing before a first closing."""
        if self._closed is None:
            return []
        entries: list[Entry] = []
        if self._saved is None or self._closed - self._saved >= SAVED_EVERY:
            since = -1 if self._saved is None else self._saved
            for rule, detector in self._detectors.items():
                detector.forget(self._closed)
                entries += [self._entry((rule, key), row, ()) for key, row in detector.snapshot(since=since)]
            self._saved = self._closed
        again = self._closed - self._correctable - SAVED_EVERY + 1
        self._read_from = again if self._read_from is None else max(again, self._read_from)
        self._forget(self._closed - self._correctable + 1)
        kept = KeptMinute(saved=self._saved, read_from=self._read_from)
        return [*entries, (CLOSED_KEY, kept.model_dump_json().encode())]

    def _entry(self, name: RuleKey, row: bytes, alerts: Sequence[Alert]) -> Entry:
        incident_id, raised = self._up.get(name, ("", 0))
        text = base64.b64encode(row).decode()
        return entry_of(name, KeptKey(row=text, incident_id=incident_id, raised=raised, alerts=tuple(alerts)))

    def _forget(self, before: int) -> None:
        self._minutes.forget(before=before)
        self._told = {minute: told for minute, told in self._told.items() if minute >= before}
        self._late = {minute for minute in self._late if minute >= before}

    def _close(self, minute: int) -> list[Judged]:
        amounts = self._minutes.amounts(minute)
        judged = []
        for rule, detector in self._detectors.items():
            own = amounts.filter(pl.col("rule") == rule)
            steps = detector.close(minute, _keys(own), own["amount"].to_list(), own["requests"].to_list())
            judged += [Judged(rule, step) for step in steps]
        self._closed = minute
        restored = self._told.get(minute, AMOUNTS_SCHEMA.to_frame())
        self._told[minute] = pl.concat([restored, amounts.join(restored, on=_NAME, how="anti")])
        if len(restored):
            self._late.add(minute)
        if not self._begun:
            self._begun = True
            self._correct()
        return judged

    def _correct(self) -> None:
        """Tell the detector what closed minutes have cost after all, where that is not what it was told."""
        for minute in sorted(one for one in self._late if self._closed is None or one <= self._closed):
            self._late.discard(minute)
            amounts = self._minutes.amounts(minute)
            told = self._told.get(minute, AMOUNTS_SCHEMA.to_frame())
            changed = (
                amounts.join(told, on=_NAME, how="full", coalesce=True, suffix="_told")
                .with_columns(pl.col("amount", "amount_told", "requests").fill_null(0))
                .filter(pl.col("amount") != pl.col("amount_told"))
                .sort(_NAME)
            )
            columns = changed["rule"], _keys(changed), changed["amount"], changed["requests"]
            for rule, key, amount, requests in zip(*columns, strict=True):
                self._detectors[rule].correct(key, minute, cost=amount, requests=requests)
            self._told[minute] = amounts

    def _restore(self, keys: Mapping[RuleKey, KeptKey]) -> None:
        for name, kept in keys.items():
            rule, key = name
            try:
                self._detectors[rule].restore(key, kept.state)
            except (KeyError, SpendgaugeError):  # of another version or other windows: it begins anew
                continue
            if kept.incident_id:
                self._up[name] = kept.incident_id, kept.raised
        if self._read_from is not None:
            self._told = self._told_before(self._read_from)
            self._late = {minute for minute in self._told if self._closed is not None and minute <= self._closed}

    def _told_before(self, read_from: int) -> dict[int, pl.DataFrame]:
        """Say what the restored rows were told of the minutes that lines are read again of."""
        told = pl.concat(
            _told_of(rule, detector, read_from=read_from) for rule, detector in self._detectors.items()
        ).filter(pl.col("minute") >= read_from)
        parts = told.partition_by("minute", as_dict=True, include_key=False)
        return {int(minute): part for (minute,), part in parts.items()}


def _told_of(rule: str, detector: SpikeDetector, *, read_from: int) -> pl.DataFrame:
    """List the minutes that one detector's rows hold one by one, of the rows that end with this minute or later."""
    found = [(key, unpack(row, detector.parameters)) for key, row in detector.snapshot(since=read_from - 1)]
    length = detector.parameters.kept_minutes
    rows = np.array([row for _, row in found], dtype=row_dtype(detector.parameters))
    minutes = rows["minute"][:, None] + np.arange(1 - length, 1)
    keys = pl.DataFrame(
        {"series": [series for (series, _), _ in found], "key": [list(key) for (_, key), _ in found]},
        schema={"series": pl.String, "key": pl.List(pl.String)},
    ).select(pl.lit(rule).alias("rule"), "series", key_text())
    return (
        keys.with_columns(
            pl.Series("amount", rows["costs"], pl.Array(pl.Int64, length)),
            pl.Series("minute", minutes, pl.Array(pl.Int64, length)),
        )
        .explode("amount", "minute")
        .select(*_NAME, "amount", pl.lit(0, pl.Int64).alias("requests"), "minute")
    )


def _keys(amounts: pl.DataFrame) -> list[tuple[str, tuple[str, ...]]]:
    pairs: Iterable[tuple[str, str]] = zip(amounts["series"], amounts["key"], strict=True)
    return [(series, tuple(json.loads(key))) for series, key in pairs]
