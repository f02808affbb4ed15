"""What has each key done in the last so many minutes? Sums that move on by a minute, and take back what changed.

A minute costs what its own keys cost, however long the window is: what it brings is added, what leaves is subtracted,
and a minute that lines came late for is replaced. All integers, so nothing drifts.
"""

from collections.abc import Mapping

import polars as pl

from spendgauge.streams.rules.minutes import SUMS, SUMS_SCHEMA

__all__ = ["Window"]


class Window:
    """The sums of the last ``minutes`` of the keys of one series."""

    def __init__(self, minutes: int) -> None:
        """Begin without any."""
        self._minutes = minutes
        self._told: dict[int, pl.DataFrame] = {}
        self.sums = SUMS_SCHEMA.to_frame()
        """``SUMS_SCHEMA``, in no order."""

    def advance(self, minute: int, changed: Mapping[int, pl.DataFrame]) -> None:
        """Move on to the window that ends with this minute; ``changed``: sums of minutes, new ones or others."""
        first = minute - self._minutes + 1
        gone = [self._told.pop(one) for one in [*self._told] if one < first]
        new = {one: sums for one, sums in changed.items() if first <= one <= minute}
        gone += [self._told.pop(one) for one in new if one in self._told]
        self._told |= new
        if new or gone:
            parts = [self.sums, *new.values(), *(part.with_columns(-pl.col(SUMS)) for part in gone)]
            summed = pl.concat(parts).group_by("key").agg(pl.col(SUMS).sum())
            self.sums = summed.filter(pl.any_horizontal(pl.col(SUMS) != 0))
