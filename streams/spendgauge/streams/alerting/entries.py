"""What is kept of a partition of ``cost.rates``? Entries of a compacted topic, in the partition of the same number.

A key is compact JSON, and there are two kinds of entries:

* ``["<rule>", "<series>", [<key>]]``: a ``KeptKey``, the detector's row of that key and, until the row is written
  again, **the alerts of the steps that led to it**. Row and alerts are one record, so neither is ever kept without the
  other: whoever takes over sends what was kept and not sent, and judges nothing again that was.
* ``["spikes_closed"]``: a ``KeptMinute``, up to where the rows are complete, and from where lines will be read again.

The topic holds other judges' entries too. A key that was silent for 28 days begins anew, and its entry is removed.
"""

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from pydantic import Field, TypeAdapter, ValidationError

from spendgauge.schemas.alerts import Alert
from spendgauge.schemas.wire import WireModel, compact_json
from spendgauge.streams.alerting.amounts import RULES
from spendgauge.streams.judging.models import KeptModel
from spendgauge.streams.spikes import SpikeKey
from spendgauge.streams.spikes.incidents import Steps

__all__ = ["CLOSED_KEY", "Entry", "Kept", "KeptKey", "KeptMinute", "RuleKey", "entry_of", "key_of", "read_kept"]

RuleKey = tuple[str, SpikeKey]
"""A rule and a key that it judges."""

Entry = tuple[bytes, bytes | None]
"""A record's key and value; none removes it."""


class KeptKey(KeptModel):
    """Where one key stands."""

    row: str = Field(description="The detector's row, in base64.")
    incident_id: str = Field(default="", description="Of the alarm that is up, or was up lately; empty: none was.")
    steps: Steps = Field(default=(), description="When it was raised and escalated; picodollars of excess then.")
    resolved: int = Field(default=0, description="The minute in which it was resolved; 0: it is up.")
    alerts: tuple[Alert, ...] = Field(default=(), description="What the last steps said; to be sent if it was not.")

    @property
    def state(self) -> bytes:
        """The detector's row."""
        return base64.b64decode(self.row)


class KeptMinute(WireModel):
    """How far a partition is, in minutes since 1970 UTC."""

    saved: int = Field(description="What any row has absorbed up to this minute is kept.")
    read_from: int = Field(description="Lines of this minute and of later ones are not yet committed.")


@dataclass(frozen=True)
class Kept:
    """What is kept of one partition."""

    keys: Mapping[RuleKey, KeptKey] = field(default_factory=dict)
    minute: KeptMinute | None = None

    @property
    def unsent(self) -> list[Alert]:
        """The alerts that may not have been sent, the first one first."""
        found = [alert for kept in self.keys.values() for alert in kept.alerts]
        return sorted(found, key=lambda alert: alert.evaluated_at)


CLOSED_KEY: Final = b'["spikes_closed"]'
_KEY: Final[TypeAdapter[tuple[str, str, tuple[str, ...]]]] = TypeAdapter(tuple[str, str, tuple[str, ...]])
_OURS: Final = tuple(f'["{rule}",'.encode() for rule in RULES)


def key_of(name: RuleKey) -> bytes:
    """Name the entry of a rule and a key."""
    rule, (series, key) = name
    return compact_json([rule, series, key]).encode()


def entry_of(name: RuleKey, kept: KeptKey) -> Entry:
    """Write where a key stands."""
    return key_of(name), kept.encode()


def read_kept(entries: Mapping[bytes, bytes]) -> Kept:
    """Read what a partition holds, other judges' entries left out.

    What cannot be read was written by another version: such a key begins anew.
    """
    keys: dict[RuleKey, KeptKey] = {}
    for raw, value in entries.items():
        if not raw.startswith(_OURS):
            continue
        try:
            rule, series, key = _KEY.validate_json(raw)
            keys[rule, (series, key)] = KeptKey.model_validate_json(value)
        except ValidationError:
            continue
    return Kept(keys, _read_minute(entries.get(CLOSED_KEY)))


def _read_minute(value: bytes | None) -> KeptMinute | None:
    try:
        return None if value is None else KeptMinute.model_validate_json(value)
    except ValidationError:
        return None
