"""Is it more than an absolute amount in some minutes? USD, requests, tokens or errors."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Final, Literal, Self

import polars as pl
from pydantic import Field, model_validator

from spendgauge.schemas.money import usd, usd_rounded
from spendgauge.streams.rules.rule import Rule, Seen, in_words, level

__all__ = ["Threshold"]

_MOST_USD: Final = 1_000_000
_COLUMNS: Final = {"usd": "cost_picodollars", "requests": "requests", "tokens": "tokens", "errors": "errors"}


class Threshold(Rule):
    """``warn`` and ``page`` are amounts in a window of ``minutes``."""

    kind: ClassVar[str] = "threshold"

    measure: Literal["usd", "requests", "tokens", "errors"] = "usd"
    minutes: Annotated[int, Field(ge=1, le=60, strict=True)] = 60

    @property
    def window_minutes(self) -> int:
        """As given."""
        return self.minutes

    @property
    def places(self) -> int:
        """Of money a picodollar."""
        return 12 if self.measure == "usd" else 0

    @model_validator(mode="after")
    def _bounded(self) -> Self:
        if self.measure == "usd" and any(line is not None and line > _MOST_USD for line in (self.warn, self.page)):
            raise ValueError(f"no window is counted beyond some millions; write at most {_MOST_USD:,} USD")
        return self

    def judge(self, seen: Seen) -> pl.DataFrame:
        """Compare each key's sum with the lines."""
        warn, page = self.lines
        value = pl.col(_COLUMNS[self.measure])
        columns = [value.alias("value"), level(value, warn=warn, page=page)]
        if self.measure == "usd":
            usual = pl.lit(page if warn is None else warn, pl.Int64)
            columns += [value.alias("seen_picodollars"), usual.alias("usual_picodollars")]
        return seen.window.select("key", *columns)

    def say(self, who: str, row: Mapping[str, Any]) -> str:
        """Name the amount and the line."""
        amount = (
            f"{usd_rounded(usd(row['value']))} USD" if self.measure == "usd" else f"{row['value']:,} {self.measure}"
        )
        unit = " USD" if self.measure == "usd" else ""
        return f"{who}: {amount} in {in_words(self.minutes)}; the line is {self.crossed(row):,f}{unit}."
