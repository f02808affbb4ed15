"""Since when has each key come without a longer silence, and when did it come last? A row a key."""

from typing import Final

import polars as pl

__all__ = ["FORGET_MINUTES", "STRETCHES_SCHEMA", "Stretches"]

STRETCHES_SCHEMA: Final = pl.Schema(
    {"key": pl.String(), "first": pl.Int64(), "last": pl.Int64(), "changed": pl.Boolean()}
)
"""``changed``: since it was last saved."""

FORGET_MINUTES: Final = 7 * 1440
"""A key that was silent for so long is not waited for any more."""


class Stretches:
    """The keys that one rule follows."""

    def __init__(self, gap_minutes: int, rows: pl.DataFrame | None = None) -> None:
        """``gap_minutes``: a silence that ends a stretch; ``rows``: what was kept, ``STRETCHES_SCHEMA``."""
        self._gap = gap_minutes
        self.rows = STRETCHES_SCHEMA.to_frame() if rows is None else rows

    def see(self, minute: int, keys: pl.DataFrame) -> None:
        """Note that these keys came in a minute; one that was seen then or later says nothing new."""
        if keys.is_empty():
            return
        at = keys.select("key", pl.lit(minute, pl.Int64).alias("at"))
        anew = pl.col("last").is_null() | (pl.col("at") - pl.col("last") > self._gap)
        later = pl.col("last").is_null() | (pl.col("at") > pl.col("last"))
        joined = self.rows.join(at, on="key", how="full", coalesce=True)
        self.rows = joined.select(
            "key",
            pl.when(anew).then("at").otherwise("first").alias("first"),
            pl.max_horizontal("last", "at"),
            pl.coalesce(pl.col("changed") | later, "changed"),
        )

    def saved(self) -> None:
        """Call nothing changed any more."""
        self.rows = self.rows.with_columns(pl.lit(False).alias("changed"))

    def forget(self, minute: int) -> pl.DataFrame:
        """Drop, and give back, what was silent for too long by this minute."""
        old = pl.col("last") < minute - FORGET_MINUTES
        gone, self.rows = self.rows.filter(old), self.rows.filter(~old)
        return gone
