"""How is money counted? As whole picodollars (1e-12 USD) inside, as exact decimals at every edge; never float."""

from decimal import Decimal, localcontext

__all__ = ["PICODOLLARS_PER_USD", "picodollars", "usd", "usd_text"]

PICODOLLARS_PER_USD = 10**12


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
    """Convert picodollars to USD, exactly, with twelve decimals."""
    with localcontext(prec=60):
        return Decimal(amount_picodollars).scaleb(-12)


def usd_text(amount_picodollars: int) -> str:
    """Write picodollars as a plain decimal string in USD with twelve decimals, as the JSON on the wire has it."""
    sign = "-" if amount_picodollars < 0 else ""
    whole, fraction = divmod(abs(amount_picodollars), PICODOLLARS_PER_USD)
    return f"{sign}{whole}.{fraction:012d}"
