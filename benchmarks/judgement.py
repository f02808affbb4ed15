"""Does it stay as it is? Memory and latency of a long run are flat, or the run has failed."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import median
from typing import Final

__all__ = ["MOST_LATENCY_GROWTH", "MOST_LATENCY_SECONDS", "MOST_MEMORY_GROWTH", "Sample", "Verdict", "growth", "judge"]

MOST_MEMORY_GROWTH: Final = 0.05
MOST_LATENCY_GROWTH: Final = 0.25
MOST_LATENCY_SECONDS: Final = 3.0
"""A backlog that neither grows nor shrinks is flat as well: that is not meant."""

_SETTLED: Final = 0.25
"""The first quarter of a run is left out: caches fill, and the allocator finds its size."""


@dataclass(frozen=True)
class Sample:
    """What was seen in one interval."""

    at_seconds: float
    megabytes: float
    p50: float
    p99: float
    """Of the latencies, in seconds."""


@dataclass(frozen=True)
class Verdict:
    """How much memory and latencies grew, as parts of their medians, and whether every event was counted once."""

    memory: float
    p50: float
    p99: float
    p99_seconds: float
    """The median of the samples' p99."""
    sent: int
    counted: int

    @property
    def flat(self) -> bool:
        """Whether the run has passed."""
        calm = max(self.p50, self.p99) <= MOST_LATENCY_GROWTH and self.p99_seconds <= MOST_LATENCY_SECONDS
        return self.memory <= MOST_MEMORY_GROWTH and calm and self.sent == self.counted

    def __str__(self) -> str:
        """Say it in one line."""
        return (
            f"{'flat' if self.flat else 'NOT FLAT'}: over the last three quarters memory grew by {self.memory:+.1%} "
            f"(at most {MOST_MEMORY_GROWTH:.0%}), latency p50 by {self.p50:+.1%} and p99 by {self.p99:+.1%} "
            f"(at most {MOST_LATENCY_GROWTH:.0%}) to {self.p99_seconds:.1f} s (at most {MOST_LATENCY_SECONDS:.0f} s); "
            f"{self.sent:,} events were sent and {self.counted:,} counted"
        )


def judge(samples: Sequence[Sample], *, sent: int, counted: int) -> Verdict:
    """Judge a run by its last three quarters."""
    settled = samples[int(len(samples) * _SETTLED) :]
    return Verdict(
        growth(settled, lambda sample: sample.megabytes),
        growth(settled, lambda sample: sample.p50),
        growth(settled, lambda sample: sample.p99),
        median(sample.p99 for sample in settled),
        sent,
        counted,
    )


def growth(samples: Sequence[Sample], figure: Callable[[Sample], float]) -> float:
    """Say by which part of its median a figure grew from the first sample to the last, along the line of best fit.

    The slope is the median of the slopes between all pairs: a few odd samples do not move it.

    *Source*: Theil-Sen estimator; Sen, Journal of the American Statistical Association 63 (1968), 1379-1389.
    """
    slopes = [
        (figure(later) - figure(sooner)) / (later.at_seconds - sooner.at_seconds)
        for sooner, later in combinations(samples, 2)
    ]
    if not slopes:
        raise ValueError(f"{len(samples)} samples say nothing about growth; run for longer")
    span = samples[-1].at_seconds - samples[0].at_seconds
    return median(slopes) * span / median(map(figure, samples))
