"""How is a watcher run for a test? As a process that ends with the test, with a judge that anybody can check by hand.

``python -m tests.watchers cap`` runs one with the judge below, with ``all`` one with spendgauge's own judges. A second
word names the moment at which it kills itself, or stops as if its machine slept.
"""

import json
import os
import signal
import subprocess
import sys
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field
from time import sleep
from typing import Any, Final

import orjson
import polars as pl
from tests.processes import running_app

from spendgauge.schemas import KafkaSettings
from spendgauge.schemas.alerts import Alert
from spendgauge.schemas.money import PICODOLLARS_PER_USD
from spendgauge.streams.emitter import Emitter
from spendgauge.streams.judging import Configuration, Entry, KeptEntries, Moment, Verdict
from spendgauge.streams.records import Record
from spendgauge.streams.watching.keeping import Keeper
from spendgauge.streams.watching.past import Past

__all__ = ["CapJudge", "running_watcher"]

CAP: Final = PICODOLLARS_PER_USD
_SESSION_SECONDS: Final = 2
_CLOSED: Final = b'["cap-closed"]'
_SAVED_EVERY: Final = 5


@dataclass
class _Row:
    """Where one key stands: the last minute in which something happened, and since when it is up (0: it is not)."""

    minute: int = 0
    onset: int = 0
    alerts: list[dict[str, Any]] = field(default_factory=list)


@dataclass
class _Partition:
    rows: dict[str, _Row] = field(default_factory=dict)
    lines: dict[int, list[pl.DataFrame]] = field(default_factory=lambda: defaultdict(list))
    closed: int | None = None
    saved: int | None = None


class CapJudge:
    """Raises where a user's minute costs a dollar and more, and resolves where the next ones cost less."""

    series = ("user_id",)

    def __init__(self) -> None:
        self._held: dict[int, _Partition] = {}

    def assign(self, partition: int, kept: KeptEntries) -> Sequence[Alert]:
        """Go on from what is kept."""
        held = self._held[partition] = _Partition()
        for raw, value in kept.items():
            name, *rest = orjson.loads(raw)
            if raw == _CLOSED:
                held.closed = held.saved = orjson.loads(value)
            elif name == "cap":
                held.rows[rest[0]] = _Row(**orjson.loads(value))
        return [Alert.model_validate_json(json.dumps(one)) for row in held.rows.values() for one in row.alerts]

    def revoke(self, partition: int) -> None:
        """Forget a partition."""
        self._held.pop(partition, None)

    def absorb(self, partition: int, lines: pl.DataFrame) -> None:
        """Remember the lines of minutes that are not closed."""
        held = self._held[partition]
        for (minute,), part in lines.partition_by("minute", as_dict=True).items():
            if held.closed is None or minute > held.closed:
                held.lines[minute].append(part)

    def close(self, until: Mapping[int, int], moment: Moment) -> Sequence[Verdict]:  # noqa: ARG002 - as the protocol has it
        """Judge each minute that has lines, and the one after it."""
        return [self._close(partition, minute) for partition, minute in until.items() if partition in self._held]

    def save(self) -> Mapping[int, Sequence[Entry]]:
        """Write all rows without their alerts, every fifth minute."""
        return {partition: self._save(held) for partition, held in self._held.items()}

    def read_from(self, partition: int) -> int | None:
        """Name the minute after the last that was saved."""
        saved = self._held[partition].saved
        return None if saved is None else saved + 1

    def history(self, partition: int) -> None:
        """What was before changes nothing."""

    def reload(self, configuration: Configuration) -> None:
        """Nothing can be configured."""

    def check(self, configuration: Configuration) -> None:
        """Accept any file."""

    def heard(self, alert: Alert) -> None:
        """What is up elsewhere changes nothing."""

    def _close(self, partition: int, until: int) -> Verdict:
        held = self._held[partition]
        if held.closed is not None and until <= held.closed:
            return Verdict(partition)
        due = {minute for minute in held.lines if minute <= until}
        alerts: list[Alert] = []
        for minute in sorted(due | {minute + 1 for minute in due if minute < until}):
            alerts += self._judge(held, minute)
        held.closed = until
        entries = [_entry(user, held.rows[user]) for user in {alert.key[0] for alert in alerts}]
        return Verdict(partition, entries, alerts)

    def _judge(self, held: _Partition, minute: int) -> list[Alert]:
        costs = _costs(held.lines.pop(minute, []))
        said = []
        up = [user for user, row in held.rows.items() if row.onset]
        for user in sorted({*costs, *up}):
            row = held.rows.setdefault(user, _Row())
            if minute > row.minute and (costs.get(user, 0) >= CAP) != bool(row.onset):
                state = "resolved" if row.onset else "raised"
                alert = _alert(user, state, row.onset or minute, minute)
                row.minute, row.onset = minute, 0 if row.onset else minute
                row.alerts.append(alert.model_dump(mode="json"))
                said.append(alert)
        return said

    def _save(self, held: _Partition) -> list[Entry]:
        if held.closed is None or (held.saved is not None and held.closed - held.saved < _SAVED_EVERY):
            return []
        since, held.saved = held.saved or 0, held.closed
        changed = {user: row for user, row in held.rows.items() if row.minute > since}
        for row in changed.values():
            row.alerts.clear()
        return [*(_entry(user, row) for user, row in changed.items()), (_CLOSED, orjson.dumps(held.saved))]


