"""What does usage cost? The price book: genai-prices compiled to columns, our additions, the user's own prices.

    units        a unit's price as an exact integer, and which price a leaf without one falls back to
    catalogue    what genai-prices says
    supplements  what it leaves out (data/supplements.toml)
    overrides    the user's file
    segments     where each price holds: time, time of day, input size
    columns      a whole frame at once
    book         the door

Needs the extra ``streams`` or ``sinks`` (Polars, genai-prices). See ``docs/prices.md``.
"""

from spendgauge.schemas.prices.book import PriceBook, Quote
from spendgauge.schemas.prices.segments import Key

__all__ = ["Key", "PriceBook", "Quote"]
