"""Into which pane [start, end) does an event fall? Event time decides; a start is a multiple of the pane's length."""

import polars as pl

__all__ = ["pane_start"]


def pane_start(pane_seconds: int) -> pl.Expr:
    """Build the start of each event's pane, in seconds since 1970 UTC, from the column ``occurred_at_ms``."""
    return pl.col("occurred_at_ms") // (pane_seconds * 1000) * pane_seconds
