"""How unusual is a window? 1 raises, and less than 0.7 is calm.

    z = (x - fast mean) / fast deviation        rec = x / record        score = max(rec / 1.6 if z >= 3, z / 10)

and 0 below twice the slow mean. A key of less than a day has no record yet: a cap stands for 1.6 times the record. In
its first hour it has nothing but the cap.
"""

import numpy as np
import numpy.typing as npt

from spendgauge.streams.spikes.decay import Floats, Integers
from spendgauge.streams.spikes.parameters import SpikeParameters
from spendgauge.streams.spikes.state import Rows

__all__ = ["is_high", "levels", "score", "usual"]


def usual(rows: Rows, parameters: SpikeParameters) -> Integers:
    """Say what a window usually costs: whole picodollars, 0 as long as nothing is usual."""
    known = rows["seen"] >= parameters.silent_minutes
    whole: Integers = np.where(known, np.floor(rows["slow_mean"]), 0).astype(np.int64)
    return whole


def is_high(rows: Rows, normal: Integers, parameters: SpikeParameters) -> npt.NDArray[np.bool_]:
    """Say of each minute of the rows whether a window of such minutes would be more than twice the usual."""
    high: npt.NDArray[np.bool_] = parameters.window_minutes * rows["costs"] > parameters.min_ratio * normal[:, None]
    return high


def score(rows: Rows, window: Floats, parameters: SpikeParameters, *, cap: Integers) -> Floats:
    """Score windows against rows that have not absorbed them yet."""
    deviation = np.sqrt(rows["fast_variance"])
    z = (window - rows["fast_mean"]) / np.maximum(deviation, 1)
    known = rows["seen"] >= parameters.silent_minutes
    grown = rows["seen"] >= parameters.record_minutes
    normal = np.where(grown, parameters.record_factor * rows["record"], cap)
    record = np.where(~known | (z >= parameters.record_min_z), window / np.maximum(normal, 1), 0)
    scores = np.where(known, np.maximum(record, z / parameters.z_factor), record)
    high: Floats = np.where(~known | (window >= parameters.min_ratio * rows["slow_mean"]), scores, 0)
    return high


def levels(scores: Floats, excess: Integers, *, floor: Integers, page: Integers) -> npt.NDArray[np.uint8]:
    """Say what a minute is worth: 0 nothing, 1 info, 2 warn, 3 page."""
    worth = 1 + (excess >= floor).astype(np.uint8) + (excess >= np.maximum(page, floor))
    found: npt.NDArray[np.uint8] = np.where((scores >= 1) & (excess > 0), worth, 0).astype(np.uint8)
    return found
