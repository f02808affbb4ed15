"""Is the age of the price data read from what it says?"""

from datetime import date

from spendgauge.schemas.prices.freshness import newest_date, price_data


def test_the_newest_date_up_to_the_installation_counts() -> None:
    """Prices that begin later were planned; what is no day of the calendar, or part of a name, is none."""
    text = "start_date=datetime.date(2026, 9, 1) checked 2026-10-14, ends 2027-01-01, 2026-13-40, model-2026-10-20x"
    assert newest_date(text, until=date(2026, 11, 22)) == date(2026, 10, 14)
    assert newest_date(text, until=date(2026, 10, 1)) == date(2026, 9, 1)
    assert newest_date("no date", until=date(2026, 11, 22)) is None


def test_the_installed_data_has_a_date() -> None:
    """The version that is installed names days of 2026 or later, none of them after its installation."""
    found = price_data()
    assert found is not None
    assert found.version.startswith("genai-prices ")
    assert found.newest >= date(2026, 1, 1)
