"""Which numbers of a source were used by lines that were rejected?

Such a number is neither counted nor missing, and what comes under it later counts. The numbers are kept as ranges
``(first, last)`` in order, with something between any two. A source that sends bad lines for ever must not grow for
ever: of more than ``MAX_RANGES`` those are let go that lie farthest from its next number.
"""

from bisect import bisect_right
from collections.abc import Iterator
from typing import Final

__all__ = [
    "MAX_RANGES",
    "Ranges",
    "first_not_in",
    "holds",
    "overlaps",
    "pieces_between",
    "with_number",
    "without_number",
]

Ranges = tuple[tuple[int, int], ...]

MAX_RANGES: Final = 64
"""What is remembered of a source is written at each block's end, and gone through where it does not just count on."""

_BEYOND: Final = 2**63


def holds(ranges: Ranges, number: int) -> bool:
    """Say whether a number is in one of the ranges."""
    if not ranges or number > ranges[-1][1]:
        return False
    place = bisect_right(ranges, (number, _BEYOND))
    return place > 0 and number <= ranges[place - 1][1]


def overlaps(ranges: Ranges, first: int, last: int) -> bool:
    """Say whether any of these numbers is in one of the ranges."""
    place = bisect_right(ranges, (last, _BEYOND))
    return place > 0 and first <= ranges[place - 1][1]


def first_not_in(ranges: Ranges, number: int) -> int:
    """Find the first number from this one on that is in none of the ranges."""
    if not ranges or number > ranges[-1][1]:
        return number
    place = bisect_right(ranges, (number, _BEYOND))
    return max(number, ranges[place - 1][1] + 1) if place else number


def pieces_between(first: int, last: int, ranges: Ranges) -> Iterator[tuple[int, int]]:
    """Give what the ranges leave of the numbers from first to last, in order."""
    for low, high in ranges:
        if high >= first and low <= last:
            if first < low:
                yield first, low - 1
            first = high + 1
    if first <= last:
        yield first, last


def with_number(ranges: Ranges, number: int, *, next_seq: int) -> Ranges:
    """Put in a number that is not in; neighbours become one range."""
    place = bisect_right(ranges, (number, _BEYOND))
    before, behind = ranges[:place], ranges[place:]
    first = last = number
    if before and before[-1][1] == number - 1:
        before, first = before[:-1], before[-1][0]
    if behind and behind[0][0] == number + 1:
        behind, last = behind[1:], behind[0][1]
    return _bounded((*before, (first, last), *behind), next_seq)


def without_number(ranges: Ranges, number: int, *, next_seq: int) -> Ranges:
    """Take out a number, if it is in."""
    if not holds(ranges, number):
        return ranges
    place = bisect_right(ranges, (number, _BEYOND)) - 1
    first, last = ranges[place]
    left = tuple(piece for piece in ((first, number - 1), (number + 1, last)) if piece[0] <= piece[1])
    return _bounded((*ranges[:place], *left, *ranges[place + 1 :]), next_seq)


def _bounded(ranges: Ranges, next_seq: int) -> Ranges:
    """Leave out the range that is farthest from the next number where there is one too many."""
    if len(ranges) <= MAX_RANGES:
        return ranges
    farthest = max(ranges, key=lambda one: max(next_seq - one[1], one[0] - next_seq))
    return tuple(one for one in ranges if one is not farthest)
