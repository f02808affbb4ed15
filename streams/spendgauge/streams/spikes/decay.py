"""How fast is the past forgotten? Powers of a decay by multiplication alone, so that every machine finds the same bits.

``pow`` and ``exp`` differ in their last bit between processors and libraries; a product does not (IEEE 754).
"""

from dataclasses import dataclass
from decimal import Decimal, localcontext
from functools import cached_property
from typing import Final

import numpy as np
import numpy.typing as npt

__all__ = ["Decay", "Floats", "Integers"]

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

_BITS: Final = 40
"""2**40 minutes are more than anybody waits."""


@dataclass(frozen=True)
class Decay:
    """Exponential forgetting with a half-life, which begins as a plain mean.

    The nth sample weighs max(1 - keep, 1 / n): the first samples of a key count alike, until there are as many as the
    half-life is worth. So the first one is not believed for hours.
    """

    half_life_minutes: int

    @cached_property
    def keep(self) -> float:
        """What is left after a minute."""
        with localcontext(prec=28):
            return float(Decimal(2) ** (Decimal(-1) / self.half_life_minutes))

    @cached_property
    def mature(self) -> int:
        """So many samples weigh alike."""
        return int(1 / (1 - self.keep))

    def weight(self, number: Integers) -> Floats:
        """Weigh the sample with this number, 1 or more."""
        weights: Floats = np.maximum(1 - self.keep, 1 / number)
        return weights

    def power(self, minutes: Integers) -> Floats:
        """Say what is left after so many minutes, 0 or more."""
        left = np.ones(len(minutes))
        square, rest = self.keep, minutes
        for _ in range(_BITS):
            if not rest.any():
                break
            left = np.where(rest & 1, left * square, left)
            square, rest = square * square, rest >> 1
        return left

    def left(self, seen: Integers, minutes: Integers) -> Floats:
        """Say what is left of the mean of ``seen`` samples, 1 or more, after so many samples of nothing.

        It is the product of 1 - weight over those samples: (n-1)/n telescopes, the rest is a power.
        """
        young = np.minimum(seen + minutes, np.maximum(seen, self.mature))
        left: Floats = seen / young * self.power(seen + minutes - young)
        return left
