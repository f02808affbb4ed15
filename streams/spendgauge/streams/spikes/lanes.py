"""Which row is whose? Keys and their rows, which move only when the table grows."""

from collections.abc import Callable, Iterable, Sequence
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
        self._names: list[SpikeKey] = []
        self.rows: Rows = np.zeros(_FIRST, dtype=row_dtype(parameters))
        self.limits: npt.NDArray[np.void] = np.zeros(_FIRST, dtype=_LIMITS)
        self.awake = np.zeros(_FIRST, dtype=np.bool_)

    def __len__(self) -> int:
        """Say how many keys there are."""
        return len(self._names)

    def key(self, lane: int) -> SpikeKey:
        """Name the key of a lane."""
        return self._names[lane]

    def items(self) -> Iterable[tuple[SpikeKey, int]]:
        """Give each key with its lane."""
        return self._numbers.items()

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
        known = len(self)
        kept = self.awake[:known] | (self.rows["minute"][:known] >= before)
        dropped = [self._names[n] for n in np.flatnonzero(~kept)]
        if dropped:
            self._keep(np.flatnonzero(kept).tolist())
        return dropped

    def _keep(self, kept: list[int]) -> None:
        room = max(_FIRST, len(kept))
        for name in ("rows", "limits", "awake"):
            held = getattr(self, name)
            fresh = np.zeros(room, dtype=held.dtype)
            fresh[: len(kept)] = held[kept]
            setattr(self, name, fresh)
        self._names = [self._names[n] for n in kept]
        self._numbers = {key: n for n, key in enumerate(self._names)}

    def _add(self, key: SpikeKey) -> int:
        lane = self._numbers.setdefault(key, len(self._names))
        if lane == len(self._names):
            self._names.append(key)
            if lane == len(self.rows):
                self._grow()
            self._set_limits(key, lane)
        return lane

    def _grow(self) -> None:
        self.rows, self.limits, self.awake = (
            np.concatenate([held, np.zeros_like(held)]) for held in (self.rows, self.limits, self.awake)
        )

    def _set_limits(self, key: SpikeKey, lane: int) -> None:
        limits = self._limits_of(key)
        self.limits[lane] = (limits.floor, limits.page, limits.cap)
