"""Do too many requests fail? The share of errors in some minutes, of enough requests to say so."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Final, Self

import polars as pl
from pydantic import Field, model_validator

from spendgauge.streams.rules.rule import Count, Rule, Seen, in_words, level

__all__ = ["ErrorRate"]

_ALL: Final = 100


class ErrorRate(Rule):
    """``warn`` and ``page`` are per cent of the requests in a window of ``minutes``."""

    kind: ClassVar[str] = "error_rate"

    minutes: Annotated[int, Field(ge=1, le=60, strict=True)] = 5
    requests: Count = 50
    """Of fewer than so many in the window nothing is said."""
    for_minutes: Annotated[int, Field(ge=1, le=60, strict=True)] = 2

    @property
    def window_minutes(self) -> int:
        """As given."""
        return self.minutes

    @model_validator(mode="after")
    def _bounded(self) -> Self:
        if any(line is not None and line > _ALL for line in (self.warn, self.page)):
            raise ValueError(f"a share of more than {_ALL} per cent is never reached; write fewer")
        return self

    @property
    def places(self) -> int:
        """A hundredth of a per cent."""
        return 2

    def judge(self, seen: Seen) -> pl.DataFrame:
        """Compare the share of errors, where there are enough requests; where there are none, it is calm."""
        warn, page = (None if line is None else line * pl.col("requests") for line in self.lines)
        enough = seen.window.filter(pl.col("requests") >= self.requests)
        return enough.select("key", "requests", "errors", level(pl.col("errors") * 10_000, warn=warn, page=page))

    def say(self, who: str, row: Mapping[str, Any]) -> str:
        """Name the share and the line."""
        share = f"{100 * row['errors'] / row['requests']:.1f} %"
        return (
            f"{who}: {row['errors']:,} of {row['requests']:,} requests ({share}) in {in_words(self.minutes)} failed; "
            f"the line is {self.crossed(row):f} %."
        )
