"""What decides whether a window of spending is a spike? Every figure, with its unit and its reason."""

from dataclasses import dataclass
from typing import Final

from spendgauge.schemas.errors import ConfigurationError
from spendgauge.schemas.money import PICODOLLARS_PER_USD

__all__ = ["OUTPUT_TOKENS", "Limits", "SpikeParameters"]


_MOST_CALM_MINUTES: Final = 255
"""What a row counts up to."""


@dataclass(frozen=True)
class Limits:
    """What one key must exceed, in whole amounts of a window: picodollars, or tokens of an unpriced model."""

    floor: int
    """From this excess on an alert is sent (warn); below, it is only stored (info)."""

    page: int
    """From this excess on somebody is woken."""

    cap: int
    """What a key that is not yet known may cost in a window."""


@dataclass(frozen=True)
class SpikeParameters:
    """How the detector judges; amounts are in picodollars (or in tokens, for models without a price).

    Raises ``ConfigurationError`` for a figure that cannot work.
    """

    window_minutes: int = 5
    """The signal is the cost of so many closed minutes: one call is not yet a trend, and five minutes are soon over."""

    fast_half_life_minutes: int = 360
    """Of the mean and variance behind z: a quarter of a day, so that evening is judged by the afternoon."""

    slow_half_life_minutes: int = 1440
    """Of the mean that is called usual: a whole day, so that no hour is unusual by itself."""

    record_half_life_minutes: int = 2880
    """Of the key's own record: what was normal the day before yesterday is still half known."""

    record_factor: float = 1.55
    """So far above its own record a key is unusual, however heavy its tail is. The record is fed a window late, or a
    spike would be measured against its own beginning."""

    record_min_z: float = 3.0
    """A record counts only far from the mean: a record that has decayed for days is broken by next to nothing."""

    z_factor: float = 9.0
    """So many standard deviations are unusual without a record too. Spending is heavy-tailed: 3 or 4 happen daily."""

    min_ratio: float = 2.0
    """Below twice the usual nothing is a spike, however steady the key was, ..."""

    step_minutes: int = 10
    """... and no record is broken below twice the window so long before: what grows more slowly is
    judged as a climb."""

    climb_factor: float = 2.5
    """So far above its old record a key is unusual, however slowly it came there: a step breaks 1.55 times, ..."""

    climb_minutes: int = 30
    """... and the old record is the record as it was so long ago, or up to twice as long, or it would climb too: by 2 %
    a minute, spending grows 1.8-fold in half an hour and 3.3-fold in an hour."""

    old_record_half_life_minutes: int = 7 * 1440
    """Of the old record: a job of working days is known on Monday, when what Friday's cost is down to 0.74."""

    chance: float = 8.0
    """So seldom calls that come and cost by chance may add up to a window: one in e to this (3,000), or fewer."""

    call_variation: float = 3.0
    """Sums of calls vary as if each cost this many times the mean: the mean square over the square of the mean, which
    is e (2.7) where the 99th percentile is ten times the median."""

    high_minutes: int = 2
    """So many minutes of the window must each be above that (of a shorter window all): one call is not a spike."""

    resolve_score: float = 0.7
    """Lower than the score that raises (1), so that a key at the edge does not flap."""

    resolve_minutes: int = 10
    """So long it must be calm: two windows, one after another."""

    cooldown_minutes: int = 30
    """After the end of an alarm only a more severe one is raised for so long."""

    silent_minutes: int = 60
    """Nothing is usual of a key that is younger than this; only the cap holds."""

    record_minutes: int = 1440
    """A key of less than a day has not seen its busy hours. Of six hours, say, it breaks four times as many records in
    a day, so it must exceed its own by four times as much."""

    forget_minutes: int = 28 * 1440
    """A key that was silent for so long begins anew: its record is down to 1/16384."""

    floor: int = PICODOLLARS_PER_USD // 2
    """Excess in a window worth a message: 0.50 USD in 5 minutes, 6 USD an hour."""

    floor_budget_parts: int = 2000
    """... or this part of the key's monthly budget, where that is more: 0.05 %."""

    page_per_hour: int = 10 * PICODOLLARS_PER_USD
    """Excess an hour worth waking somebody, ..."""

    page_budget_parts: int = 50
    """... or this part of the monthly budget an hour, where that is less: 2 %, a month's money in two days."""

    cap: int = 5 * PICODOLLARS_PER_USD
    """What a key of less than a day may cost in a window before it is looked at."""

    def __post_init__(self) -> None:
        """Refuse figures that cannot work."""
        halves = ("fast_half_life_minutes", "slow_half_life_minutes", "record_half_life_minutes")
        for name in ("window_minutes", "resolve_minutes", *halves):
            if getattr(self, name) < 1:
                raise ConfigurationError(f"{name} {getattr(self, name)} must be at least 1 minute.")
        if self.climb_minutes < 1:
            raise ConfigurationError(f"climb_minutes {self.climb_minutes} must be at least 1 minute.")
        if self.old_record_half_life_minutes < self.record_half_life_minutes:
            raise ConfigurationError(
                f"old_record_half_life_minutes {self.old_record_half_life_minutes} must be at least "
                f"record_half_life_minutes {self.record_half_life_minutes}: what is older is not forgotten sooner."
            )
        if self.step_minutes < self.window_minutes:
            raise ConfigurationError(
                f"step_minutes {self.step_minutes} must be at least window_minutes {self.window_minutes}, "
                "or a window would be compared with itself."
            )
        if self.resolve_minutes > _MOST_CALM_MINUTES:
            raise ConfigurationError(f"resolve_minutes {self.resolve_minutes} must be at most {_MOST_CALM_MINUTES}.")
        if not 0 <= self.resolve_score <= 1:
            raise ConfigurationError(f"resolve_score {self.resolve_score} must be from 0 to 1, the score that raises.")
        if min(self.record_factor, self.climb_factor, self.z_factor) <= 0:
            raise ConfigurationError(
                "record_factor, climb_factor and z_factor must be above 0: a score is divided by them."
            )
        if min(self.chance, self.call_variation) < 0:
            raise ConfigurationError("chance and call_variation must be 0 or more: with 0 nothing is taken for chance.")

    @property
    def kept_minutes(self) -> int:
        """How many minutes a key's row holds one by one: back to the window that this one is compared with."""
        return self.window_minutes + self.step_minutes

    def limits(self, *, monthly_budget: int | None = None) -> Limits:
        """Say what a key with this budget (none: no part of it counts) must exceed."""
        per_hour, floor = self.page_per_hour, self.floor
        if monthly_budget is not None:
            per_hour = min(per_hour, monthly_budget // self.page_budget_parts)
            floor = max(floor, monthly_budget // self.floor_budget_parts)
        return Limits(floor=floor, page=max(floor, -(-per_hour * self.window_minutes // 60)), cap=self.cap)


OUTPUT_TOKENS: Final = SpikeParameters(floor=33_000, page_per_hour=660_000, cap=330_000)
"""For models without a price: output tokens, with the limits that they would have at 15 USD a million."""
