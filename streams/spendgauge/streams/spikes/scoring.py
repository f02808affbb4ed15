"""How unusual is a window? 1 raises, and less than 0.7 is calm.

    z = (x - fast mean) / fast deviation      rec = x / record      climb = x / old record
    score = max(rec / 1.55 if z >= 3 and a step, climb / 2.5 if z >= 3, z / 9)

and 0 below twice the slow mean m, or where chance does as much. Calls that come independently of each other, n in a
usual window, at c each, are within a window, once in e^L windows or less,

    more than n by sqrt(2 L n) + L / 3,  or cost more than m by sqrt(2 L m c) + L c

so one of the two must be. c is three times the mean call, for costs vary: a few large calls on a quiet key are no
spike. Where windows vary less than such calls would, c is what they do vary by (variance over mean); a spike widens
that, so a minute after an unusual one is not asked again.

A step is twice the window of ten minutes before: busy hours come gradually, and break records too. What climbs by 5 % a
minute is no step, takes its record with it, and its mean and deviation as well (z stays below 7.2 for ever). The record
as it was half an hour to an hour ago it leaves behind. A key of less than a day has none that means much.

A key of six hours breaks its record four times as often as one of a day (of n windows in any order, the last is the
largest once in n). It must exceed it by four times as much, therefore, or a cap, if that is less; and z by twice as
much, for at most one window in k^2 is k deviations from the mean (Chebyshev). In its first hour it has only the cap.

*Source*: the tails of a Poisson (Bernstein's inequality) and of a gamma: Boucheron, Lugosi and Massart, *Concentration
Inequalities* (2013), sections 2.4 and 2.7.
"""

from typing import Final

import numpy as np
import numpy.typing as npt

from spendgauge.streams.spikes.decay import Floats, Integers
from spendgauge.streams.spikes.parameters import SpikeParameters
from spendgauge.streams.spikes.state import Rows

__all__ = ["by_chance", "is_high", "is_step", "levels", "score", "usual"]

_NONE: Final = 1e-9
"""Requests in a window, or picodollars: next to none."""


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
    young = np.maximum(parameters.record_minutes / np.maximum(rows["seen"], 1), 1)
    own = parameters.record_factor * rows["record"]
    normal = np.where(known, np.minimum(young * own, np.maximum(own, cap)), cap)
    counts = ~known | ((z >= parameters.record_min_z) & is_step(rows, window, parameters))
    record = np.where(counts, window / np.maximum(normal, 1), 0)
    record = np.maximum(record, _climb(rows, window, z, parameters))
    scores = np.where(known, np.maximum(record, z / (np.sqrt(young) * parameters.z_factor)), record)
    chance = np.where(rows["previous"] > 0, 0, by_chance(rows, parameters))
    least = np.maximum(parameters.min_ratio * rows["slow_mean"], rows["slow_mean"] + chance)
    high: Floats = np.where(~known | (window >= least), scores, 0)
    return high


def is_step(rows: Rows, window: Floats, parameters: SpikeParameters) -> npt.NDArray[np.bool_]:
    """Say whether a window is so many times the one that lies some minutes before."""
    before = rows["costs"][:, : parameters.window_minutes].sum(axis=1)
    stepped: npt.NDArray[np.bool_] = window >= parameters.min_ratio * before
    return stepped


def _climb(rows: Rows, window: Floats, z: Floats, parameters: SpikeParameters) -> Floats:
    """Score windows against the old record alone, of the keys that are old enough to have one."""
    counts = (rows["seen"] >= parameters.record_minutes) & (z >= parameters.record_min_z)
    scores: Floats = np.where(counts, window / np.maximum(parameters.climb_factor * rows["old_record"], 1), 0)
    return scores


def by_chance(rows: Rows, parameters: SpikeParameters) -> Floats:
    """Say by how much a window may exceed the usual when calls just happen to come together; 0 where they did not."""
    rare, mean = parameters.chance, np.maximum(rows["slow_mean"], 0)
    usual = np.maximum(rows["slow_requests"], _NONE)
    came = rows["requests"].sum(axis=1) >= usual + np.sqrt(2 * rare * usual) + rare / 3
    calls = parameters.call_variation * mean / usual
    varied = rows["fast_variance"] / np.maximum(rows["fast_mean"], _NONE)
    one = np.minimum(calls, varied)
    most: Floats = np.where(came, 0, np.sqrt(2 * rare * mean * one) + rare * one)
    return most


def levels(high: npt.NDArray[np.bool_], excess: Integers, *, floor: Integers, page: Integers) -> npt.NDArray[np.uint8]:
    """Say what a minute is worth: 0 nothing (it is not high), 1 info, 2 warn, 3 page."""
    worth = 1 + (excess >= floor).astype(np.uint8) + (excess >= np.maximum(page, floor))
    found: npt.NDArray[np.uint8] = np.where(high & (excess > 0), worth, 0).astype(np.uint8)
    return found
