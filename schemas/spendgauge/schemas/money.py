"""How is money counted? As whole picodollars (1e-12 USD) inside, as exact decimals at every edge; never float."""

from decimal import ROUND_HALF_EVEN, Decimal, localcontext
from typing import Final

__all__ = ["PICODOLLARS_PER_USD", "picodollars", "usd", "usd_rounded", "usd_text"]

PICODOLLARS_PER_USD = 10**12

_CENT: Final = Decimal("0.01")


def picodollars(amount: Decimal) -> int:
    """Convert USD to picodollars.

    Raises ``ValueError`` where the amount is not finite or has more than twelve decimals: nothing is rounded
    in silence.
    """
    if not amount.is_finite():
        raise ValueError(f"{amount} is not an amount of money")
    with localcontext(prec=60):
        scaled = amount * PICODOLLARS_PER_USD
        if scaled != scaled.to_integral_value():
            raise ValueError(f"{amount} USD has more than twelve decimals")
        return int(scaled)


def usd(amount_picodollars: int) -> Decimal:
    """Convert picodollars to USD, exactly, with twelve decimals; nothing is a plain 0, for it would print as 0E-12."""
    if amount_picodollars == 0:
        return Decimal(0)
    with localcontext(prec=60):
        return Decimal(amount_picodollars).scaleb(-12)


def usd_text(amount_picodollars: int) -> str:
    """Write picodollars as a plain decimal string in USD with twelve decimals, as the JSON on the wire has it."""
    sign = "-" if amount_picodollars < 0 else ""
    whole, fraction = divmod(abs(amount_picodollars), PICODOLLARS_PER_USD)
    return f"{sign}{whole}.{fraction:012d}"


def usd_rounded(amount: Decimal) -> str:
    """Write USD for people: to the cent, half to even; what is less than a cent with two digits that say something."""
    with localcontext(prec=60):
        cents = amount.quantize(_CENT, ROUND_HALF_EVEN)
        if amount == 0 or abs(amount) >= _CENT:
            return f"{cents if cents else abs(cents):,f}"
        fine = round(amount, min(1 - amount.adjusted(), 12))
        return f"{fine:f}" if abs(fine) < _CENT else f"{cents:f}"
