"""Which row is whose? Keys and their rows; a key keeps its row until it is dropped."""

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from spendgauge.streams.spikes.decay import Integers
from spendgauge.streams.spikes.parameters import Limits, SpikeParameters
from spendgauge.streams.spikes.state import Rows, row_dtype

__all__ = ["Lanes", "SpikeKey"]

SpikeKey = tuple[str, tuple[str, ...]]
"""A series and a key of it, as in a contribution: ``("provider+model", ("anthropic", "claude-opus-4-5"))``."""

_LIMITS: Final = np.dtype([("floor", "<i8"), ("page", "<i8"), ("cap", "<i8")])
_FIRST: Final = 64


class Lanes:
    """The rows of all keys in one array, with the limits of each beside it."""

    def __init__(self, parameters: SpikeParameters, *, limits_of: Callable[[SpikeKey], Limits]) -> None:
        """Begin without keys."""
        self._limits_of = limits_of
        self._numbers: dict[SpikeKey, int] = {}
        self._names: list[SpikeKey | None] = []
        self._free: list[int] = []
        self.rows: Rows = np.zeros(_FIRST, dtype=row_dtype(parameters))
        self.limits: npt.NDArray[np.void] = np.zeros(_FIRST, dtype=_LIMITS)
        self.awake = np.zeros(_FIRST, dtype=np.bool_)

    def __len__(self) -> int:
        """Say how many keys there are."""
        return len(self._numbers)

    def key(self, lane: int) -> SpikeKey:
        """Name the key of a lane."""
        name = self._names[lane]
        if name is None:
            raise KeyError(f"lane {lane} is nobody's")
        return name

    def touched(self, since: int, part: slice) -> list[int]:
        """Name the lanes that were touched after a minute, of every so many."""
        lanes = np.arange(len(self._names))[part]
        return [n for n in lanes[self.rows["minute"][lanes] > since].tolist() if self._names[n] is not None]

    def find(self, keys: Sequence[SpikeKey]) -> Integers:
        """Give the lane of each key; one that is new gets a row of zeros."""
        found = [self._numbers.get(key, -1) for key in keys]
        if -1 in found:
            found = [self._add(key) for key in keys]
        return np.array(found, dtype=np.int64)

    def known(self, keys: Sequence[SpikeKey]) -> Integers:
        """Give the lane of each key; -1 for one that has none."""
        return np.array([self._numbers.get(key, -1) for key in keys], dtype=np.int64)

    def reload(self, limits_of: Callable[[SpikeKey], Limits]) -> None:
        """Ask for everybody's limits anew."""
        self._limits_of = limits_of
        for key, lane in self._numbers.items():
            self._set_limits(key, lane)

    def drop(self, *, before: int) -> list[SpikeKey]:
        """Drop the keys that sleep and whose last minute lies before this one; name them."""
        known = len(self._names)
        idle = ~self.awake[:known] & (self.rows["minute"][:known] < before)
        dropped = []
        for lane in np.flatnonzero(idle).tolist():
            if (name := self._names[lane]) is not None:
                dropped.append(name)
                del self._numbers[name]
                self._names[lane] = None
                self.rows[lane] = np.zeros(1, dtype=self.rows.dtype)[0]
                self._free.append(lane)
        return dropped

    def _add(self, key: SpikeKey) -> int:
        if (lane := self._numbers.get(key, -1)) >= 0:
            return lane
        lane = self._free.pop() if self._free else len(self._names)
        if lane == len(self._names):
            self._names.append(key)
        if lane == len(self.rows):
            self._grow()
        self._numbers[key], self._names[lane] = lane, key
        self._set_limits(key, lane)
        return lane

    def _grow(self) -> None:
        self.rows, self.limits, self.awake = (
            np.concatenate([held, np.zeros_like(held)]) for held in (self.rows, self.limits, self.awake)
        )

    def _set_limits(self, key: SpikeKey, lane: int) -> None:
        limits = self._limits_of(key)
        self.limits[lane] = (limits.floor, limits.page, limits.cap)
