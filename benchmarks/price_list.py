"""What does a token of each simulated model cost? A table as a loop by hand would have it, read from the price book.

Our worker, which asks the book itself, is held against what this table gives: it cannot be wrong unnoticed.
"""

from bisect import bisect_left
from typing import Final

from benchmarks.contestants.task import Prices, Tariff
from spendgauge.deploy.simulation.world import load_world
from spendgauge.schemas import SystemClock
from spendgauge.schemas.prices import Key, PriceBook, Quote

__all__ = ["price_list"]

_LARGEST: Final = 100_000_000
_PICODOLLARS_PER_TOKEN: Final = 10**6
"""Of one USD per million tokens."""


def price_list() -> Prices:
    """Quote each simulated model for small inputs and for large ones, and find where the large ones begin."""
    book, now_ms = PriceBook.load(), SystemClock().now_ms()
    keys = {Key(load.provider, load.model, load.service_tier) for load in load_world().workloads}
    return Prices({key: _tariff(book, key, now_ms) for key in keys})


def _tariff(book: PriceBook, key: Key, now_ms: int) -> Tariff:
    def quoted(size: int) -> Quote:
        return book.quote(key, at_ms=now_ms, input_tokens=size)

    small, large = quoted(0), quoted(_LARGEST)
    if large == small:
        return Tariff(0, _units(small), {})
    upto = bisect_left(range(_LARGEST), True, key=lambda size: quoted(size) != small) - 1
    return Tariff(upto, _units(small), _units(large))


def _units(quote: Quote) -> dict[str, int]:
    """Write a quote as picodollars per unit; what costs nothing is left out."""
    units = {leaf: int(usd * _PICODOLLARS_PER_TOKEN) for leaf, usd in quote.usd_per_mtok.items() if usd}
    if quote.usd_per_web_search:
        units["web_search_requests"] = int(quote.usd_per_web_search * 10**12)
    return units
