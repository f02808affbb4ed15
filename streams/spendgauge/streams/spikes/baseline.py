"""What is usual for a key? Decaying means, a variance and a record; minutes without anything are folded in one step.

One step of a mean m, a variance v and a sample x of weight a, with d = x - m:

    m <- m + a d        v <- (1 - a) (v + a d^2)

so the decaying mean of squares m^2 + v is multiplied by (1 - a) and gains a x^2. After samples of nothing whose
(1 - a) multiply to f, therefore, m is f m and v is f (v + m^2 (1 - f)): nothing is subtracted from a larger
number, and v is never negative.

The old record trails behind the record by whole half hours (``climb_minutes``) of the events' time. At the end of the
first minute of each it takes in what the record was at the end of the one before.

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
        self._old = Decay(parameters.old_record_half_life_minutes)
        self._climb = parameters.climb_minutes
        self._keep_old = float(self._old.power(np.array([self._climb]))[0])

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
        turn = rows["minute"] % self._climb == 0
        old = np.maximum(rows["old_record"] * self._keep_old, rows["next_record"])
        rows["old_record"] = np.where(turn, old, rows["old_record"])
        rows["next_record"] = np.where(turn, rows["record"], rows["next_record"])

    def fold(self, rows: Rows, idle: Integers) -> None:
        """Take in so many minutes with nothing in their windows."""
        self._fold_old(rows, idle)
        left = self._fast.left(rows["seen"], idle)
        mean = rows["fast_mean"]
        rows["fast_variance"] = left * (rows["fast_variance"] + mean * mean * (1 - left))
        rows["fast_mean"] *= left
        left = self._slow.left(rows["seen"], idle)
        rows["slow_mean"] *= left
        rows["slow_requests"] *= left
        rows["record"] *= self._record.power(idle)
        rows["seen"] += idle

    def _fold_old(self, rows: Rows, idle: Integers) -> None:
        """Let the old record trail over the half hours that begin in so many minutes.

        Of the records at their beginnings the first is the largest for ever, for a record is forgotten sooner.
        """
        begun = rows["minute"] % self._climb
        turns = (begun + idle) // self._climb
        to_first, to_last = self._climb - begun, turns * self._climb - begun
        first = rows["record"] * self._record.power(to_first)
        last = rows["record"] * self._record.power(np.maximum(to_last, 0))
        old = rows["old_record"] * self._old.power(turns * self._climb)
        for passed, record in ((1, rows["next_record"]), (2, first)):
            since = np.maximum(turns - passed, 0) * self._climb
            old = np.where(turns >= passed, np.maximum(old, record * self._old.power(since)), old)
        rows["old_record"] = old
        rows["next_record"] = np.where(turns > 0, last, rows["next_record"])
