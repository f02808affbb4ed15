"""What does a partition of ``cost.rates`` look like to whoever judges it, and what is left when that one is killed?"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from random import Random

from spendgauge.schemas.alerts import Alert
from spendgauge.schemas.money import usd_text
from spendgauge.schemas.rates import MEASURES, RateContribution
from spendgauge.streams.alerting import WATCHED, Desk, Judged, read_kept, read_lines
from spendgauge.streams.spikes import SpikeAlerts, SpikeKey, SpikeParameters

__all__ = ["FIRST_MINUTE", "QUICK", "Killed", "World", "contribution", "said", "traffic"]

FIRST_MINUTE = 29_400_000

QUICK = SpikeParameters(
    fast_half_life_minutes=30,
    slow_half_life_minutes=60,
    record_half_life_minutes=90,
    z_factor=4,
    record_min_z=2,
    record_factor=1.2,
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
    names.append(("total", ()))
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
    """The topics, as they are left by whoever died: the log of lines, what is kept, what was sent."""

    log: list[bytes] = field(default_factory=list)
    committed: int = 0
    kept: list[tuple[bytes | None, bytes | None]] = field(default_factory=list)
    sent: list[Alert] = field(default_factory=list)
    doom: tuple[str, int] | None = None
    """Before which write the worker is killed: of an ``entry``, an ``alert`` or a ``commit``, after so many of them."""

    def work(self, now: int, worker: "Worker | None") -> "Worker":
        """Let a worker (a new one, where there is none) read to the end of the log and close what is over by now."""
        worker = worker or Worker(self)
        worker.read()
        worker.close(now - 1)
        return worker

    def write(self, kind: str) -> None:
        """Count a write; raises ``Killed`` where the worker does not live to do it."""
        if self.doom is None or self.doom[0] != kind:
            return
        if self.doom[1] == 0:
            raise Killed
        self.doom = kind, self.doom[1] - 1


class Worker:
    """Does by hand, in the same order, what an agent does with a desk."""

    def __init__(self, world: World) -> None:
        kept = read_kept(world.kept)
        self._world = world
        self._desk = Desk(kept, usd=QUICK)
        self._alerts = SpikeAlerts(QUICK, contributors=lambda _step: ())
        for (_, key), (incident_id, raised) in self._desk.up.items():
            self._alerts.incidents.restore(key, incident_id=incident_id, raised=raised)
        self._next = world.committed
        self._newest: list[tuple[int, int]] = []
        sent = {said(alert) for alert in world.sent}
        self._send([alert for alert in kept.unsent if said(alert) not in sent])

    @property
    def alarms(self) -> int:
        """How many are up."""
        return len(self._desk.up)

    def read(self) -> None:
        """Read to the end of the log."""
        new = self._world.log[self._next :]
        for chunk in filter(None, (new[: len(new) // 3], new[len(new) // 3 :])):
            newest = self._desk.absorb(read_lines(chunk, series=WATCHED))
            self._next += len(chunk)
            self._newest.append((self._next, -1 if newest is None else newest))

    def close(self, until: int) -> None:
        """Close, keep, send, save, commit."""
        judged = self._desk.close(until)
        alerts = self._alerts.alerts([one.step for one in judged])
        self._keep(self._desk.entries(_by_name(judged, alerts)))
        self._send(alerts)
        self._keep(self._desk.save())
        while self._newest and self._desk.read_from is not None and self._newest[0][1] < self._desk.read_from:
            self._world.write("commit")
            self._world.committed = self._newest.pop(0)[0]

    def _keep(self, entries: Sequence[tuple[bytes, bytes]]) -> None:
        for entry in entries:
            self._world.write("entry")
            self._world.kept.append(entry)

    def _send(self, alerts: Sequence[Alert]) -> None:
        for alert in alerts:
            self._world.write("alert")
            self._world.sent.append(alert)


def _by_name(judged: Sequence[Judged], alerts: Sequence[Alert]) -> dict[tuple[str, SpikeKey], list[Alert]]:
    names = sorted({one.name for one in judged})
    return {(rule, key): [alert for alert in alerts if (alert.series, alert.key) == key] for rule, key in names}


def said(alert: Alert) -> tuple[str, str, str]:
    """Say what makes an alert another one."""
    return alert.alert_id, alert.state, alert.severity


def cut(lines: Sequence[RateContribution], random: Random) -> Iterator[bytes]:
    """Write lines as records of a few lines each."""
    for _, part in groupby(lines, key=lambda _line: random.random() < 0.2):
        yield b"\n".join(line.model_dump_json().encode() for line in part)
