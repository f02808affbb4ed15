"""What does each of many usages come to? One compiled pass: find the segment, multiply, add, round.

Sums stay in 64 bits: a rate is split into whole picodollars and the rest below one, and only what has such a rest pays
for more. What numbers mean (which unit is input) comes with the call: what was compiled is kept, and would not notice.
"""

from typing import Final, NamedTuple

from spendgauge.schemas.compiled import Numbers, compiled, kept
from spendgauge.schemas.prices.segments import DAY_MS
from spendgauge.schemas.prices.units import YOCTODOLLARS_PER_PICODOLLAR

__all__ = ["SPLIT", "Prices", "Usages", "sum_costs"]

SPLIT: Final = 10**6
"""A rest is below the square of it, so that a count of up to 10**8 times either half fits, ten times over."""


class Usages(NamedTuple):
    """What is to be priced. *shape*: (rows,), and (units, rows) where it says so."""

    key: Numbers
    at_ms: Numbers
    counts: Numbers
    """(units, rows)."""
    is_input: Numbers
    """(units,): 1 where the unit counts towards the size of the input."""


class Prices(NamedTuple):
    """The segments of all keys, those of a key together. *shape*: (segments,), (segments, units) where it says so."""

    first: Numbers
    """The first segment of each key."""
    from_ms: Numbers
    until_ms: Numbers
    day_from_ms: Numbers
    day_until_ms: Numbers
    over: Numbers
    upto: Numbers
    whole: Numbers
    """(segments, units): picodollars a unit, rounded down."""
    upper_rest: Numbers
    lower_rest: Numbers
    """(segments, units): the rest in yoctodollars, as upper * SPLIT + lower."""
    has_rest: Numbers
    unknown: Numbers
    """(segments, units): 1 where the unit has no price."""
    version: Numbers
    """0: the segment has no prices."""


@kept
def sum_costs(usages: Usages, prices: Prices, costs: Numbers, versions: Numbers) -> None:
    """Write each usage's picodollars into ``costs``, and its segment's version into ``versions``.

    Version 0: unpriced, and the cost is nothing to go by.
    """
    for row in range(usages.key.size):
        segment = _segment_of(usages, row, prices)
        versions[row] = prices.version[segment]
        costs[row] = 0
        for unit in range(usages.is_input.size):
            count = usages.counts[unit, row]
            costs[row] += count * prices.whole[segment, unit]
            if count != 0 and prices.unknown[segment, unit]:
                versions[row] = 0
        if prices.has_rest[segment]:
            costs[row] = _with_rest(costs[row], usages, row, prices, segment)


@compiled
def _segment_of(usages: Usages, row: int, prices: Prices) -> int:
    """Find the segment that a usage falls into; they tile the space, so one of them holds it."""
    at_ms = usages.at_ms[row]
    of_day = at_ms % DAY_MS
    size = 0
    for unit in range(usages.is_input.size):
        size += usages.counts[unit, row] * usages.is_input[unit]
    size = abs(size)
    segment: int = prices.first[usages.key[row]]
    while not (
        prices.from_ms[segment] <= at_ms < prices.until_ms[segment]
        and prices.day_from_ms[segment] <= of_day < prices.day_until_ms[segment]
        and prices.over[segment] < size <= prices.upto[segment]
    ):
        segment += 1
    return segment


@compiled
def _with_rest(whole: int, usages: Usages, row: int, prices: Prices, segment: int) -> int:
    """Add the rests below a picodollar and round once, half to even."""
    upper = lower = 0
    for unit in range(usages.is_input.size):
        count = usages.counts[unit, row]
        upper += count * prices.upper_rest[segment, unit]
        lower += count * prices.lower_rest[segment, unit]
    rest, per = upper % SPLIT * SPLIT + lower, YOCTODOLLARS_PER_PICODOLLAR
    whole += upper // SPLIT + rest // per
    twice = 2 * (rest % per)
    if twice > per or (twice == per and whole % 2 == 1):
        whole += 1
    return whole
