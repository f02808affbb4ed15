"""What do partitions of ``cost.rates`` look like to whoever judges them, and what is left when that one is killed?"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from random import Random
from zlib import crc32

from spendgauge.schemas.alerts import Alert
from spendgauge.schemas.money import usd_text
from spendgauge.schemas.rates import MEASURES, RateContribution
from spendgauge.streams.alerting.judge import SpikeJudge
from spendgauge.streams.judging import Entry, Judge, Moment, read_lines
from spendgauge.streams.spikes import SpikeKey, SpikeParameters

__all__ = ["FIRST_MINUTE", "QUICK", "Killed", "Worker", "World", "contribution", "cut", "said", "traffic"]

FIRST_MINUTE = 29_400_000

QUICK = SpikeParameters(
    fast_half_life_minutes=30,
    slow_half_life_minutes=60,
    record_half_life_minutes=90,
    z_factor=4,
    record_min_z=2,
    record_factor=1.2,
    climb_factor=1.8,
    climb_minutes=10,
    old_record_half_life_minutes=120,
    resolve_minutes=4,
    cooldown_minutes=7,
    silent_minutes=12,
    record_minutes=40,
)
"""Everything happens within an hour or two, so that a few hundred minutes see all of it."""

CENT = 10**10


class Killed(Exception):  # noqa: N818 - it is no error
    """The worker ended here."""


def contribution(
    key: SpikeKey, second: int, picodollars: int, *, block: int = 0, version: int = 0, edition: int = 0, **measures: int
) -> RateContribution:
    """Build a line about the ten seconds that begin with this one."""
    return RateContribution(
        series=key[0],
        key=key[1],
        pane_start=second,
        pane_seconds=10,
        stream="topic:16",
        partition=0,
        block=block,
        edition=edition,
        version=version,
        cost_usd=usd_text(picodollars),
        **{"requests": 1} | {name: measures[name] for name in MEASURES if name in measures} | _zeros(measures),
    )


def _zeros(measures: dict[str, int]) -> dict[str, int]:
    return {name: 0 for name in MEASURES if name not in {"requests", "cost_picodollars"} | measures.keys()}


def traffic(seed: int, *, minutes: int, keys: int = 4) -> list[list[RateContribution]]:
    """Draw keys that sleep, wake, and spike: of each minute the lines that are written in it, versions growing."""
    random = Random(seed)
    names: list[SpikeKey] = [("user_id", (f'u{n} ü"\u007f',)) for n in range(keys - 1)]
    names += [("session_id", ("s1",)), ("total", ())]
    sizes = dict.fromkeys(names, 1.0)
    return [_minute(FIRST_MINUTE + number, names, sizes, random) for number in range(minutes)]


def _minute(
    minute: int, names: Sequence[SpikeKey], sizes: dict[SpikeKey, float], random: Random
) -> list[RateContribution]:
    lines = []
    for name in names:
        if random.random() < 0.06:
            sizes[name] = random.choice([0, 1, 1, 4, 40])
        for pane in random.sample(range(6), 2):
            amount = 0
            for version in range(2):
                amount += int(random.lognormvariate(0, 0.5) * sizes[name] * CENT)
                if amount:
                    second, place = minute * 60 + pane * 10, {"block": minute, "version": 10 * pane + version}
                    lines.append(contribution(name, second, amount, **place))
    return lines


@dataclass
class World:
    """The topics, as they are left by whoever died: the logs of lines, what is kept, what was sent."""

    partitions: int = 2
    judge: Callable[[], Judge] = lambda: SpikeJudge(QUICK)
    """Makes a worker's judge."""
    log: dict[int, list[bytes]] = field(default_factory=lambda: defaultdict(list))
    committed: dict[int, int] = field(default_factory=lambda: defaultdict(int))
    kept: dict[int, dict[bytes, bytes]] = field(default_factory=lambda: defaultdict(dict))
    sent: list[Alert] = field(default_factory=list)
    doom: tuple[str, int] | None = None
    """Before which write a worker is killed: of an ``entry``, an ``alert`` or a ``commit``, after so many of them."""

    def write(self, lines: Sequence[RateContribution], random: Random) -> None:
        """Append lines, in records of a few, each to the partition of its key."""
        for partition, record in self.records(lines, random):
            self.log[partition].append(record)

    def records(self, lines: Sequence[RateContribution], random: Random) -> list[tuple[int, bytes]]:
        """Cut lines into records; ``total`` lies in the last partition."""
        parts: dict[int, list[RateContribution]] = defaultdict(list)
        for line in lines:
            parts[crc32("".join(line.key).encode()) % self.partitions if line.key else self.partitions - 1].append(line)
        return [(partition, record) for partition, part in parts.items() for record in cut(part, random)]

    def work(self, now: int, worker: "Worker | None") -> "Worker":
        """Let a worker (a new one, where there is none) read to the end of the logs and close what is over by now."""
        worker = worker or Worker(self)
        worker.read()
        worker.close(now - 1)
        return worker

    def count(self, kind: str) -> None:
        """Count a write; raises ``Killed`` where the worker does not live to do it."""
        if self.doom is None or self.doom[0] != kind:
            return
        if self.doom[1] == 0:
            raise Killed
        self.doom = kind, self.doom[1] - 1


