"""What goes to a partition of a topic? A record: many lines, one entry, or an alert."""

from collections.abc import Iterable
from dataclasses import dataclass
from zlib import crc32

from spendgauge.schemas.alerts import Alert
from spendgauge.schemas.records import Headers

__all__ = ["Record", "alert_records"]


@dataclass(frozen=True)
class Record:
    """What goes to one partition of a topic: lines, or an entry and its key; no value removes the entry."""

    partition: int
    value: bytes | None
    key: bytes | None = None
    headers: Headers = ()
    """Besides those that all records of the topic have."""


def alert_records(alerts: Iterable[Alert], *, partitions: int) -> list[Record]:
    """Write alerts, a record each, keyed by their id."""
    return [
        Record(crc32(key) % partitions, alert.model_dump_json().encode(), key)
        for alert in alerts
        for key in [alert.alert_id.encode()]
    ]
