"""Is anything used that has no price? It is counted, and it is not zero: somebody must say what it costs."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Any, ClassVar

import polars as pl
from pydantic import Field

from spendgauge.streams.rules.rule import Line, Rule, Seen, in_words, level

__all__ = ["Unpriced"]


class Unpriced(Rule):
    """``warn`` and ``page`` are requests without a price in a window of ``minutes``. Built in."""

    kind: ClassVar[str] = "unpriced"

    series: Annotated[str, Field(min_length=1)] = "provider+model"
    warn: Line = Decimal(1)
    minutes: Annotated[int, Field(ge=1, le=60, strict=True)] = 15
    cooldown_minutes: Annotated[int, Field(ge=0, le=10_080, strict=True)] = 1440
    """A model that is used once an hour is said once a day."""

    @property
    def window_minutes(self) -> int:
        """As given."""
        return self.minutes

    def judge(self, seen: Seen) -> pl.DataFrame:
        """Count; what is priced meanwhile (a later edition of its lines) counts no more."""
        warn, page = self.lines
        return seen.window.select("key", "unpriced", level(pl.col("unpriced"), warn=warn, page=page))

    def say(self, who: str, row: Mapping[str, Any]) -> str:
        """Say what to do."""
        many = f"requests in {in_words(self.minutes)}: {row['unpriced']:,}"
        return (
            f"{who} has no price, so all amounts leave it out ({many}); add one to your price file, or update "
            "genai-prices."
        )

    def over(self, who: str) -> str:
        """Say what may have happened."""
        return f"{who}: no requests without a price any more; it has one by now, or is not used."
