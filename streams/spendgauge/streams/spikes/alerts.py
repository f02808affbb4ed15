"""What is said of a step? The alert for ``cost.alerts``: what is usual, what was seen, why, and who.

The id is a function of rule, key and onset, so what is said again is the same again.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Final, Literal

from spendgauge.schemas.alerts import Alert, Contributor
from spendgauge.schemas.keys import named_key
from spendgauge.schemas.money import usd, usd_rounded, usd_text
from spendgauge.schemas.wire import compact_json
from spendgauge.streams.spikes.detector import SpikeStep
from spendgauge.streams.spikes.incidents import Incidents, place
from spendgauge.streams.spikes.lanes import SpikeKey
from spendgauge.streams.spikes.parameters import SpikeParameters

__all__ = ["Excess", "SpikeAlerts", "alert_id", "driver"]

Driver = Literal["requests", "size", "both", "none"]
Excess = tuple[SpikeKey, int]
"""A key that is part of another, and what it cost above its usual in the alert's window: picodollars."""

_ORDER: Final = {"resolved": 0, "raised": 1, "escalated": 2}


class SpikeAlerts:
    """Turns the detector's steps into alerts, and alarms that belong together into incidents."""

    def __init__(
        self,
        parameters: SpikeParameters,
        *,
        contributors: Callable[[SpikeStep], Sequence[Excess]],
        moved: Callable[[SpikeStep, SpikeKey], bool] = lambda _step, _key: False,
        unit: Literal["USD", "output tokens"] = "USD",
    ) -> None:
        """``contributors`` gives the parts of a key that may have caused the step, in any order.

        ``moved`` says whether another key moved with it.
        """
        self._window = parameters.window_minutes
        self._contributors = contributors
        self._moved = moved
        self._unit = unit
        self.incidents = Incidents()

    def alerts(self, steps: Sequence[SpikeStep]) -> list[Alert]:
        """Write the alerts of some steps, in the order of their minutes, containing keys first."""
        for step in steps:
            if step.state == "escalated":
                self.incidents.escalate(step.key, step.minute, excess=self._money(step.seen - step.usual))
        return [self._alert(step) for step in sorted(steps, key=_order)]

    def _alert(self, step: SpikeStep) -> Alert:
        name = alert_id(self._rule, step.key, onset=step.onset * 60)
        excess, causes = step.seen - step.usual, self._causes(step)
        return Alert(
            alert_id=name,
            incident_id=self._incident(step, name),
            rule=self._rule,
            state=step.state,
            severity=step.severity,
            series=step.key[0],
            key=step.key[1],
            onset=step.onset * 60,
            evaluated_at=(step.minute + 1) * 60,
            window_seconds=self._window * 60,
            usual_usd=self._usd(step.usual),
            seen_usd=self._usd(step.seen),
            excess_usd=self._usd(excess),
            excess_usd_per_hour=self._usd(excess * 60 // self._window),
            since_onset_usd=self._usd(step.since_onset),
            driver=driver(step),
            contributors=tuple(Contributor(series=k[0], key=k[1], excess_usd=self._usd(rise)) for k, rise in causes),
            message=self._message(step, causes),
        )

    @property
    def _rule(self) -> str:
        return "spike" if self._unit == "USD" else "token_spike"

    def _incident(self, step: SpikeStep, name: str) -> str:
        if step.state == "resolved":
            return self.incidents.leave(step.key, name, step.minute)
        if step.state == "escalated":
            return self.incidents.of(step.key, name)
        excess, moved = self._money(step.seen - step.usual), partial(self._moved, step)
        return self.incidents.join(step.key, name, step.minute, excess=excess, moved=moved)

    def _money(self, amount: int) -> int:
        return amount if self._unit == "USD" else 0

    def _usd(self, amount: int) -> str:
        return usd_text(self._money(amount))

    def _causes(self, step: SpikeStep) -> list[Excess]:
        """Name the three that rose most, the largest first."""
        rose = [(key, rise) for key, rise in self._contributors(step) if rise > 0]
        return sorted(rose, key=lambda cause: (-cause[1], cause[0]))[:3]

    def _message(self, step: SpikeStep, causes: Sequence[Excess]) -> str:
        name = named_key(*step.key)
        seen, usual = (self._amount(amount) for amount in (step.seen, step.usual))
        if step.state == "resolved":
            since = self._amount(step.since_onset)
            return f"{name} is back at {seen} {self._unit} in {self._window} minutes, after {since} above the usual."
        known = f"usually {usual}" if step.usual else "and nothing is usual yet"
        led = "".join(f"; {named_key(*key)} rose with it, by {self._amount(rise)}" for key, rise in _named(causes))
        return f"{name} spends {seen} {self._unit} in {self._window} minutes, {known}{_WHY[driver(step)]}{led}."

    def _amount(self, amount: int) -> str:
        return usd_rounded(usd(amount)) if self._unit == "USD" else f"{amount:,}"


_WHY: Final[dict[Driver, str]] = {
    "requests": "; there are more requests",
    "size": "; the requests are larger",
    "both": "; there are more requests, and larger ones",
    "none": "",
}


def alert_id(rule: str, key: SpikeKey, *, onset: int) -> str:
    """Name an alert: the same step always has the same name, and no two keys share one."""
    return f"{rule}:{key[0]}:{compact_json(key[1])}:{onset}"


def driver(step: SpikeStep) -> Driver:
    """Say whether more requests or larger ones made it: at least three quarters of the rise, in orders of magnitude.

    The cost of a window is requests times size, so the rise is the product of both rises.
    """
    if step.usual <= 0 or step.seen <= step.usual or step.usual_requests <= 0 or step.seen_requests <= 0:
        return "none"
    rise, requests = step.seen / step.usual, step.seen_requests / step.usual_requests
    if requests**4 >= rise**3:
        return "requests"
    return "size" if requests**4 <= rise else "both"


def _named(causes: Sequence[Excess]) -> Sequence[Excess]:
    """Choose whom the message names: the agent, if one made half of what the first of them did; else the first."""
    agents = [cause for cause in causes if cause[0][0] == "agent" and 2 * cause[1] >= causes[0][1]]
    return (agents or causes)[:1]


def _order(step: SpikeStep) -> tuple[int, int, tuple[int, int, SpikeKey]]:
    return step.minute, _ORDER[step.state], place(step.key, step.seen - step.usual)
