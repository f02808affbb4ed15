"""How old is the price data? genai-prices does not say, so the newest date that its data names stands for it.

Prices begin on dates, and comments say when they were checked. Dates after the installation are plans, no sign of age.
"""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime
from importlib.metadata import version
from importlib.resources import as_file, files
from typing import Final

__all__ = ["PriceData", "newest_date", "price_data"]

_DATE: Final = re.compile(r"\b(20\d\d)-(\d\d)-(\d\d)\b|\bdate\((20\d\d), (\d\d?), (\d\d?)\)")


@dataclass(frozen=True)
class PriceData:
    """Which price data this is."""

    version: str
    newest: date
    """The newest day that it knows of."""


def price_data() -> PriceData | None:
    """Look at the installed data (20 ms); None where it does not tell."""
    with as_file(files("genai_prices") / "data.py") as path:
        installed = datetime.fromtimestamp(path.stat().st_mtime, UTC).date()
        newest = newest_date(path.read_text(encoding="utf-8"), until=installed)
    return None if newest is None else PriceData(f"genai-prices {version('genai-prices')}", newest)


def newest_date(text: str, *, until: date) -> date | None:
    """Find the newest date that a text names, up to a day; None: it names none."""
    found = {tuple(map(int, filter(None, match))) for match in _DATE.findall(text)}
    days = [day for day in map(_day, found) if day is not None and day <= until]
    return max(days, default=None)


def _day(parts: tuple[int, ...]) -> date | None:
    try:
        return date(*parts)
    except ValueError:
        return None
