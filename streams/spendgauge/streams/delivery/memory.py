"""What does the notifier remember? Entries of ``cost.deliveries``, a compacted topic of one partition.

A key is compact JSON, a list with the kind first:

* ``["alert", "<alert_id>"]``: a ``KeptAlert``, where an alert stands.
* ``["sent", "<incident_id>", "<channel>", "<step>"]``: a ``Sent``, what became of one message. There is a key for each,
  so whoever writes late adds to what is known and replaces nothing.

An alert is kept before the offset of its line is committed. That something is up is kept before it is sent, and again
once it was; that it is over, once it was sent.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from pydantic import Field, ValidationError

from spendgauge.schemas.alerts import SEVERITIES, Alert, Severity
from spendgauge.schemas.fields import Total
from spendgauge.schemas.wire import WireModel, compact_json

__all__ = ["Entry", "Fate", "KeptAlert", "Memory", "Sent", "Step", "alert_key", "read_memory", "sent_key", "value_of"]

Entry = tuple[bytes, bytes | None]
"""A record's key and value; none removes it."""

Step = Literal["warn", "page", "warn_resolved", "page_resolved"]
"""What is told of an incident on a channel, each at most once: that it is up, with which severity, and that it is over,
after the gravest that was told."""

Fate = Literal["begun", "sent", "refused"]
"""What became of a message: for good, or ``begun``, that it may have arrived, for it was about to be sent."""


class KeptAlert(WireModel):
    """Where one alert stands: its last line."""

    incident_id: str = Field(min_length=1, description="The incident of its first line, where it stays.")
    alert: Alert
    heard_ms: dict[Severity, Total] = Field(
        description="When it first had each severity: its record's timestamp, milliseconds since 1970 UTC."
    )
    last_ms: Total = Field(description="The timestamp of its last line's record.")

    @property
    def up(self) -> bool:
        """Whether it is not resolved."""
        return self.alert.state != "resolved"

    @property
    def severity(self) -> Severity:
        """The gravest that it ever had."""
        return max(self.heard_ms, key=SEVERITIES.index)


class Sent(WireModel):
    """What became of one message."""

    fate: Fate
    at_ms: Total = Field(description="By the notifier's clock, milliseconds since 1970 UTC.")
    reason: str = Field(default="", description="Why it was refused.")


@dataclass(frozen=True)
class Memory:
    """What a notifier begins with."""

    alerts: Mapping[str, KeptAlert] = field(default_factory=dict)
    sent: Mapping[tuple[str, str], Mapping[Step, Sent]] = field(default_factory=dict)
    """By incident and channel."""


_STEPS: Final[tuple[Step, ...]] = ("warn", "page", "warn_resolved", "page_resolved")


def alert_key(alert_id: str) -> bytes:
    """Write the key of a ``KeptAlert``."""
    return compact_json(["alert", alert_id]).encode()


def sent_key(incident_id: str, channel: str, step: Step) -> bytes:
    """Write the key of a ``Sent``."""
    return compact_json(["sent", incident_id, channel, step]).encode()


def value_of(kept: KeptAlert | Sent) -> bytes:
    """Write the value of an entry."""
    return kept.model_dump_json().encode()


def read_memory(entries: Iterable[tuple[bytes, bytes]]) -> Memory:
    """Read the last value of each key; what this version does not know is left aside."""
    alerts: dict[str, KeptAlert] = {}
    sent: dict[tuple[str, str], dict[Step, Sent]] = {}
    for key, value in entries:
        try:
            match json.loads(key):
                case ["alert", str(alert_id)]:
                    alerts[alert_id] = KeptAlert.model_validate_json(value)
                case ["sent", str(incident_id), str(channel), step] if step in _STEPS:
                    sent.setdefault((incident_id, channel), {})[step] = Sent.model_validate_json(value)
        except (ValueError, ValidationError):
            continue
    return Memory(alerts, sent)
