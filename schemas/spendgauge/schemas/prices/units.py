"""What does one unit of each leaf cost, as an exact integer?

Prices come as USD per million tokens or per thousand calls. Here they become whole **yoctodollars** (1e-24 USD) a
token or a call: the catalogue holds prices such as 0.041666666666666664 USD per million tokens, which is no whole
number of picodollars a token. An event is summed in yoctodollars and rounded once, half to even, to picodollars.

A leaf without a price of its own is charged at the next name of its chain, as genai-prices charges it: a provider
that publishes no price for cache reads charges them as input.
"""

from collections.abc import Mapping
from decimal import ROUND_HALF_EVEN, Decimal, localcontext
from typing import Final, NamedTuple

from spendgauge.schemas.events import LEAVES

__all__ = [
    "INPUT_LEAVES",
    "MAX_USD_PER_1000",
    "MAX_USD_PER_MTOK",
    "PRICE_CHAINS",
    "TOKEN_PRICES",
    "YOCTODOLLARS_PER_PICODOLLAR",
    "Prices",
    "Rates",
    "rates_of",
    "round_half_even",
]

YOCTODOLLARS_PER_PICODOLLAR: Final = 10**12

MAX_USD_PER_MTOK: Final = Decimal(1000)
MAX_USD_PER_1000: Final = Decimal(100)
"""Above these a price is not used (the event is unpriced): with them and MAX_TOKENS an event stays below 1e18
picodollars, so that sums of products fit a 64-bit integer."""

Prices = Mapping[str, Decimal]
"""Price name to USD: per million tokens, or per thousand for ``web_search`` and ``request``."""

PRICE_CHAINS: Final[Mapping[str, tuple[str, ...]]] = {
    "input_tokens": ("input",),
    "cache_read_tokens": ("cache_read", "input"),
    "cache_write_5m_tokens": ("cache_write_5m", "cache_write", "input"),
    "cache_write_1h_tokens": ("cache_write_1h", "cache_write", "input"),
    "output_tokens": ("output",),
    "input_audio_tokens": ("input_audio", "input"),
    "output_audio_tokens": ("output_audio", "output"),
    "web_search_requests": ("web_search",),
}
"""Which prices a leaf can be charged at, most specific first."""

INPUT_LEAVES: Final = tuple(leaf for leaf in LEAVES if leaf.startswith(("input_", "cache_")))
"""Their sum chooses the long-context tier."""

_PER_1000: Final = ("web_search", "request")
TOKEN_PRICES: Final = (
    *dict.fromkeys(name for chain in PRICE_CHAINS.values() for name in chain if name not in _PER_1000),
    "reasoning",
)
_OUTPUT_LEAVES: Final = ("output_tokens", "output_audio_tokens")


class Rates(NamedTuple):
    """Yoctodollars a unit; in ``leaves`` (ordered as LEAVES) None is: no price is known for this leaf."""

    leaves: tuple[int | None, ...]
    reasoning: int
    """What a reasoning token costs more (or less) than the output token that it already counts as."""
    request: int
    """What the request itself costs, whatever it used."""


def rates_of(prices: Prices) -> Rates | None:
    """Compile prices; None where one is too high to be counted safely.

    Output that has no price although input has one is free: that is how genai-prices writes models billed by their
    input alone (embeddings, classifiers). A web search without a price is not free but unknown.
    """
    if any(usd > (MAX_USD_PER_1000 if name in _PER_1000 else MAX_USD_PER_MTOK) for name, usd in prices.items()):
        return None
    leaves = tuple(_leaf_rate(leaf, prices) for leaf in LEAVES)
    reasoning = 0
    if "reasoning" in prices:
        reasoning = _yoctodollars("reasoning", prices["reasoning"]) - (leaves[LEAVES.index("output_tokens")] or 0)
    return Rates(leaves, reasoning, _yoctodollars("request", prices.get("request", Decimal(0))))


def _leaf_rate(leaf: str, prices: Prices) -> int | None:
    for name in PRICE_CHAINS[leaf]:
        if name in prices:
            return _yoctodollars(name, prices[name])
    return 0 if leaf in _OUTPUT_LEAVES and "input" in prices else None


def _yoctodollars(name: str, usd: Decimal) -> int:
    """Convert exactly; only below 1e-24 USD a unit (a discount on an odd price) is anything rounded, half to even."""
    with localcontext(prec=60):
        return int(usd.scaleb(21 if name in _PER_1000 else 18).to_integral_value(ROUND_HALF_EVEN))


def round_half_even(yoctodollars: int) -> int:
    """Round a sum to whole picodollars, half to even, the same way on both sides of zero."""
    whole, rest = divmod(yoctodollars, YOCTODOLLARS_PER_PICODOLLAR)
    twice = 2 * rest
    return whole + (twice > YOCTODOLLARS_PER_PICODOLLAR or (twice == YOCTODOLLARS_PER_PICODOLLAR and whole % 2))
