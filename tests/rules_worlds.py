"""How are rules tried? One partition, minute by minute; or two, where workers are killed and partitions move."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from random import Random
from typing import Any

import polars as pl
from tests.alerting_worlds import FIRST_MINUTE, Killed, Worker, World, contribution, said

from spendgauge.schemas.alerts import Alert
from spendgauge.schemas.prices.freshness import PriceData
from spendgauge.schemas.rates import RateContribution
from spendgauge.streams.judging import Configuration, Moment, read_lines
from spendgauge.streams.rules import KINDS, Rule, RuleJudge
from spendgauge.streams.spikes import SpikeKey

__all__ = ["MODEL", "OLD_PRICES", "PLANNER", "QUICK_RULES", "Office", "Use", "fleet", "quick_judge", "rule_traffic"]

PLANNER: SpikeKey = ("agent", ("planner",))
MODEL: SpikeKey = ("provider+model", ("own", "llama"))
OLD_PRICES = PriceData("genai-prices 0.1", date(2025, 9, 1))
_CENT = 10**10

Use = Mapping[SpikeKey, Mapping[str, int]]
"""What keys did in a minute: ``cost`` in picodollars, and any measures."""

QUICK_RULES = """
[[rule]]
name = "agents"
kind = "threshold"
series = "agent"
minutes = 3
warn = "0.12"
page = "0.90"
for_minutes = 2
resolve_minutes = 2
cooldown_minutes = 5

[[rule]]
name = "errors"
kind = "error_rate"
series = "agent"
key = ["a1"]
minutes = 4
requests = 5
warn = 30
page = 70
resolve_minutes = 2
cooldown_minutes = 4

[[rule]]
name = "unpriced"
kind = "unpriced"
minutes = 3
resolve_minutes = 2
cooldown_minutes = 6

[[rule]]
name = "silence"
kind = "no_data"
series = "agent"
warn = 3
page = 6
active_minutes = 4
cooldown_minutes = 2
"""
"""Everything happens within minutes, so that an hour sees all of it."""


@dataclass
class Office:
    """One watcher that has one partition and lives, or is replaced."""

    rules: str = ""
    prices: PriceData | None = None
    partition: int = 0
    kinds: Mapping[str, type[Rule]] = field(default_factory=lambda: KINDS)
    minute: int = FIRST_MINUTE
    sent: list[Alert] = field(default_factory=list)
    kept: dict[bytes, bytes] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Take the partition over."""
        self._lines: list[tuple[int, pl.DataFrame]] = []
        self.take_over()

    def take_over(self, rules: str | None = None) -> None:
        """Start another watcher, which has what was kept, and reads what was not committed."""
        self.rules = self.rules if rules is None else rules
        self.judge = RuleJudge(prices=self.prices, kinds=self.kinds)
        self.judge.reload(Configuration(rules=self.rules))
        known = {said(alert) for alert in self.sent}
        self.sent += [a for a in self.judge.assign(self.partition, self.kept) if said(a) not in known]
        for _, lines in self._lines:
            self.judge.absorb(self.partition, lines)

    def write(self, use: Use, minute: int, *, edition: int = 0) -> None:
        """Write what keys have done in a minute; a higher edition says it anew."""
        lines = [
            contribution(key, minute * 60, done.get("cost", 0), edition=edition, **_measures(done))
            for key, done in use.items()
        ]
        read = read_lines([line.model_dump_json().encode() for line in lines], series=self.judge.series)
        self._lines.append((minute, read))
        self.judge.absorb(self.partition, read)

    def close(self, *, behind: int = 0) -> None:
        """Close the minute, keep, send, save, commit; ``behind``: the clock is so many minutes further."""
        now = (self.minute + 1 + behind) * 60 + 2
        for verdict in self.judge.close({self.partition: self.minute}, Moment(now)):
            self.keep(verdict.entries)
            self.sent += verdict.alerts
        self.keep(self.judge.save().get(self.partition, ()))
        bound = self.judge.read_from(self.partition)
        self._lines = [part for part in self._lines if bound is None or part[0] >= bound]
        self.minute += 1

    def pass_by(self, use: Use, minutes: int = 1, *, behind: int = 0) -> list[str]:
        """Let minutes pass in each of which this was done; say the steps that were said: "rule state severity"."""
        before = len(self.sent)
        for _ in range(minutes):
            self.write(use, self.minute)
            self.close(behind=behind)
        return [f"{alert.rule} {alert.state} {alert.severity}" for alert in self.sent[before:]]

    def keep(self, entries: Sequence[tuple[bytes, bytes | None]]) -> None:
        """Write entries to the compacted topic."""
        for key, value in entries:
            if value is None:
                self.kept.pop(key, None)
            else:
                self.kept[key] = value


