"""How would the Numenta Anomaly Benchmark score a detector? Its rule, and a run over its files where they are at hand.

A detection in a window counts for the window by how early it is, the earliest alone; one outside counts against, the
less so the sooner it follows a window; a window without any counts against. The score is 0 for a detector that says
nothing and 100 for one that says each window at its first row and nothing else.

*Source*: Lavin and Ahmad, "Evaluating Real-time Anomaly Detection Algorithms: the Numenta Anomaly Benchmark", ICMLA
2015; its scorer's behaviour at the edges (a window's last row, rows before the first window) as in numenta/NAB.
"""

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import polars as pl

from benchmarks.report import Sheet
from spendgauge.streams.spikes import SpikeDetector, SpikeParameters

__all__ = ["PROFILES", "File", "Weights", "detect", "measure_nab", "raw_score", "score"]


@dataclass(frozen=True)
class Weights:
    """What a profile thinks of detections and misses."""

    found: float
    false: float
    missed: float


PROFILES: Final = {
    "standard": Weights(1.0, 0.11, 1.0),
    "reward few false alarms": Weights(1.0, 0.22, 1.0),
    "reward few misses": Weights(1.0, 0.11, 2.0),
}
_PROBATION: Final = 0.15
_MOST_PROBATION_ROWS: Final = 750
_FAR: Final = 3.0
_SCALE: Final = 10**6


@dataclass(frozen=True)
class File:
    """One series: how long it is, its windows (first and last row), the rows at which something was detected."""

    rows: int
    windows: tuple[tuple[int, int], ...]
    detections: tuple[int, ...]


def score(files: Sequence[File], weights: Weights) -> float:
    """Score detections in many files, from 0 (nothing said) to 100 (all said at once)."""
    windows = sum(len(_scored(file)) for file in files)
    nothing, perfect = -weights.missed * windows, weights.found * windows
    return 100 * (sum(raw_score(file, weights) for file in files) - nothing) / (perfect - nothing)


def raw_score(file: File, weights: Weights) -> float:
    """Score one file; rows of the probation (the first 15 %, at most 750) count for nothing."""
    best = dict.fromkeys(_scored(file), -weights.missed)
    false = 0.0
    for row in file.detections:
        if row < _probation(file):
            continue
        window = next(((start, end) for start, end in file.windows if start <= row <= end), None)
        if window is None:
            false += weights.false * _sigmoid(_position_after(file, row))
        else:
            start, end = window
            early = _sigmoid(-(end - row + 1) / (end - start + 1)) / _sigmoid(-1.0)
            best[window] = max(best[window], weights.found * early)
    return false + sum(best.values())


def detect(values: Iterable[float], *, rows_per_day: int) -> list[int]:
    """Say at which rows the detector raises an alarm, its half-lives being those of rows instead of minutes."""
    hour = max(1, rows_per_day // 24)
    parameters = SpikeParameters(
        window_minutes=1,
        step_minutes=2,
        climb_minutes=max(1, hour // 2),
        fast_half_life_minutes=6 * hour,
        slow_half_life_minutes=24 * hour,
        record_half_life_minutes=48 * hour,
        old_record_half_life_minutes=168 * hour,
        silent_minutes=hour,
        record_minutes=24 * hour,
        cooldown_minutes=hour,
        floor=1,
        cap=10**17,
    )
    detector = SpikeDetector(parameters)
    raised = []
    for row, value in enumerate(values):
        for step in detector.close(row, [("total", ())], [round(value * _SCALE)], [1]):
            raised += [row] if step.state == "raised" else []
    return raised


def measure_nab(folder: Path) -> Sheet:
    """Run over a clone of numenta/NAB: ``data`` and ``labels/combined_windows.json``."""
    labels = json.loads((folder / "labels" / "combined_windows.json").read_text(encoding="utf-8"))
    files = [_read(folder / "data" / name, windows) for name, windows in sorted(labels.items())]
    rows = [(name, f"{score(files, weights):.1f}") for name, weights in PROFILES.items()]
    return Sheet(f"Numenta Anomaly Benchmark, {len(files)} files", ("profile", "score"), rows)


def _read(path: Path, windows: Sequence[tuple[str, str]]) -> File:
    frame = pl.read_csv(path).with_columns(pl.col("timestamp").str.to_datetime())
    times = frame["timestamp"].to_list()
    seconds = (times[-1] - times[0]).total_seconds() / (len(times) - 1)
    at = {time.isoformat(sep=" "): row for row, time in enumerate(times)}
    limits = tuple((at[start.partition(".")[0]], at[end.partition(".")[0]]) for start, end in windows)
    found = detect(frame["value"].to_list(), rows_per_day=max(1, round(86_400 / seconds)))
    return File(len(times), limits, tuple(found))


def _probation(file: File) -> float:
    return min(math.floor(_PROBATION * file.rows), _MOST_PROBATION_ROWS)


def _scored(file: File) -> list[tuple[int, int]]:
    return [(start, end) for start, end in file.windows if end >= _probation(file)]


def _position_after(file: File, row: int) -> float:
    """How many of its own lengths after the last window a row lies; far, where there is none before it."""
    before = [(start, end) for start, end in file.windows if end < row]
    if not before:
        return _FAR
    start, end = before[-1]
    return (row - end) / (end - start)


def _sigmoid(position: float) -> float:
    """Scale a place to -1..1: -1 is a window's first row, 0 its end, 1 a length behind it."""
    return -1.0 if position >= _FAR else 2 / (1 + math.exp(5 * position)) - 1
