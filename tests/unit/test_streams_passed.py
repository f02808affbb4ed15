"""Do ranges of numbers say what a set of numbers says?"""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from spendgauge.streams.accounting.passed import (
    MAX_RANGES,
    Ranges,
    first_not_in,
    holds,
    overlaps,
    pieces_between,
    with_number,
    without_number,
)

_SPAN = range(20)
_steps = st.lists(st.tuples(st.booleans(), st.sampled_from(_SPAN)), max_size=40)


def _made(steps: list[tuple[bool, int]]) -> tuple[Ranges, set[int]]:
    """Put numbers in and take them out, of ranges and of a set."""
    ranges: Ranges = ()
    numbers: set[int] = set()
    for put, number in steps:
        if not put:
            ranges = without_number(ranges, number, next_seq=0)
            numbers.discard(number)
        elif number not in numbers:
            ranges = with_number(ranges, number, next_seq=0)
            numbers.add(number)
    return ranges, numbers


@given(_steps, st.sampled_from(_SPAN), st.sampled_from(_SPAN))
def test_ranges_are_a_set(steps: list[tuple[bool, int]], low: int, high: int) -> None:
    """Whatever was put in and taken out, each question is answered as by a set, and neighbours are one range."""
    ranges, numbers = _made(steps)
    assert {number for first, last in ranges for number in range(first, last + 1)} == numbers
    assert all(one[1] + 1 < other[0] for one, other in pairwise(ranges))
    assert holds(ranges, low) == (low in numbers)
    assert overlaps(ranges, low, high) == bool(numbers & set(range(low, high + 1))) or low > high
    assert first_not_in(ranges, low) == min(set(range(low, 30)) - numbers)
    pieces = list(pieces_between(low, high, ranges))
    assert [n for first, last in pieces for n in range(first, last + 1)] == sorted(set(range(low, high + 1)) - numbers)


def test_the_farthest_are_let_go() -> None:
    """Of too many ranges the one goes that is farthest from the next number, on either side."""
    full = tuple((2 * number, 2 * number) for number in range(MAX_RANGES))
    middle = MAX_RANGES
    assert with_number(full, 10**9, next_seq=middle) == full
    assert with_number((*full[1:], (10**9, 10**9)), 0, next_seq=middle) == full
    assert with_number(full, 2 * MAX_RANGES, next_seq=2 * MAX_RANGES) == (*full[1:], (2 * MAX_RANGES, 2 * MAX_RANGES))