def _measures(done: Mapping[str, int]) -> dict[str, int]:
    return {name: value for name, value in done.items() if name != "cost"}


def quick_judge() -> RuleJudge:
    """Make the judge of these worlds."""
    judge = RuleJudge(prices=OLD_PRICES)
    judge.reload(Configuration(rules=QUICK_RULES))
    return judge


def rule_traffic(seed: int, *, minutes: int) -> list[list[RateContribution]]:
    """Draw agents and models that begin, stop, fail and cost: of each minute its lines, versions growing."""
    random = Random(seed)
    names: list[SpikeKey] = [("agent", (f"a{n}",)) for n in range(4)]
    names += [("provider+model", ("own", f"m{n}")) for n in range(2)]
    moods = {name: _mood(random) for name in names}
    found = []
    for number in range(minutes):
        moods = {name: _mood(random) if random.random() < 0.12 else mood for name, mood in moods.items()}
        parts = (_lines(name, mood, FIRST_MINUTE + number, random) for name, mood in moods.items())
        found.append([line for part in parts for line in part])
    return found


def _mood(random: Random) -> dict[str, Any]:
    size = random.choice([0, 0, 1, 1, 4, 40])
    return {
        "requests": min(size, 5),
        "cents": size,
        "errors": random.choice([0, 0, 0.4, 0.9]),
        "unpriced": random.choice([0, 0, 1]),
    }


def _lines(name: SpikeKey, mood: Mapping[str, Any], minute: int, random: Random) -> list[RateContribution]:
    lines, requests, cost, errors = [], 0, 0, 0
    for version in range(2 if mood["requests"] else 0):
        requests += mood["requests"]
        cost += int(random.lognormvariate(0, 0.5) * mood["cents"] * _CENT)
        errors += sum(random.random() < mood["errors"] for _ in range(mood["requests"]))
        counts = {"requests": requests, "errors": errors, "unpriced": mood["unpriced"] * requests}
        lines.append(contribution(name, minute * 60, cost, block=minute, version=version, **counts))
    return lines


def fleet(
    seed: int, *, minutes: int, dooms: Sequence[tuple[str, int]] = (), delays: Sequence[int] = (0,), pause: int = 3
) -> list[Alert]:
    """Say what two workers send that are killed again and again, between which partitions move all the time.

    ``dooms``: before which writes; ``delays``: how many minutes late lines may come; ``pause``: how long nobody takes
    over who was killed.
    """
    random, left = Random(seed), list(dooms)
    world = World(judge=quick_judge, doom=left.pop() if left else None)
    owners, workers, due = {0: 0, 1: 1}, dict[int, Worker | None]({0: None, 1: None}), {0: 0, 1: 0}
    pending = list[tuple[int, tuple[int, bytes]]]()
    for number, lines in enumerate([*rule_traffic(seed, minutes=minutes), [], []]):
        pending += [(number + random.choice(delays), place) for place in world.records(lines, random)]
        for _, (partition, record) in (one for one in pending if one[0] <= number or number >= minutes):
            world.log[partition].append(record)
        pending = [one for one in pending if one[0] > number and number < minutes]
        if dooms and random.random() < 0.1:
            _move(random.choice([0, 1]), owners, workers)
        world.doom = world.doom if number < minutes else None
        for name in workers:
            mine = [partition for partition, owner in owners.items() if owner == name]
            try:
                if number >= due[name] or number >= minutes:
                    workers[name] = worker = workers[name] or Worker(world, mine)
                    _take_missing(worker, mine)
                    worker.read()
                    worker.close(FIRST_MINUTE + number)
            except Killed:
                workers[name], due[name], world.doom = None, number + pause, left.pop() if left else None
    return world.sent


def _move(partition: int, owners: dict[int, int], workers: Mapping[int, Worker | None]) -> None:
    worker = workers[owners[partition]]
    if worker is not None and partition in worker.partitions:
        worker.revoke(partition)
    owners[partition] = 1 - owners[partition]


def _take_missing(worker: Worker, mine: Sequence[int]) -> None:
    for partition in mine:
        if partition not in worker.partitions:
            worker.assign(partition)
