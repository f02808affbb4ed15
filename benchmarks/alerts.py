"""How good is the spike detector? Its alarms beside those of three rules that everybody knows, on the same series."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np

from benchmarks.alert_rules import PEERS, Judge, Ours, Peer, Statistic
from benchmarks.alert_series import DAY, Traffic, noise, read_servegen, synthetic
from benchmarks.alert_trials import (
    FACTORS,
    SHAPES,
    Alarms,
    Trials,
    follow,
    inject_shapes,
    inject_spikes,
    runaways,
    shifted,
)
from benchmarks.report import Sheet, figure
from spendgauge.schemas import SystemClock
from spendgauge.streams.spikes import SpikeDetector, SpikeKey
from spendgauge.streams.spikes.decay import Integers

__all__ = ["measure_alerts"]

_VOLUMES: Final = (0.05, 0.3, 1, 3, 10, 100)
_CALL_USD: Final = 0.02
_USD_A_MINUTE: Final = 0.2
_NOISE_KEYS: Final = 12
_NOISE_DAYS: Final = 8
_THRESHOLDS: Final = np.geomspace(1, 64, 13)
"""Multiples of a peer's textbook threshold, for the one at which it raises as seldom as ours."""

_RUNAWAY_USD: Final = (0.25, 0.5, 1.0)
_MANY_KEYS: Final = 100_000
_clock: Final = SystemClock()

Begin = Callable[[int], Judge]
"""Begins a rule with so many lanes."""


@dataclass(frozen=True)
class _Rule:
    name: str
    begin: Begin


def measure_alerts(traffic: Path | None, *, progress: Callable[[str], None]) -> Sequence[Sheet]:
    """Try all rules on all traffic that is at hand."""
    given = [] if traffic is None else list(read_servegen(traffic).halves())
    ours = synthetic()
    develop = given[0] if given else ours
    rules = [_Rule("spendgauge", Ours), *_peers(develop)]
    sheets = []
    for series in (*given, ours):
        progress(f"{series.name}: {len(series.keys)} keys ...")
        sheets.append(_spikes(series, rules))
    progress("noise, shifts and runaway agents ...")
    return [*sheets, _shapes([*given, ours]), _quiet(rules), _steps(rules), _speed()]


def _peers(develop: Traffic) -> list[_Rule]:
    """Give each peer its textbook threshold, and the one at which it is as quiet as ours on what was developed on."""
    wanted = follow(Ours(len(develop.keys)), develop).sent.sum()
    rules = []
    for name, (statistic, threshold) in PEERS.items():
        lanes = np.repeat(_THRESHOLDS * threshold, len(develop.keys))
        alarms = follow(Peer.begin(statistic, lanes), _beside([develop] * len(_THRESHOLDS)))
        sent = alarms.sent.reshape(len(_THRESHOLDS), -1).sum(axis=1)
        fits = np.flatnonzero(sent <= wanted)
        quiet = threshold * float(_THRESHOLDS[fits[0] if len(fits) else -1])
        lines = dict.fromkeys((threshold, quiet))
        rules += [_Rule(f"{name} > {line:.3g}", _beginning(statistic, line)) for line in lines]
    return rules


def _beginning(statistic: Statistic, threshold: float) -> Begin:
    return lambda lanes: Peer.begin(statistic, np.full(lanes, threshold))


def _spikes(series: Traffic, rules: Sequence[_Rule]) -> Sheet:
    """Count what is raised on the traffic as it is, and find spikes that are put upon it."""
    rows = []
    for rule in rules:
        judge, trials = rule.begin(len(series.keys)), {factor: Trials() for factor in FACTORS}
        alarms = follow(judge, series, before=inject_spikes(series, trials))
        rows.append((rule.name, *_natural(judge, alarms, series), *_found(trials)))
    found = [f"{factor}x found, %" for factor in FACTORS]
    head = ("rule", "crossings", "raised", "sent", "firing, %", *found, "median, min", "p90, min", "up already, %")
    notes = (
        f"{series.key_days:,.0f} days of keys. Crossings (of the score alone), raised, sent (worth at least 0.50 USD "
        "in five minutes): a key and day. Spikes are so many times the key's own 99th percentile of the 48 h before; "
        "median and p90: minutes from onset to alarm, of 3x.",
    )
    return Sheet(series.name, head, rows, notes)


def _natural(judge: Judge, alarms: Alarms, series: Traffic) -> tuple[str, ...]:
    crossings = f"{judge.crossings / series.key_days:.2f}" if isinstance(judge, Peer) else ""
    raised, sent = (f"{float(counts.sum()) / series.key_days:.2f}" for counts in (alarms.raised, alarms.sent))
    return crossings, raised, sent, f"{100 * alarms.firing_minutes.sum() / series.costs.size:.1f}"


def _found(trials: dict[int, Trials]) -> tuple[str, ...]:
    middle = trials[3]
    busy = sum(trial.busy for trial in trials.values())
    tried = busy + sum(trial.tried for trial in trials.values())
    found = (f"{100 * trial.found:.0f}" for trial in trials.values())
    return (*found, f"{middle.delay(0.5):.0f}", f"{middle.delay(0.9):.0f}", f"{100 * busy / tried:.1f}")


