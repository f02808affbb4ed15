"""What traffic are alarms tried on? Costs by minute of many keys: real series where they are at hand, ours always.

The real ones are 24 tenants of a production service over 14 days (alibaba/ServeGen, arXiv 2505.09999, Apache-2.0). They
are no part of this project: put ``client_minutes.csv.gz`` (key, minute, requests, input_tokens, output_tokens) where
``SERVEGEN`` says, or name it with ``--traffic``.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from zlib import crc32

import numpy as np
import polars as pl

from benchmarks.machines import ROOT
from spendgauge.streams.spikes.decay import Floats, Integers

__all__ = ["DAY", "SERVEGEN", "Traffic", "noise", "read_servegen", "synthetic"]

SERVEGEN: Final = ROOT.parent / "shared" / "data" / "servegen" / "client_minutes.csv.gz"

DAY: Final = 1440
_DAYS: Final = 14
_PICODOLLARS_PER_TOKEN: Final = {  # input, output: Claude Sonnet 4.5, Haiku 4.5, Haiku 3
    "m-large": (3_000_000, 15_000_000),
    "m-mid": (1_000_000, 5_000_000),
    "m-small": (250_000, 1_250_000),
}
_KEYS: Final = 24
_MEAN_CALL_USD: Final = 0.01


@dataclass(frozen=True)
class Traffic:
    """What some keys cost, minute by minute."""

    name: str
    keys: tuple[str, ...]
    costs: Integers
    """Picodollars, a row for each minute, a column for each key."""
    requests: Integers
    """How many calls that were."""

    @property
    def key_days(self) -> float:
        """How many days of how many keys."""
        return self.costs.size / DAY

    def only(self, name: str, keys: Sequence[str]) -> "Traffic":
        """Take some of the keys."""
        columns = [self.keys.index(key) for key in keys]
        return Traffic(name, tuple(keys), self.costs[:, columns], self.requests[:, columns])

    def halves(self) -> "tuple[Traffic, Traffic]":
        """Split by key, always alike: one half to develop on, the other to see whether that holds."""
        mixed = sorted(self.keys, key=lambda key: crc32(key.encode()))
        middle = len(mixed) // 2
        return (
            self.only(f"{self.name}, developed on", sorted(mixed[:middle])),
            self.only(f"{self.name}, held out", sorted(mixed[middle:])),
        )


def read_servegen(path: Path) -> Traffic:
    """Read the real series and price them."""
    frame = pl.read_csv(path).with_columns(model=pl.col("key").str.split("-").list.head(2).list.join("-"))
    prices = pl.DataFrame(
        [(model, *pair) for model, pair in _PICODOLLARS_PER_TOKEN.items()],
        schema=["model", "input", "output"],
        orient="row",
    )
    cost = pl.col("input_tokens") * pl.col("input") + pl.col("output_tokens") * pl.col("output")
    frame = frame.join(prices, on="model").with_columns(cost=cost)
    keys = sorted(frame["key"].unique())
    columns = frame["key"].replace_strict(keys, range(len(keys))).to_numpy()
    costs, requests = (np.zeros((_DAYS * DAY, len(keys)), dtype=np.int64) for _ in range(2))
    for told, name in ((costs, "cost"), (requests, "requests")):
        told[frame["minute"].to_numpy(), columns] = frame[name].to_numpy()
    return Traffic("ServeGen", tuple(keys), costs, requests)


def synthetic(*, seed: int = 5) -> Traffic:
    """Draw services of every size: half with a daily rhythm and a quiet weekend, all with bursts and heavy tails."""
    counts = []
    columns = []
    for number, per_minute in enumerate(np.geomspace(0.3, 300, _KEYS)):
        draw = np.random.default_rng([seed, number])
        shape = _bursts(draw) * (_rhythm(draw) if number % 2 else 1)
        # a gamma between two Poissons: minutes vary by more than chance, as callers do
        counts.append(draw.poisson(per_minute * shape / shape.mean() * draw.gamma(2, 1 / 2, size=len(shape))))
        columns.append(_costs(draw, counts[-1]))
    names = tuple(f"service-{n:02}" for n in range(_KEYS))
    return Traffic("synthetic", names, np.stack(columns, axis=1), np.stack(counts, axis=1))


def noise(per_minute: float, *, keys: int, days: int, call_usd: float, seed: int = 6) -> Traffic:
    """Draw keys where nothing ever happens: calls by chance, at costs by chance of so many USD on average."""
    draw = np.random.default_rng([seed, int(per_minute * 10)])
    drawn = []
    for _ in range(keys):
        counts = draw.poisson(per_minute, size=days * DAY)
        drawn.append((_costs(draw, counts), counts))
    costs, requests = (np.stack(columns, axis=1) for columns in zip(*drawn, strict=True))
    scaled = (costs * (call_usd / _MEAN_CALL_USD)).astype(np.int64)
    return Traffic("noise", tuple(f"noise-{n}" for n in range(keys)), scaled, requests)


def _costs(draw: np.random.Generator, counts: Integers) -> Integers:
    """Draw what each call costs: a lognormal whose 99th percentile is ten times its median."""
    calls = draw.lognormal(-0.5, 1.0, size=int(counts.sum())) * _MEAN_CALL_USD * 1e12
    summed = np.concatenate([[0], np.cumsum(calls.astype(np.int64))])
    ends = np.cumsum(counts)
    costs: Integers = summed[ends] - summed[ends - counts]
    return costs


def _rhythm(draw: np.random.Generator) -> Floats:
    """Follow the sun, with less on two days of seven."""
    minutes = np.arange(_DAYS * DAY)
    sun = 1 + 0.9 * np.sin(2 * np.pi * (minutes / DAY + draw.random()))
    shaped: Floats = sun**2 * np.where(minutes // DAY % 7 >= 5, 0.4, 1)
    return shaped


def _bursts(draw: np.random.Generator) -> Floats:
    """Multiply stretches of minutes to some hours, about four a day, by a factor of 1.2 and more with a heavy tail."""
    shape = np.ones(_DAYS * DAY)
    for _ in range(draw.poisson(4 * _DAYS)):
        start, length = draw.integers(len(shape)), int(10 * (1 + draw.pareto(1.2)))
        shape[start : start + min(length, DAY // 2)] *= min(1.2 + 0.5 * draw.pareto(1.5), 20)
    return shape