def _costs(parts: Sequence[pl.DataFrame]) -> dict[str, int]:
    if not parts:
        return {}
    last = pl.concat(parts).sort("rank").unique(("key", "pane_start", "stream", "partition", "block"), keep="last")
    sums = last.group_by("key").agg(pl.col("cost_picodollars").sum())
    return {orjson.loads(key)[0]: cost for key, cost in sums.iter_rows()}


def _entry(user: str, row: _Row) -> Entry:
    return orjson.dumps(["cap", user]), orjson.dumps(asdict(row))


def _alert(user: str, state: str, onset: int, minute: int) -> Alert:
    nothing = "0.000000000000"
    return Alert.model_validate(
        {
            "alert_id": f"cap-{user}-{onset}",
            "incident_id": f"cap-{user}-{onset}",
            "rule": "cap",
            "state": state,
            "severity": "warn",
            "series": "user_id",
            "key": (user,),
            "onset": onset * 60,
            "evaluated_at": (minute + 1) * 60,
            "window_seconds": 60,
            **dict.fromkeys(("usual_usd", "seen_usd", "excess_usd", "excess_usd_per_hour", "since_onset_usd"), nothing),
            "driver": "none",
            "contributors": (),
            "message": f"{user} {state}",
        }
    )


def _break(moment: str) -> None:
    """Make this process end, or sleep, at a moment: in the middle of its first entries, around its first alerts, or
    when it has read some of the past."""
    emit, prove, take = Emitter.emit, Keeper.prove, Past.take
    number = signal.SIGSTOP if moment == "asleep" else signal.SIGKILL

    def emit_and_die(self: Emitter, topic: str, schema: str, records: Sequence[Record], **named: Any) -> bool:
        if len(records) > 1 and moment == {"cost.watch": "amid entries", "cost.alerts": "amid alerts"}.get(topic):
            emit(self, topic, schema, records[: len(records) // 2], **named)
            os.kill(os.getpid(), number)
        done = emit(self, topic, schema, records, **named)
        if records and topic == "cost.alerts" and moment == "after alerts":
            os.kill(os.getpid(), number)
        return done

    def sleep_and_prove(self: Keeper, partitions: Collection[int]) -> tuple[set[int], bool]:
        if partitions and moment == "asleep":
            Keeper.prove = prove  # type: ignore[method-assign]  # it sleeps once
            os.kill(os.getpid(), number)
            sleep(0.5)  # the signal stops a process a moment later
        return prove(self, partitions)

    def take_and_die(self: Past, up_to: int) -> bool:
        done = take(self, up_to)
        if self.lines and moment == "amid the past":
            os.kill(os.getpid(), number)
        return done

    Emitter.emit, Keeper.prove = emit_and_die, sleep_and_prove  # type: ignore[method-assign]  # that is the accident
    Past.take = take_and_die  # type: ignore[method-assign]  # as above


def running_watcher(
    kafka: KafkaSettings, *words: str, errors: int = subprocess.DEVNULL, **settings: Any
) -> AbstractContextManager[subprocess.Popen[bytes]]:
    """Run a watcher with these words (none: ``cap``); other settings by their names."""
    command = (sys.executable, "-m", "tests.watchers", *(words or ("cap",)))
    return running_app(kafka, command, errors=errors, **{"session_timeout_seconds": _SESSION_SECONDS, **settings})


if __name__ == "__main__":
    from spendgauge.streams.running import run_app
    from spendgauge.streams.watching.app import create_watcher
    from spendgauge.streams.watching.settings import WatcherSettings

    _break(sys.argv[2] if len(sys.argv) > 2 else "")
    run_app(create_watcher(WatcherSettings.from_environment(), [CapJudge()] if sys.argv[1] == "cap" else None))