def _shapes(traffics: Sequence[Traffic]) -> Sheet:
    """Find spikes that come gradually, or after another; ours alone."""
    rows = []
    for traffic in traffics:
        trials = {name: Trials() for name in SHAPES}
        shapes = [(shape, trials[name]) for name, shape in SHAPES.items()]
        follow(Ours(len(traffic.keys)), traffic, before=inject_shapes(traffic, shapes))
        cells = [cell for t in trials.values() for cell in (f"{100 * t.found:.0f}", f"{t.delay(0.5):.0f}")]
        rows.append((traffic.name, *cells))
    head = [cell for name in SHAPES for cell in (f"{name}: found, %", "median, min")]
    return Sheet("spikes that are no steps, and one after another", ("series", *head), rows)


def _quiet(rules: Sequence[_Rule]) -> Sheet:
    """Count what is raised where nothing ever happens; of ours, that of the first day apart: a new key has a cap."""
    rows: list[tuple[str, ...]] = []
    cases = [(v, _CALL_USD) for v in _VOLUMES] + [(v, _USD_A_MINUTE / v) for v in _VOLUMES]
    traffic = _beside([noise(volume, keys=_NOISE_KEYS, days=_NOISE_DAYS, call_usd=usd) for volume, usd in cases])
    for rule in rules:
        early: list[Integers] = []
        alarms = follow(rule.begin(len(traffic.keys)), traffic, before=partial(_note, early, DAY))
        days = {rule.name: ((alarms.sent - early[0]), _NOISE_DAYS - 1)}
        if not rows:
            days[f"{rule.name}, a key's first day"] = (early[0], 1)
        for name, (sent, length) in days.items():
            counts = sent.reshape(len(cases), -1).sum(axis=1) / (_NOISE_KEYS * length)
            rows.append((name, *(f"{count:.3f}" for count in counts)))
    head = ("sent a key and day", *(f"{volume:g}/min of {figure(usd)} USD" for volume, usd in cases))
    notes = (f"{_NOISE_KEYS} keys of each kind for {_NOISE_DAYS} days, from the second one on.",)
    return Sheet("pure noise, calls and their costs by chance", head, rows, notes)


def _beside(traffics: Sequence[Traffic]) -> Traffic:
    """Put traffics side by side, as other keys."""
    keys = [f"{number}-{key}" for number, traffic in enumerate(traffics) for key in traffic.keys]
    costs, requests = (
        np.concatenate(told, axis=1) for told in zip(*((t.costs, t.requests) for t in traffics), strict=True)
    )
    return Traffic(traffics[0].name, tuple(keys), costs, requests)


def _steps(rules: Sequence[_Rule]) -> Sheet:
    """Let spending triple for good, and agents run away on keys that spend a dollar a day."""
    shift = _NOISE_DAYS // 2 * DAY
    tripled = shifted(noise(10, keys=_NOISE_KEYS, days=_NOISE_DAYS, call_usd=0.02), factor=3, from_minute=shift)
    quiet = noise(0.07, keys=_NOISE_KEYS, days=5, call_usd=0.01)
    rows = []
    for rule in rules:
        before: list[Integers] = []
        note = partial(_note, before, shift)
        alarms = follow(rule.begin(len(tripled.keys)), tripled, before=note)
        trials = {usd: Trials() for usd in _RUNAWAY_USD}
        follow(rule.begin(len(quiet.keys)), quiet, before=runaways(quiet, trials))
        raised = float((alarms.sent - before[0]).sum()) / _NOISE_KEYS
        rows.append((rule.name, f"{raised:.2f}", *(cell for t in trials.values() for cell in _worst(t))))
    agents = [name for usd in _RUNAWAY_USD for name in (f"{usd:g} USD/min: found, %", "most min", "most USD")]
    return Sheet("spending triples for good; an agent runs away on a quiet key", ("rule", "3x: sent", *agents), rows)


def _note(sent: list[Integers], at_minute: int, _judge: Judge, minute: int, alarms: Alarms) -> None:
    """Note how many alarms were sent before a minute, for each key."""
    if minute == at_minute:
        sent.append(alarms.sent.copy())


def _worst(trial: Trials) -> tuple[str, str, str]:
    nothing = [float("nan")]
    return (
        f"{100 * trial.sent / trial.tried:.0f}",
        f"{max(trial.delays or nothing):.0f}",
        f"{max(trial.spent_usd or nothing):.2f}",
    )


def _speed() -> Sheet:
    """Time a minute of a hundred thousand keys."""
    detector = SpikeDetector()
    keys: list[SpikeKey] = [("user_id", (f"user-{n:06}",)) for n in range(_MANY_KEYS)]
    draw = np.random.default_rng(7)
    rows: list[tuple[str, ...]] = []
    for what, share in (("all of them with events", 1.0), ("one in ten with events", 0.1), ("one in a hundred", 0.01)):
        taken = []
        for minute in range(25):
            there = [keys[n] for n in np.flatnonzero(draw.random(_MANY_KEYS) < share)]
            costs = draw.integers(10**9, 10**10, size=len(there)).tolist()
            started = _clock.monotonic()
            detector.close(len(rows) * 1000 + minute, there, costs, [3] * len(there))
            taken.append(_clock.monotonic() - started)
        middle = sorted(taken[5:])[10]
        rows.append((what, f"{1000 * middle:.0f}", f"{1e6 * middle / _MANY_KEYS:.2f}"))
    row = len(next(iter(detector.snapshot()))[1])
    head = ("100,000 keys", "ms a minute", "µs a key")
    return Sheet("one core, once a minute", head, rows, (f"A key's state is {row} bytes.",))
