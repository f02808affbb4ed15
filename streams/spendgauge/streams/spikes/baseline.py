"""What is usual for a key? Decaying means, a variance and a record; minutes without anything are folded in one step.

One step of a mean m, a variance v and a sample x of weight a, with d = x - m:

    m <- m + a d        v <- (1 - a) (v + a d^2)

so the decaying mean of squares m^2 + v is multiplied by (1 - a) and gains a x^2. After samples of nothing whose
(1 - a) multiply to f, therefore, m is f m and v is f (v + m^2 (1 - f)): nothing is subtracted from a larger
number, and v is never negative.

*Source*: West, Communications of the ACM 22 (1979), 532-535; Finch, "Incremental calculation of weighted mean and
variance" (2009).
"""

import numpy as np

from spendgauge.streams.spikes.decay import Decay, Floats, Integers
from spendgauge.streams.spikes.parameters import SpikeParameters
from spendgauge.streams.spikes.state import Rows

__all__ = ["Baseline"]


class Baseline:
    """Absorbs minutes into rows, in place."""

    def __init__(self, parameters: SpikeParameters) -> None:
        """Prepare the decays."""
        self._fast = Decay(parameters.fast_half_life_minutes)
        self._slow = Decay(parameters.slow_half_life_minutes)
        self._record = Decay(parameters.record_half_life_minutes)

    def absorb(self, rows: Rows, *, window: Floats, requests: Floats, late: Floats) -> None:
        """Take in the window that was judged; ``late`` is the one that the record is fed with."""
        rows["seen"] += 1
        weight = self._fast.weight(rows["seen"])
        step = window - rows["fast_mean"]
        rows["fast_variance"] = (1 - weight) * (rows["fast_variance"] + weight * step * step)
        rows["fast_mean"] += weight * step
        weight = self._slow.weight(rows["seen"])
        rows["slow_mean"] += weight * (window - rows["slow_mean"])
        rows["slow_requests"] += weight * (requests - rows["slow_requests"])
        rows["record"] = np.maximum(rows["record"] * self._record.keep, late)

    def fold(self, rows: Rows, idle: Integers) -> None:
        """Take in so many minutes with nothing in their windows."""
        left = self._fast.left(rows["seen"], idle)
        mean = rows["fast_mean"]
        rows["fast_variance"] = left * (rows["fast_variance"] + mean * mean * (1 - left))
        rows["fast_mean"] *= left
        left = self._slow.left(rows["seen"], idle)
        rows["slow_mean"] *= left
        rows["slow_requests"] *= left
        rows["record"] *= self._record.power(idle)
        rows["seen"] += idle
