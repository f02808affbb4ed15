"""How much may a call cost, how much has it cost, how long may it take? In whole numbers, from what callers know."""

from collections.abc import Mapping, Sequence
from decimal import ROUND_CEILING, Context, Decimal, localcontext
from functools import lru_cache
from operator import index
from pathlib import Path
from typing import Any, Final

from spendgauge.schemas import LEAVES, UsageEvent
from spendgauge.schemas.money import PICODOLLARS_PER_USD, picodollars

__all__ = ["Money", "Usages", "cost_of", "milliseconds", "picodollars_up", "whole_tokens"]

Money = Decimal | str | int
"""USD, exact: a decimal, its text, or whole dollars."""

Usages = Mapping[str, Any] | UsageEvent | Sequence[Mapping[str, Any] | UsageEvent]
"""What a call used: the fields of its event or of its events, as adapters give them."""

_MOST_SECONDS: Final = 86_400
_MOST_USD: Final = 10**9
_MOST_TOKENS: Final = 10**15
"""No quota has a higher limit."""

_EXACT: Final = Context(prec=60)
"""Whatever the service has its own decimals rounded to."""

_TOKENS: Final = tuple(leaf for leaf in LEAVES if leaf.endswith("_tokens"))


def picodollars_up(amount: Money) -> int:
    """Convert USD to picodollars, rounded up.

    Raises ``TypeError`` for a float, and ``ValueError`` for what is below 0, above a billion or no number.
    """
    try:
        return _known(amount)
    except TypeError:  # what has no hash has no place among what is known
        return _picodollars_up(amount)


def _picodollars_up(amount: Money) -> int:
    if isinstance(amount, float):
        raise TypeError(f"{amount!r} is a float, which is no exact amount; give a Decimal or text, such as '0.05'")
    if isinstance(amount, bool) or not isinstance(amount, Decimal | str | int):
        raise TypeError(f"a {type(amount).__name__} is no amount in USD; give a Decimal or text, such as '0.05'")
    with localcontext(_EXACT):
        try:
            usd = Decimal(amount)
            fits = 0 <= usd <= _MOST_USD
        except ArithmeticError:
            fits = False
        if not fits:
            raise ValueError(
                f"{_shown(amount)} is no amount in USD; give a Decimal or text from 0 to a billion, such as '0.05'"
            )
        return int((usd * PICODOLLARS_PER_USD).to_integral_value(ROUND_CEILING))


_known: Final = lru_cache(1024, typed=True)(_picodollars_up)
"""Services estimate the same amounts again and again."""


def whole_tokens(tokens: int) -> int:
    """Check a number of tokens. Raises ``TypeError`` for what is no integer, ``ValueError`` below 0 and above 1e15."""
    if type(tokens) is not int:
        if isinstance(tokens, bool) or not hasattr(tokens, "__index__"):
            raise TypeError(f"{tokens!r} is no whole number of tokens; give an integer of 0 or more")
        tokens = index(tokens)
    if not 0 <= tokens <= _MOST_TOKENS:
        raise ValueError(f"{_shown(tokens)} is no number of tokens; give 0 or more, at most {_MOST_TOKENS}")
    return tokens


def milliseconds(seconds: float) -> int:
    """Convert how long a call may take. Raises ``ValueError`` for what is not within a day, ``TypeError`` for text."""
    if not 0 <= seconds <= _MOST_SECONDS:
        raise ValueError(f"{seconds} is no time that a call may take; give 0 to {_MOST_SECONDS} seconds")
    return round(seconds * 1000)


def cost_of(usage: Usages, prices: Path | None) -> tuple[int | None, int]:
    """Price what a call used; give picodollars (None: there is no price) and tokens.

    Raises ``InvalidEventError`` where it breaks a rule of ``UsageEvent``.
    """
    from spendgauge.producers.cost import calculate_cost  # reads the prices, which who only checks does not need

    cost = calculate_cost(None, usage, prices=prices).usd
    return None if cost is None else picodollars(cost), sum(_tokens(part) for part in _parts(usage))


def _shown(amount: Money) -> str:
    """Show what was given, cut short; an integer of thousands of digits has no ``repr``."""
    text = str(Decimal(amount)) if isinstance(amount, int) else repr(amount)
    return text if len(text) <= 48 else f"{text[:45]}..."


def _parts(usage: Usages) -> list[Mapping[str, Any] | UsageEvent]:
    return [usage] if isinstance(usage, Mapping | UsageEvent) else list(usage)


def _tokens(usage: Mapping[str, Any] | UsageEvent) -> int:
    if isinstance(usage, UsageEvent):
        return sum(getattr(usage, leaf) for leaf in _TOKENS)
    return sum(usage.get(leaf) or 0 for leaf in _TOKENS)
