"""What is on ``cost.rates``?

A **contribution** is what one block of one partition has added so far to one pane of one series. It is
cumulative: a later version (a higher last offset) replaces an earlier one. A series' total in a pane is the sum
over (stream, partition, block) of the highest version; merging that way is idempotent, commutative and
associative, so replays, zombies and reordering cannot change a total.
"""

from dataclasses import dataclass
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field

from spendgauge.schemas.events import LEAVES

__all__ = ["DEFAULT_SERIES", "MEASURES", "RATES_SCHEMA", "RateContribution", "SeriesSpec"]

RATES_SCHEMA: Final = "spendgauge.rates/1"

MEASURES: Final = ("requests", "errors", "unpriced", *LEAVES, "reasoning_tokens", "cost_picodollars")
"""What is summed for each key, in this order, all integers."""


@dataclass(frozen=True)
class SeriesSpec:
    """Which dimensions a series groups by, and how long its panes are.

    A pane is the event-time interval [start, start + pane_seconds), start a multiple of pane_seconds since 1970 UTC.
    """

    dimensions: tuple[str, ...]
    pane_seconds: int

    @property
    def name(self) -> str:
        """``total`` for no dimension, else the dimensions joined by ``+``."""
        return "+".join(self.dimensions) or "total"


DEFAULT_SERIES: Final = (
    SeriesSpec((), 10),
    SeriesSpec(("environment",), 10),
    SeriesSpec(("tenant",), 10),
    SeriesSpec(("team",), 10),
    SeriesSpec(("provider", "model"), 10),
    SeriesSpec(("service",), 10),
    SeriesSpec(("feature",), 10),
    SeriesSpec(("agent",), 10),
    SeriesSpec(("feature", "model"), 10),
    SeriesSpec(("user_id",), 60),
    SeriesSpec(("session_id",), 60),
    SeriesSpec(("api_key_id",), 60),
)

UsdText = Annotated[str, Field(pattern=r"^-?\d+\.\d{12}$")]


class RateContribution(BaseModel):
    """One line of ``cost.rates``: cumulative totals of one key, in one pane, from one block of one partition."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    series: str = Field(description="The dimensions joined by +, or total.")
    key: tuple[str, ...] = Field(description="The dimensions' values in the same order; empty string: not given.")
    pane_start: int = Field(description="Seconds since 1970 UTC; the pane is [pane_start, pane_start + pane_seconds).")
    pane_seconds: Annotated[int, Field(gt=0)]
    stream: str = Field(description="Topic id and block size: what offsets mean. A recreated topic is another stream.")
    partition: Annotated[int, Field(ge=0)]
    block: Annotated[int, Field(ge=0)] = Field(description="offset // block size")
    version: Annotated[int, Field(ge=0)] = Field(description="The last offset included; the highest version wins.")
    requests: int
    errors: int
    unpriced: int = Field(
        description="Requests of models without a known price: counted, and never priced at zero in silence."
    )
    input_tokens: int
    cache_read_tokens: int
    cache_write_5m_tokens: int
    cache_write_1h_tokens: int
    output_tokens: int
    input_audio_tokens: int
    output_audio_tokens: int
    web_search_requests: int
    reasoning_tokens: int
    cost_usd: UsdText = Field(description="Exact decimal string, of the priced requests.")