class Worker:
    """Does by hand, in the same order, what a watcher does with a judge."""

    def __init__(self, world: World, partitions: Collection[int] | None = None) -> None:
        self.judge = world.judge()
        self._world = world
        self._next: dict[int, int] = {}
        self._newest: dict[int, list[tuple[int, int]]] = {}
        for partition in range(world.partitions) if partitions is None else partitions:
            self.assign(partition)

    @property
    def partitions(self) -> Collection[int]:
        """Those that it has."""
        return self._next.keys()

    def assign(self, partition: int) -> None:
        """Take a partition over, and send what was kept and not sent."""
        unsent = self.judge.assign(partition, self._world.kept[partition])
        self._next[partition] = self._world.committed[partition]
        self._newest[partition] = []
        sent = {said(alert) for alert in self._world.sent}
        self._send([alert for alert in unsent if said(alert) not in sent])

    def has(self, partition: int) -> bool:
        """Whether a partition is this one's."""
        return partition in self._next

    def revoke(self, partition: int) -> None:
        """Let go of a partition."""
        self.judge.revoke(partition)
        del self._next[partition], self._newest[partition]

    def read(self) -> None:
        """Read to the end of the logs."""
        for partition, position in self._next.items():
            new = self._world.log[partition][position:]
            first = len(new) // 3 if len(new) % 5 == 0 else 0
            for chunk in filter(None, (new[:first], new[first:])):
                lines = read_lines(chunk, series=self.judge.series)
                self.judge.absorb(partition, lines)
                self._next[partition] += len(chunk)
                newest = lines["minute"].max()
                self._newest[partition].append((self._next[partition], -1 if newest is None else int(str(newest))))

    def close(self, until: int) -> None:
        """Close, keep, send, save, commit."""
        verdicts = self.judge.close(dict.fromkeys(self._next, until), Moment(until * 60))
        for verdict in verdicts:
            self._keep(verdict.partition, verdict.entries)
        self._send([alert for verdict in verdicts for alert in verdict.alerts])
        for partition, entries in self.judge.save().items():
            self._keep(partition, entries)
        for partition, newest in self._newest.items():
            read_from = self.judge.read_from(partition)
            while newest and read_from is not None and newest[0][1] < read_from:
                self._world.count("commit")
                self._world.committed[partition] = newest.pop(0)[0]

    def _keep(self, partition: int, entries: Sequence[Entry]) -> None:
        for key, value in entries:
            self._world.count("entry")
            if value is None:
                self._world.kept[partition].pop(key, None)
            else:
                self._world.kept[partition][key] = value

    def _send(self, alerts: Sequence[Alert]) -> None:
        for alert in alerts:
            self._world.count("alert")
            self._world.sent.append(alert)
            self.judge.heard(alert)


def said(alert: Alert) -> tuple[str, str, str]:
    """Say what makes an alert another one."""
    return alert.alert_id, alert.state, alert.severity


def cut(lines: Sequence[RateContribution], random: Random) -> Iterator[bytes]:
    """Write lines as records of a few lines each."""
    for _, part in groupby(lines, key=lambda _line: random.random() < 0.2):
        yield b"\n".join(line.model_dump_json().encode() for line in part)
