"""What would people have been sent? Judges fed by hand, minute by minute, by watchers that come, go and are killed."""

import json
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any, Self

import polars as pl

from spendgauge.schemas.alerts import Alert
from spendgauge.streams.judging import Judge, Moment
from spendgauge.streams.judging.lines import LINES_SCHEMA
from spendgauge.streams.rating.rates import rates_partition
from spendgauge.streams.spikes import SpikeKey

__all__ = ["CENT", "MIDNIGHT", "TOTAL", "USD", "Costs", "Town", "Use", "said", "steps"]

USD = 10**12
CENT = 10**10
MIDNIGHT = 29_400_480
"""Tuesday, 25 November 2025, 00:00 UTC, in minutes since 1970."""
TOTAL: SpikeKey = ("total", ())


@dataclass(frozen=True)
class Use:
    """What one key did in a minute."""

    cost: int
    requests: int = 10
    more: Mapping[str, int] = field(default_factory=dict)
    """Other columns of a line."""


Costs = Mapping[SpikeKey, int | Use]
"""What keys did in a minute; an amount alone is that of ten requests."""


@dataclass
class Town:
    """The topics, and the watchers that judge their partitions. All partitions are one watcher's to begin with."""

    judges: Callable[[], Sequence[Judge]]
    partitions: int = 1
    minute: int = MIDNIGHT
    """The next one to be closed."""
    sent: list[Alert] = field(default_factory=list)
    quotas: dict[bytes, bytes | None] = field(default_factory=dict)
    kept: list[dict[bytes, bytes]] = field(default_factory=list)
    """Of each partition what ``cost.watch`` holds."""
    log: list[list[pl.DataFrame]] = field(default_factory=list)
    """Of each partition the lines that are not committed."""

    def __post_init__(self) -> None:
        """Start the first watcher."""
        self._watchers: dict[str, Sequence[Judge]] = {}
        self._owner: dict[int, str] = {}
        self.kept = self.kept or [{} for _ in range(self.partitions)]
        self.log = self.log or [[] for _ in range(self.partitions)]
        for partition in range(self.partitions):
            self.give(partition, "first")

    def again(self) -> Self:
        """Give a town with the same past, in which another watcher has just taken over."""
        return type(self)(
            self.judges,
            self.partitions,
            self.minute,
            kept=deepcopy(self.kept),
            log=[list(parts) for parts in self.log],
        )

    def give(self, partition: int, watcher: str) -> None:
        """Let a watcher take a partition over from whoever has it; what was not kept of it is lost."""
        for judge in self._watchers.get(self._owner.get(partition, ""), ()):
            judge.revoke(partition)
        judges = self._watchers.setdefault(watcher, self.judges())
        self._owner[partition] = watcher
        unsent = [alert for judge in judges for alert in judge.assign(partition, self.kept[partition])]
        known = {said(alert) for alert in self.sent}
        self._send([alert for alert in unsent if said(alert) not in known])
        for lines in self.log[partition]:
            self._absorb(partition, lines)

    def kill(self) -> None:
        """End all watchers at once; another one takes over everything."""
        self._watchers, self._owner = {}, {}
        for partition in range(self.partitions):
            self.give(partition, f"after {self.minute}")

    def pass_by(self, costs: Costs, *, minutes: int = 1, at_once: bool = False) -> None:
        """Let some minutes pass, in each of which these keys cost so much; ``at_once``: closed with the last one."""
        if at_once:
            self.write(costs, *range(self.minute, self.minute + minutes))
            self.minute += minutes - 1
            self.close()
        for _ in range(0 if at_once else minutes):
            self.write(costs, self.minute)
            self.close()

    def write(self, costs: Costs, *minutes: int, version: int = 0) -> None:
        """Write what keys have cost in each of some minutes; a higher version says it anew."""
        for partition, lines in _lines(costs, minutes, version, self.partitions).items():
            self.log[partition].append(lines)
            self._absorb(partition, lines)

    def close(self) -> None:
        """Close the minute: keep, send, save, commit, as a watcher does."""
        now = (self.minute + 1) * 60
        moment = Moment(now, dict.fromkeys(range(self.partitions), now * 1000))
        for watcher, judges in self._watchers.items():
            mine = [partition for partition, owner in self._owner.items() if owner == watcher]
            for judge in judges:
                for verdict in judge.close(dict.fromkeys(mine, self.minute), moment):
                    self._keep(verdict.partition, verdict.entries)
                    self._send(verdict.alerts)
                    self.quotas |= dict(verdict.quotas)
                for partition, entries in judge.save().items():
                    self._keep(partition, entries)
            for partition in mine:
                self._commit(partition, judges)
        self.minute += 1

    def _absorb(self, partition: int, lines: pl.DataFrame) -> None:
        for judge in self._watchers[self._owner[partition]]:
            judge.absorb(partition, lines.filter(pl.col("series").cast(pl.String).is_in(list(judge.series))))

    def _keep(self, partition: int, entries: Sequence[tuple[bytes, bytes | None]]) -> None:
        for key, value in entries:
            if value is None:
                self.kept[partition].pop(key, None)
            else:
                self.kept[partition][key] = value

    def _send(self, alerts: Sequence[Alert]) -> None:
        for alert in alerts:
            self.sent.append(alert)
            for judges in self._watchers.values():
                for judge in judges:
                    judge.heard(alert)

    def _commit(self, partition: int, judges: Sequence[Judge]) -> None:
        bounds = [judge.read_from(partition) for judge in judges]
        if None not in bounds:
            bound = min(bound for bound in bounds if bound is not None)
            self.log[partition] = [part for part in self.log[partition] if part["minute"][-1] >= bound]


def said(alert: Alert) -> tuple[str, str, str, int]:
    """Say which step of which alert this is."""
    return alert.alert_id, alert.state, alert.severity, alert.evaluated_at


def steps(alerts: Sequence[Alert], *, rule: str, key: SpikeKey | None = None) -> list[tuple[str, str]]:
    """List the state and severity of a rule's alerts, of one key or of all, in their order."""
    return [
        (alert.state, alert.severity)
        for alert in alerts
        if alert.rule == rule and key in {None, (alert.series, alert.key)}
    ]


def _lines(costs: Costs, minutes: Sequence[int], version: int, partitions: int) -> dict[int, pl.DataFrame]:
    rows: dict[int, list[dict[str, Any]]] = {}
    for key, used in costs.items():
        use = used if isinstance(used, Use) else Use(used)
        row = dict.fromkeys(LINES_SCHEMA, 0) | {
            "series": key[0],
            "key": json.dumps(key[1], ensure_ascii=False, separators=(",", ":")),
            "stream": "town:16",
            "rank": version,
            "requests": use.requests,
            "cost_picodollars": use.cost,
            **use.more,
        }
        rows.setdefault(rates_partition(*key, partitions), []).append(row)
    times = pl.DataFrame({"minute": minutes}).select("minute", pane_start=pl.col("minute") * 60, block="minute")
    return {
        partition: times.join(pl.DataFrame(found, schema=LINES_SCHEMA).drop(times.columns), how="cross")
        .select(*LINES_SCHEMA)
        .cast(LINES_SCHEMA)
        for partition, found in rows.items()
    }
