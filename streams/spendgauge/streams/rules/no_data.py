"""Has something stopped that always came? Silence, measured against what the key itself did before."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Final, Self

import polars as pl
from pydantic import Field, model_validator

from spendgauge.streams.rules.rule import NEAR, WARN, Rule, Seen, in_words, level

__all__ = ["NoData"]

_DAY: Final = 1440


class NoData(Rule):
    """``warn`` and ``page`` are minutes without any request of a key that came regularly.

    Regularly: for ``active_minutes`` it was never silent for as long as the lowest line. A silence that is older than a
    day when it is first looked at is not told: the key is not used any more, or the worker was away.
    """

    kind: ClassVar[str] = "no_data"

    active_minutes: Annotated[int, Field(ge=1, le=10_080, strict=True)] = 60
    resolve_minutes: Annotated[int, Field(ge=1, le=1440, strict=True)] = 1

    @property
    def gap_minutes(self) -> int:
        """The lowest line."""
        warn, page = self.lines
        return warn or page or 0

    @property
    def again_minutes(self) -> int:
        """No silence that is told is older."""
        return 2 * _DAY

    def judge(self, seen: Seen) -> pl.DataFrame:
        """Measure each key's silence; while somebody is catching up nothing is raised and nothing is over."""
        warn, page = self.lines
        silent, regular = pl.col("silent"), pl.col("last") - pl.col("first") >= self.active_minutes
        known = seen.stretches.with_columns((seen.minute - pl.col("last")).alias("silent"))
        told = pl.lit(seen.current) & regular & (silent <= self.gap_minutes + _DAY)
        high = level(silent, warn=warn, page=page)
        return known.select(
            "key",
            "silent",
            (pl.col("last") + 1).alias("onset"),
            pl.when(told | (high < WARN)).then(high).otherwise(NEAR).alias("level"),
        )

    def say(self, who: str, row: Mapping[str, Any]) -> str:
        """Say for how long, and where to look."""
        return f"{who}: no requests for {in_words(row['silent'])}; they had come regularly."

    def over(self, who: str) -> str:
        """Say that it is back."""
        return f"{who}: requests have come again, or none for so long that nobody waits for them."

    @model_validator(mode="after")
    def _bounded(self) -> Self:
        if any(line is not None and line > _DAY for line in (self.warn, self.page)):
            raise ValueError(f"a silence of more than {_DAY} minutes (a day) is not looked for; write fewer minutes")
        return self
