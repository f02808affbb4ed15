"""What is on ``cost.rates``?

A **contribution** is what one block of one partition has added so far to one pane of one series. It is
cumulative: a later version (a higher last offset) replaces an earlier one, and a later edition (another price book) any
version of an earlier one. A series' total in a pane is the sum
over (stream, partition, block) of the highest (edition, version); merging that way is idempotent, commutative and
associative, so replays, zombies and reordering cannot change a total.
"""

from dataclasses import dataclass
from typing import Annotated, Final, Self

from pydantic import Field, model_validator

from spendgauge.schemas.events import LEAVES
from spendgauge.schemas.fields import Total, UsdText
from spendgauge.schemas.positions import MAX_EDITION
from spendgauge.schemas.wire import WireModel

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


_Sum = Annotated[Total, Field(description="As in a usage event, summed.")]


class RateContribution(WireModel):
    """One line of ``cost.rates``: cumulative totals of one key, in one pane, from one block of one partition."""

    series: str = Field(min_length=1, description="The dimensions joined by +, or total.")
    key: tuple[str, ...] = Field(
        max_length=16,
        description="The dimensions' values in the same order; empty string: not given. Empty for total.",
    )
    pane_start: Total = Field(
        description="Seconds since 1970 UTC, a multiple of pane_seconds; the pane is "
        "[pane_start, pane_start + pane_seconds)."
    )
    pane_seconds: int = Field(gt=0, le=31 * 86_400, description="How long the pane is.")
    stream: str = Field(
        min_length=1,
        description="Topic id and block size: what offsets mean. A recreated topic is another stream.",
    )
    partition: int = Field(ge=0, le=2**31 - 1, description="Of usage.events.")
    block: int = Field(ge=0, le=2**63 - 1, description="offset // block size")
    edition: int = Field(
        ge=0,
        le=MAX_EDITION,
        description="How often this partition's price book changed. All of a block is priced again in a new edition, "
        "which wins over any version of an older one.",
    )
    version: int = Field(
        ge=0,
        le=2**48 - 1,
        description="The last offset included; the highest (edition, version) wins, in this order.",
    )
    requests: int = Field(ge=0, le=2**63 - 1, description="Usage events; an adjustment is none.")
    errors: int = Field(ge=0, le=2**63 - 1, description="Usage events whose status is error.")
    unpriced: int = Field(
        ge=0,
        le=2**63 - 1,
        description="Events of models without a known price: counted, and never priced at zero in silence.",
    )
    input_tokens: _Sum
    cache_read_tokens: _Sum
    cache_write_5m_tokens: _Sum
    cache_write_1h_tokens: _Sum
    output_tokens: _Sum
    input_audio_tokens: _Sum
    output_audio_tokens: _Sum
    web_search_requests: _Sum
    reasoning_tokens: Total = Field(description="Of which output_tokens; in no other sum.")
    cost_usd: UsdText = Field(description="Exact decimal string, of the priced events.")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        dimensions = 0 if self.series == "total" else self.series.count("+") + 1
        if len(self.key) != dimensions:
            raise ValueError(f"key {self.key} must have {dimensions} values, one for each dimension of {self.series}")
        if self.pane_start % self.pane_seconds:
            raise ValueError(f"pane_start {self.pane_start} must be a multiple of pane_seconds {self.pane_seconds}")
        return self
