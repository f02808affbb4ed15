"""What is on ``cost.alerts``?

One line for each step of an alert's life: raised, escalated, resolved. The id is a function of rule, key and
onset, so a replay says the same thing again instead of a new one.
"""

from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from spendgauge.schemas.rates import UsdText

__all__ = ["ALERTS_SCHEMA", "Alert", "Contributor"]

ALERTS_SCHEMA: Final = "spendgauge.alerts/1"


class Contributor(BaseModel):
    """One of the keys that the excess came from."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    series: str
    key: tuple[str, ...]
    excess_usd: UsdText


class Alert(BaseModel):
    """One step in the life of one alert."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    alert_id: str = Field(description="A function of rule, series, key and onset.")
    incident_id: str = Field(description="The alert_id of the firing parent it joined, or its own.")
    rule: str
    state: Literal["raised", "escalated", "resolved"]
    severity: Literal["info", "warn", "page"]
    series: str
    key: tuple[str, ...]
    onset: int = Field(description="The minute it began, seconds since 1970 UTC, event time.")
    evaluated_at: int = Field(
        description="The end of the pane that decided this step, seconds since 1970 UTC, event time."
    )
    window_seconds: Annotated[int, Field(gt=0)]
    usual_usd: UsdText = Field(description="What this key usually costs in a window.")
    seen_usd: UsdText = Field(description="What it cost in this window.")
    excess_usd: UsdText
    excess_usd_per_hour: UsdText
    since_onset_usd: UsdText
    driver: Literal["requests", "size", "both", "none"] = Field(
        description="Whether more requests or larger ones raised the cost."
    )
    contributors: Annotated[tuple[Contributor, ...], Field(max_length=3)]
    message: str = Field(description="One sentence for a person.")
