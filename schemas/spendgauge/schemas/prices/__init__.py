"""What does usage cost? genai-prices, our additions to it, the user's own prices; one event at a time or a frame.

    units        a unit's price as an exact integer, and which price a leaf without one falls back to
    billables    what of an event decides its price, and the sum
    catalogue    what genai-prices says
    supplements  what it leaves out (data/supplements.toml)
    overrides    the user's file
    segments     where each price holds: time, time of day, input size
    tariff       one event at a time: plain Python, for every service
    columns      a whole frame at once: Polars, and
    summing      a compiled pass over its numbers
    book         the door to both

``PriceBook`` needs the extra ``streams`` or ``sinks`` (Polars, Numba). See ``docs/prices.md``.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from spendgauge.schemas.prices.billables import Billable, Key
    from spendgauge.schemas.prices.book import PriceBook
    from spendgauge.schemas.prices.tariff import Quote, Tariff

__all__ = ["Billable", "Key", "PriceBook", "Quote", "Tariff"]

_HOMES: Final = {
    "Billable": "billables",
    "Key": "billables",
    "PriceBook": "book",
    "Quote": "tariff",
    "Tariff": "tariff",
}


def __getattr__(name: str) -> Any:
    """Import a name when it is asked for: a service that only counts needs neither Polars nor a price file's models."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
