"""What is on ``cost.alerts``?

One line for each step of an alert's life: raised, escalated, resolved. The id is a function of rule, key and
onset, so a replay says the same thing again instead of a new one.
"""

from typing import Final, Literal, TypedDict

from pydantic import Field

from spendgauge.schemas.fields import Total, UsdText
from spendgauge.schemas.money import usd_text
from spendgauge.schemas.wire import WireModel

__all__ = ["ALERTS_SCHEMA", "NO_AMOUNTS", "SEVERITIES", "Alert", "Contributor", "SentSeverity", "Severity"]

ALERTS_SCHEMA: Final = "spendgauge.alerts/1"

Severity = Literal["info", "warn", "page"]

SentSeverity = Literal["warn", "page"]
"""Of what people are sent; ``info`` is only stored."""

SEVERITIES: Final[tuple[Severity, ...]] = ("info", "warn", "page")
"""The graver the later."""


class Contributor(WireModel):
    """One of the keys that the excess came from."""

    series: str = Field(min_length=1, description="As in a contribution.")
    key: tuple[str, ...] = Field(max_length=16, description="As in a contribution.")
    excess_usd: UsdText = Field(description="What it cost above what it usually costs, in the alert's window.")


class Alert(WireModel):
    """One step in the life of one alert.

    A rule that is not about an amount (a gap in a source's events, a model without a price) writes
    ``0.000000000000`` for the amounts and ``none`` for the driver.
    """

    alert_id: str = Field(min_length=1, description="A function of rule, series, key and onset.")
    incident_id: str = Field(min_length=1, description="The alert_id of the firing parent it joined, or its own.")
    rule: str = Field(min_length=1, description="The rule that fired, such as spike, budget, gap, unpriced.")
    state: Literal["raised", "escalated", "resolved"] = Field(description="Which step this is.")
    severity: Severity = Field(description="Whether to note it, look at it today, or now.")
    series: str = Field(min_length=1, description="As in a contribution.")
    key: tuple[str, ...] = Field(max_length=16, description="As in a contribution.")
    onset: Total = Field(description="The start of the minute it began in, seconds since 1970 UTC, event time.")
    evaluated_at: Total = Field(
        description="The end of the pane that decided this step, seconds since 1970 UTC, event time."
    )
    window_seconds: int = Field(gt=0, le=367 * 86_400, description="How long the window is that ends at evaluated_at.")
    usual_usd: UsdText = Field(description="What this key usually costs in a window.")
    seen_usd: UsdText = Field(description="What it cost in this window.")
    excess_usd: UsdText = Field(description="seen_usd - usual_usd")
    excess_usd_per_hour: UsdText = Field(description="The excess as a rate.")
    since_onset_usd: UsdText = Field(description="The excess since onset.")
    driver: Literal["requests", "size", "both", "none"] = Field(
        description="Whether more requests or larger ones raised the cost."
    )
    contributors: tuple[Contributor, ...] = Field(max_length=3, description="The largest first.")
    message: str = Field(min_length=1, max_length=1000, description="One sentence for a person.")


class _NoAmounts(TypedDict):
    usual_usd: str
    seen_usd: str
    excess_usd: str
    excess_usd_per_hour: str
    since_onset_usd: str
    driver: Literal["none"]
    contributors: tuple[()]


_NOTHING: Final = usd_text(0)

NO_AMOUNTS: Final[_NoAmounts] = {
    "usual_usd": _NOTHING,
    "seen_usd": _NOTHING,
    "excess_usd": _NOTHING,
    "excess_usd_per_hour": _NOTHING,
    "since_onset_usd": _NOTHING,
    "driver": "none",
    "contributors": (),
}
"""What an alert has that is not about an amount."""
