"""Money is exact in every direction."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spendgauge.schemas.money import PICODOLLARS_PER_USD, picodollars, usd, usd_rounded, usd_text

amounts = st.integers(-(10**30), 10**30)


@given(amounts)
def test_an_amount_survives_every_form(amount: int) -> None:
    """Picodollars to USD, to text and back are the same amount, to the last digit."""
    assert picodollars(usd(amount)) == amount
    assert picodollars(Decimal(usd_text(amount))) == amount


@given(amounts, amounts)
def test_sums_of_usd_are_usd_of_sums(one: int, other: int) -> None:
    """Adding before or after the conversion makes no difference."""
    assert picodollars(usd(one)) + picodollars(usd(other)) == picodollars(usd(one + other))


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        (0, "0.000000000000"),
        (1, "0.000000000001"),
        (-1, "-0.000000000001"),
        (PICODOLLARS_PER_USD, "1.000000000000"),
        (-12_345_000_000_000_000, "-12345.000000000000"),
        (2**63 - 1, "9223372.036854775807"),
    ],
)
def test_text_has_twelve_decimals(amount: int, text: str) -> None:
    """An amount is written as a plain decimal with twelve decimals, never with an exponent."""
    assert usd_text(amount) == text
    assert f"{usd(amount):f}" == (text if amount else "0")


def test_nothing_prints_as_nothing() -> None:
    """What is printed of no money is 0, not Decimal's 0E-12."""
    assert (str(usd(0)), repr(usd(0))) == ("0", "Decimal('0')")


@pytest.mark.parametrize(
    ("amount", "said"),
    [
        ("0", "0.00"),
        ("-0.000000000000", "0.00"),
        ("1234567.891", "1,234,567.89"),
        ("0.125", "0.12"),
        ("-2.345000000001", "-2.35"),
        ("0.010000000000", "0.01"),
        ("0.009960000000", "0.01"),
        ("0.0024", "0.0024"),
        ("-0.000024499999", "-0.000024"),
        ("0.000000000001", "0.000000000001"),
        ("12345678901234567890123456.000000000001", "12,345,678,901,234,567,890,123,456.00"),
    ],
)
def test_people_read_cents_and_small_amounts_are_not_nothing(amount: str, said: str) -> None:
    """Two places, half to even, with separators; of less than a cent two digits, never 0.00."""
    assert usd_rounded(Decimal(amount)) == said


@pytest.mark.parametrize(
    ("amount", "fault"),
    [
        ("1E-13", "^1E-13 USD has more than twelve decimals$"),
        ("0.1234567890123", r"^0\.1234567890123 USD has more than twelve decimals$"),
        ("NaN", "^NaN is not an amount of money$"),
        ("-Infinity", "^-Infinity is not an amount of money$"),
    ],
)
def test_nothing_is_rounded_in_silence(amount: str, fault: str) -> None:
    """More than twelve decimals, or no number at all, is an error that names the amount."""
    with pytest.raises(ValueError, match=fault):
        picodollars(Decimal(amount))
