"""What do the alerts of a rehearsal come to? Each one's life, and of each rule how many, how severe, how long."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from statistics import median_low

from spendgauge.schemas.alerts import SEVERITIES, Alert, Severity

__all__ = ["Life", "RuleFigures", "figures_by_rule", "lives_of"]


@dataclass(frozen=True)
class Life:
    """One alert, from its first step to its last."""

    steps: tuple[Alert, ...]

    @property
    def raised(self) -> Alert:
        """Its first step."""
        return self.steps[0]

    @property
    def last(self) -> Alert:
        """Its last step so far."""
        return self.steps[-1]

    @property
    def severity(self) -> Severity:
        """The gravest that it came to."""
        return max((step.severity for step in self.steps), key=SEVERITIES.index)

    @property
    def is_over(self) -> bool:
        """Whether it was resolved within the traffic."""
        return self.last.state == "resolved"

    @property
    def minutes(self) -> int:
        """From its onset to its last step."""
        return (self.last.evaluated_at - self.raised.onset) // 60

    @property
    def since_onset_usd(self) -> Decimal:
        """What it came to, as its last step says."""
        return Decimal(self.last.since_onset_usd)

    @property
    def joins(self) -> bool:
        """Whether it is part of an incident that another alert began."""
        return self.raised.incident_id != self.raised.alert_id


@dataclass(frozen=True)
class RuleFigures:
    """What one rule says in a rehearsal."""

    rule: str
    severities: Counter[str]
    """How many alerts came to each."""
    median_minutes: int
    """Of those that are over; 0: none is."""
    longest_minutes: int
    open: int
    """Not over when the traffic ended."""

    @property
    def alerts(self) -> int:
        """How many there were."""
        return self.severities.total()


def lives_of(alerts: Sequence[Alert]) -> list[Life]:
    """Gather the steps of each alert, in the order in which they were raised."""
    steps: dict[str, list[Alert]] = {}
    for alert in alerts:
        steps.setdefault(alert.alert_id, []).append(alert)
    return [Life(tuple(found)) for found in steps.values()]


def figures_by_rule(lives: Sequence[Life]) -> list[RuleFigures]:
    """Say of each rule what it came to, the busiest first."""
    rules = dict.fromkeys(life.raised.rule for life in lives)
    figures = [_figures(rule, [life for life in lives if life.raised.rule == rule]) for rule in rules]
    return sorted(figures, key=lambda one: (-one.alerts, one.rule))


def _figures(rule: str, lives: Sequence[Life]) -> RuleFigures:
    lasted = [life.minutes for life in lives if life.is_over]
    return RuleFigures(
        rule=rule,
        severities=Counter(life.severity for life in lives),
        median_minutes=median_low(lasted) if lasted else 0,
        longest_minutes=max(lasted, default=0),
        open=len(lives) - len(lasted),
    )
