"""How fast may a sender send? As a token bucket says: a rate on average, twice a second's worth at once.

Our own dozen lines: the well-kept libraries count in windows (``limits``), or let callers wait for their turn
(``aiolimiter``); a gateway must say at once how long to stay away, and take a batch as a whole.
"""

from collections.abc import Callable, Hashable
from typing import Final

__all__ = ["Bucket", "Buckets"]

_BURST_SECONDS: Final = 2.0


class Bucket:
    """Holds what may be taken now; it fills by ``rate`` a second, up to two seconds' worth."""

    def __init__(self, rate: float, now: float) -> None:
        self._rate = rate
        self._most = max(rate * _BURST_SECONDS, 1.0)
        self._level = self._most
        self._at = now

    def take(self, count: int, now: float) -> float:
        """Take ``count`` and return 0, or take nothing and return the seconds until it may be asked for again.

        More than the bucket holds is given when it is full, and leaves a debt: a large batch is late, not impossible.
        """
        self._level = min(self._most, self._level + (now - self._at) * self._rate)
        self._at = now
        missing = min(float(count), self._most) - self._level
        if missing > 1e-9:
            return missing / self._rate
        self._level -= count
        return 0.0


class Buckets:
    """One bucket for each sender, made when it first sends."""

    def __init__(self, rate: float, monotonic: Callable[[], float]) -> None:
        self._rate = rate
        self._monotonic = monotonic
        self._buckets: dict[Hashable, Bucket] = {}

    def take(self, sender: Hashable, count: int = 1) -> float:
        """Take from a sender's bucket, as ``Bucket.take``."""
        now = self._monotonic()
        bucket = self._buckets.get(sender)
        if bucket is None:
            bucket = self._buckets[sender] = Bucket(self._rate, now)
        return bucket.take(count, now)
