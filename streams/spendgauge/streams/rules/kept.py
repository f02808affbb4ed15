"""What do the rules keep of a partition of ``cost.rates``? Entries of ``cost.watch``, in the partition of that number.

A key is compact JSON:

* ``["rule", "<rule>", "<series>", [<key>]]``: a ``KeptAlarm``, where one key stands and, in the same record, **the
  alerts of the steps that led there**: neither is ever kept without the other.
* ``["clock", "<rule>", "<series>", [<key>]]``: the same of a rule that goes by the clock.
* ``["standstills"]``: which partitions of ``usage.events`` stand still (``standstills``).
* ``["stretch", "<rule>", "<series>", [<key>]]``: ``[first, last]``, since when a key comes, and when it came last.
* ``["rules"]``: ``{"saved": minute}``, up to where all of that is complete.
"""

from collections.abc import Iterable, Iterator
from typing import Final

import polars as pl
from pydantic import Field, TypeAdapter, ValidationError

from spendgauge.schemas.alerts import Alert
from spendgauge.schemas.wire import WireModel, compact_json
from spendgauge.streams.judging.judge import Entry, KeptEntries
from spendgauge.streams.judging.models import KeptModel
from spendgauge.streams.rules.alarms import Alarm
from spendgauge.streams.rules.stretches import STRETCHES_SCHEMA

__all__ = [
    "BY_CLOCK",
    "BY_EVENTS",
    "KeptAlarm",
    "Place",
    "alarm_entry",
    "read_alarms",
    "read_saved",
    "read_stretches",
    "saved_entry",
    "stretches_entries",
]

Place = tuple[str, str]
"""A series, and a key as JSON."""

BY_EVENTS: Final = "rule"
"""Begins the keys of alarms whose minutes are those of events."""
BY_CLOCK: Final = "clock"
"""Begins the keys of alarms whose minutes are the clock's."""

_SAVED_KEY: Final = b'["rules"]'
_KEY: Final[TypeAdapter[tuple[str, str, str, tuple[str, ...]]]] = TypeAdapter(tuple[str, str, str, tuple[str, ...]])
_STRETCH: Final[TypeAdapter[tuple[int, int]]] = TypeAdapter(tuple[int, int])


class KeptAlarm(KeptModel):
    """Where one key stands under one rule."""

    kind: str = Field(description="Of the rule: another one of the same name is another rule.")
    minute: int = Field(description="The last one that this has absorbed, since 1970 UTC.")
    alarm: Alarm
    alerts: tuple[Alert, ...] = Field(default=(), description="What the last steps said; to be sent if it was not.")


class _Saved(WireModel):
    saved: int


def alarm_entry(head: str, rule: str, place: Place, kept: KeptAlarm | None) -> Entry:
    """Write where a key stands; None: it is as good as new. ``head``: ``BY_EVENTS`` or ``BY_CLOCK``."""
    return _key(head, rule, place), None if kept is None else kept.encode()


def saved_entry(minute: int) -> Entry:
    """Write up to which minute all is kept."""
    return _SAVED_KEY, _Saved(saved=minute).model_dump_json().encode()


def stretches_entries(rule: str, series: str, rows: pl.DataFrame, *, remove: bool = False) -> list[Entry]:
    """Write (or remove) rows of ``STRETCHES_SCHEMA``; many at once, so by columns."""
    if rows.is_empty():
        return []
    head = compact_json(["stretch", rule, series])[:-1]
    keys = rows.select(pl.concat_str(pl.lit(f"{head},"), "key", pl.lit("]")).alias("key"))["key"]
    values = rows.select(pl.format("[{},{}]", "first", "last").alias("value"))["value"]
    return [(key.encode(), None if remove else value.encode()) for key, value in zip(keys, values, strict=True)]


def read_saved(kept: KeptEntries) -> int | None:
    """Say up to which minute all is kept; None: nothing is."""
    try:
        value = kept.get(_SAVED_KEY)
        return None if value is None else _Saved.model_validate_json(value).saved
    except ValidationError:
        return None


def read_alarms(head: str, kept: KeptEntries) -> Iterator[tuple[str, Place, KeptAlarm]]:
    """Give rule, place and state of each key; what another version wrote begins anew."""
    for rule, place, value in _entries(head, kept):
        try:
            yield rule, place, KeptAlarm.model_validate_json(value)
        except ValidationError:
            continue


def read_stretches(kept: KeptEntries) -> dict[tuple[str, str], pl.DataFrame]:
    """Read the rows (``STRETCHES_SCHEMA``) of each rule and series."""
    found: dict[tuple[str, str], list[tuple[str, int, int, bool]]] = {}
    for rule, (series, key), value in _entries("stretch", kept):
        try:
            found.setdefault((rule, series), []).append((key, *_STRETCH.validate_json(value), False))
        except ValidationError:
            continue
    return {name: pl.DataFrame(rows, schema=STRETCHES_SCHEMA, orient="row") for name, rows in found.items()}


def _entries(kind: str, kept: KeptEntries) -> Iterable[tuple[str, Place, bytes]]:
    head = f'["{kind}",'.encode()
    for key, value in kept.items():
        if key.startswith(head):
            try:
                _, rule, series, values = _KEY.validate_json(key)
            except ValidationError:
                continue
            yield rule, (series, compact_json(values)), value


def _key(kind: str, rule: str, place: Place) -> bytes:
    series, values = place
    names = compact_json([kind, rule, series])
    return f"{names[:-1]},{values}]".encode()
