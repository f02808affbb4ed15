"""Is the price data too old to be believed? Days since the newest date that it knows."""

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, ClassVar, Final

import polars as pl

from spendgauge.streams.rules.rule import LEVELS_SCHEMA, Line, Rule, Seen, level

__all__ = ["PriceAge"]

_DAY: Final = 1440


class PriceAge(Rule):
    """``warn`` and ``page`` are days. Built in; said by who has partition 0, and so once."""

    kind: ClassVar[str] = "price_age"
    deployment_wide: ClassVar[bool] = True

    warn: Line = Decimal(60)

    @property
    def again_minutes(self) -> int:
        """Data that nobody updates keeps its date: ten years are for ever."""
        return 3660 * _DAY

    def judge(self, seen: Seen) -> pl.DataFrame:
        """Compare the price data's date with the minute's."""
        if seen.partition or seen.prices is None:
            return LEVELS_SCHEMA.to_frame()
        warn, page = self.lines
        newest = int(datetime.combine(seen.prices.newest, datetime.min.time(), UTC).timestamp()) // 60
        onset = newest + (warn or page or 0) * _DAY
        if seen.minute < onset:
            return LEVELS_SCHEMA.to_frame()
        row = {"key": "[]", "days": (seen.minute - newest) // _DAY, "version": seen.prices.version, "onset": onset}
        known = pl.DataFrame([row | {"newest": f"{seen.prices.newest:%Y-%m-%d}"}])
        return known.with_columns(level(pl.col("days"), warn=warn, page=page))

    def say(self, _who: str, row: Mapping[str, Any]) -> str:
        """Say how old, and what to do."""
        return (
            f"The newest date that the price data ({row['version']}) knows is {row['newest']}, {row['days']} days ago; "
            "new models and prices are missing: update genai-prices, and start the workers again."
        )

    def over(self, _who: str) -> str:
        """Say that it was updated."""
        return "The price data has been updated."
