"""What does a whole frame of usage cost? To the last digit what its events cost one by one."""

from threading import Lock

import polars as pl

from spendgauge.schemas.prices.billables import Key
from spendgauge.schemas.prices.columns import KEY_COLUMNS, PriceTable
from spendgauge.schemas.prices.segments import PriceSources
from spendgauge.schemas.prices.tariff import MAX_KEYS, Tariff

__all__ = ["PriceBook"]


class PriceBook(Tariff):
    """A tariff that prices frames as well."""

    def __init__(self, sources: PriceSources) -> None:
        super().__init__(sources)
        self._filling = Lock()
        self._in_table: set[Key] = set()
        self._table = PriceTable.empty()  # replaced, never changed: it is read without a lock

    def price(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Add ``cost_picodollars`` (Int64; null: unpriced) and ``price_version`` ("": unpriced) to a frame of events.

        Rows and their order stay as they are; columns of these names are replaced.
        """
        priced = self._table.priced(frame)
        if priced is None:
            keys = [Key(*row) for row in frame.select(KEY_COLUMNS).unique().rows()]
            priced = self._table_with(keys).priced(frame)
        if priced is None:
            raise AssertionError("a key that was just compiled is not in the price table")
        return priced

    def _table_with(self, keys: list[Key]) -> PriceTable:
        """Write keys that are new into the table; start over where there are too many."""
        with self._filling:
            if len(self._in_table) + len(keys) > MAX_KEYS:
                self._in_table, self._table = set(), PriceTable.empty()
            new = [key for key in keys if key not in self._in_table]
            segments = self.segments(new)
            self._table = self._table.extended({key: segments[key] for key in new})
            self._in_table.update(new)
            return self._table
