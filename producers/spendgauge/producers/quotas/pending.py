"""What does this process hold of a quota that the watcher does not know of yet?

A call that is under way holds its estimate. When it has ended it holds what it really cost, until the watcher has
surely read it:

    begun ────────── ended ───────── ended + settle ─────▶
      open: estimate   settling: the cost     released once the watcher's clock says that it is later

All amounts are whole picodollars, or tokens. Used under the guard's lock.
"""

from collections import deque
from typing import Final

__all__ = ["Pending"]

_BUCKET_MS: Final = 1_000
"""Costs that ended within a second are one entry: a key takes as much memory as it has seconds, not calls."""


class Pending:
    """What is held for one key of one quota."""

    __slots__ = ("_settling", "open", "settled")

    def __init__(self) -> None:
        self.open = 0
        """For calls under way."""
        self.settled = 0
        """For calls that have ended: all that was not released yet, though it may be due."""
        self._settling: deque[list[int]] = deque()

    @property
    def empty(self) -> bool:
        """Whether nothing is held."""
        return not self.open and not self._settling

    def settle(self, amount: int, ended_ms: int) -> None:
        """Hold what a call has cost that ends then: now, or later than others that will be told of."""
        self.settled += amount
        settling, place = self._settling, len(self._settling)
        while place and settling[place - 1][0] > ended_ms:
            place -= 1
        if place and ended_ms - settling[place - 1][0] < _BUCKET_MS:
            settling[place - 1][1] += amount
        else:
            settling.insert(place, [ended_ms, amount])

    def held(self, until_ms: int) -> int:
        """Say what is held; costs of calls that ended up to ``until_ms`` are released first.

        An entry may hold costs of up to a second later than its time: so much is added to it.
        """
        settling = self._settling
        while settling and settling[0][0] + _BUCKET_MS <= until_ms:
            self.settled -= settling.popleft()[1]
        return self.open + self.settled
