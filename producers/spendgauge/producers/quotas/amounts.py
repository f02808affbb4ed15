"""How much may a call cost, and how much has it cost? In picodollars and tokens, from what callers know."""

from collections.abc import Mapping, Sequence
from decimal import ROUND_CEILING, Decimal
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from spendgauge.schemas import LEAVES, UsageEvent
from spendgauge.schemas.money import PICODOLLARS_PER_USD, picodollars

__all__ = ["Money", "Usages", "cost_of", "picodollars_up"]

Money = Decimal | str | int
"""USD, exact: a decimal, its text, or whole dollars."""

Usages = Mapping[str, Any] | UsageEvent | Sequence[Mapping[str, Any] | UsageEvent]
"""What a call used: the fields of its event or of its events, as adapters give them."""

_TOKENS: Final = tuple(leaf for leaf in LEAVES if leaf.endswith("_tokens"))


@lru_cache(1024, typed=True)  # services estimate the same amounts again and again
def picodollars_up(amount: Money) -> int:
    """Convert USD to picodollars, rounded up.

    Raises ``TypeError`` for a float, and ``ValueError`` for what is below 0 or no number.
    """
    if amount == 0:
        return 0
    if isinstance(amount, float):
        raise TypeError(f"{amount!r} is a float, which is no exact amount; give a Decimal or text, such as '0.05'")
    try:
        whole = int((Decimal(amount) * PICODOLLARS_PER_USD).to_integral_value(ROUND_CEILING))
    except (ArithmeticError, ValueError):
        whole = -1
    if whole < 0:
        raise ValueError(f"{amount!r} is no amount in USD; give a Decimal or text of 0 or more, such as '0.05'")
    return whole


def cost_of(usage: Usages, prices: Path | None) -> tuple[int | None, int]:
    """Price what a call used; give picodollars (None: there is no price) and tokens.

    Raises ``InvalidEventError`` where it breaks a rule of ``UsageEvent``.
    """
    from spendgauge.producers.cost import calculate_cost  # reads the prices, which who only checks does not need

    cost = calculate_cost(None, usage, prices=prices).usd
    return None if cost is None else picodollars(cost), sum(_tokens(part) for part in _parts(usage))


def _parts(usage: Usages) -> list[Mapping[str, Any] | UsageEvent]:
    return [usage] if isinstance(usage, Mapping | UsageEvent) else list(usage)


def _tokens(usage: Mapping[str, Any] | UsageEvent) -> int:
    if isinstance(usage, UsageEvent):
        return sum(getattr(usage, leaf) for leaf in _TOKENS)
    return sum(usage.get(leaf) or 0 for leaf in _TOKENS)
