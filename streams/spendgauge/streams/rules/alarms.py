"""When is a level an alarm, when is it worse, and when is it over?

            for_minutes over a line          for_minutes over the page line
    none ─────────────────────────▶ warn ─────────────────────────────▶ page
      ▲      (not in cooldown)        │                                   │
      └── cooldown ◀──────────────────┴── resolve_minutes calm ◀──────────┘

An alarm changes only where its level does, so minutes that bring nothing new need no writing.
"""

from dataclasses import dataclass, replace
from typing import Final, Literal

from spendgauge.streams.rules.rule import CALM, PAGE, WARN, Rule

__all__ = ["QUIET", "Alarm", "Step", "advance", "withdraw"]


@dataclass(frozen=True)
class Alarm:
    """Where one key stands under one rule; minutes since 1970 UTC, None: it is not so."""

    severity: int = CALM
    """``WARN`` or ``PAGE`` while it is up."""
    onset: int = 0
    """Of what is up."""
    warn_since: int | None = None
    page_since: int | None = None
    calm_since: int | None = None
    """While it is up."""
    quiet_until: int = 0
    """Its cooldown's last minute."""
    quiet_severity: int = CALM
    ended: int = 0
    """The minute in which what was up last was over: what is raised then has begun later."""
    again_until: int = 0
    """Up to here the onset of what was up may be found again: by a rule that was edited, and edited back."""

    def is_idle(self, minute: int) -> bool:
        """Whether it is as good as none after this minute."""
        return self.severity == CALM and self.warn_since is None and max(self.quiet_until, self.again_until) <= minute


QUIET: Final = Alarm()


@dataclass(frozen=True)
class Step:
    """What happened to an alarm."""

    state: Literal["raised", "escalated", "resolved"]
    severity: int
    onset: int


def advance(
    alarm: Alarm, rule: Rule, minute: int, *, level: int, onset: int | None = None
) -> tuple[Alarm, Step | None]:
    """Move an alarm on by a minute; ``onset``: where it began, if that is not the first minute over a line."""
    warn_since = (alarm.warn_since or minute) if level >= WARN else None
    page_since = (alarm.page_since or minute) if level >= PAGE else None
    calm_since = (alarm.calm_since or minute) if level == CALM and alarm.severity else None
    now = replace(alarm, warn_since=warn_since, page_since=page_since, calm_since=calm_since)
    reached = next(
        (high for high, since in ((PAGE, page_since), (WARN, warn_since)) if _lasts(since, minute, rule)), CALM
    )
    if alarm.severity == CALM:
        silent = minute <= alarm.quiet_until and reached <= alarm.quiet_severity
        if silent or warn_since is None or not reached:
            return now, None
        return _up(now, rule, reached, max(onset or warn_since, alarm.ended + 1))
    if reached > alarm.severity:
        return replace(now, severity=reached), Step("escalated", reached, alarm.onset)
    if calm_since is not None and minute - calm_since + 1 >= rule.resolve_minutes:
        return withdraw(now, minute, quiet_until=minute + rule.cooldown_minutes)
    return now, None


def withdraw(alarm: Alarm, minute: int, *, quiet_until: int) -> tuple[Alarm, Step]:
    """End what is up, if anything is."""
    ended = minute if alarm.severity else alarm.ended
    calm = Alarm(quiet_until=quiet_until, quiet_severity=alarm.severity, ended=ended, again_until=alarm.again_until)
    return calm, Step("resolved", alarm.severity, alarm.onset)


def _lasts(since: int | None, minute: int, rule: Rule) -> bool:
    return since is not None and minute - since + 1 >= rule.for_minutes


def _up(alarm: Alarm, rule: Rule, severity: int, onset: int) -> tuple[Alarm, Step]:
    again_until = onset + rule.again_minutes if rule.again_minutes else 0
    up = replace(alarm, severity=severity, onset=onset, again_until=again_until)
    return up, Step("raised", severity, onset)
