"""What is left of a storm? Everything: a service emits while its broker and its own processes are taken down.

Kafka is Apache's, of one broker, so that nothing is there when it is not. Worker, sink and store are the real ones.
"""

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from time import sleep
from typing import Any, Final

from tests.apache_kafka import ApacheKafka
from tests.brokers import down, frozen
from tests.fleets import until
from tests.loads import Followed
from tests.sink_runs import count, sink_process, sink_settings
from tests.stores import running_store
from tests.workers import committed, running_worker

from spendgauge.deploy.reconciling import Groups, balance_books
from spendgauge.deploy.stack.spawn import spawn_command
from spendgauge.producers import ProducerSettings
from spendgauge.schemas import ClickHouseSettings, KafkaSettings, topic_specs
from spendgauge.schemas.kafka import create_topics
from spendgauge.sinks.clickhouse import connect
from spendgauge.sinks.migrate import migrate

__all__ = ["Aftermath", "hold_storm"]

_SERVICE: Final = Path(__file__).with_name("storm_service.py")
_ACCIDENTS: Final = ("killed", "frozen", "killed", "frozen", "killed")
_KILLED_AFTER: Final = (1, 3)
"""Amid which accidents the service is killed too."""

_SESSION_SECONDS: Final = 6
"""The shortest that Apache Kafka allows."""

_BALANCE_SECONDS: Final = 120


@dataclass
class Aftermath:
    """What was emitted, and what is to be found."""

    emitted: dict[str, int] = field(default_factory=dict)
    """The ids that ``emit`` returned, with how long it took, in nanoseconds."""
    stored: set[str] = field(default_factory=set)
    """The ids that the ledger holds."""
    faults: dict[str, object] = field(default_factory=dict)
    """What is wrong."""

    @property
    def longest_ms(self) -> float:
        """How long a caller waited at most, in milliseconds."""
        return max(self.emitted.values()) / 1e6

    def percentile_us(self, part: float) -> float:
        """How long so many of the callers waited at most, in microseconds."""
        return sorted(self.emitted.values())[int(part * (len(self.emitted) - 1))] / 1e3


def hold_storm(
    directory: Path, *, seed: int = 1, pause_seconds: float = 1.0, progress: Callable[[str], None] = print
) -> Aftermath:
    """Take the broker down five times and the service twice, under load; give what was found when all is calm.

    ``pause_seconds``: how long each accident lasts, and the calm after it, about.
    """
    draw, found = Random(seed), Aftermath()
    (directory / "kafka").mkdir()
    with ApacheKafka(directory / "kafka") as apache, running_store(directory / "store") as store:
        kafka = apache.settings()
        clickhouse = ClickHouseSettings(clickhouse=store.url.replace("http://", "http://default@") + "/storm")
        create_topics(kafka, topic_specs(kafka.topics), replication_factor=1)
        migrate(clickhouse)
        sink = sink_settings(kafka, clickhouse.clickhouse).model_copy(
            update={"session_timeout_seconds": _SESSION_SECONDS}
        )
        worker = running_worker(kafka, session_timeout_seconds=_SESSION_SECONDS)
        with worker, sink_process(sink), _Services(kafka, directory / "spool", found) as services:
            services.start()
            until(lambda: count(clickhouse, "usage") > 0 and committed(kafka) > 0, what="worker and sink at work")
            _rage(apache, services, draw, pause_seconds, progress)
            services.end()
            progress("the storm is over")
            _look(kafka, clickhouse, Groups(sinks=sink.sink_group), found)
    return found


def _rage(
    apache: ApacheKafka, services: "_Services", draw: Random, pause_seconds: float, progress: Callable[[str], None]
) -> None:
    for place, accident in enumerate(_ACCIDENTS):
        services.emit_some()
        sleep(draw.uniform(0, pause_seconds))
        progress(f"the broker is {accident}; {len(services.found.emitted)} events so far")
        with down(apache, 0) if accident == "killed" else frozen(apache, 0):
            services.emit_some()
            if place in _KILLED_AFTER:
                services.kill()
                services.start()
                services.emit_some()
            sleep(draw.uniform(0.5, 1.5) * pause_seconds)


def _look(kafka: KafkaSettings, clickhouse: ClickHouseSettings, groups: Groups, found: Aftermath) -> None:
    client = connect(clickhouse)
    try:
        balance = balance_books(kafka, clickhouse, wait_seconds=_BALANCE_SECONDS, groups=groups)
        found.stored = {str(row[0]) for row in client.query("SELECT event_id FROM usage").result_rows}
        gaps = client.query("SELECT source, first_seq, last_seq FROM gaps").result_rows
    finally:
        client.close()
    books = balance.books
    faults = {
        "lost": sorted(set(found.emitted) - found.stored)[:3],
        "behind": {group: records for group, records in balance.behind.items() if records},
        "missing": books.gaps[:3],
        "called missing": gaps[:3],
        "alerts": _gap_alerts(kafka)[:3],
        "repeated": books.repeated,
        "counted otherwise than stored": books.differences()[:3],
        "rejected": books.rejected,
    }
    found.faults = {what: fault for what, fault in faults.items() if fault}


def _gap_alerts(kafka: KafkaSettings) -> list[Mapping[str, Any]]:
    """List what was ever called missing: each source's order holds, so nothing is, not even for a moment."""
    with Followed(kafka, kafka.topics.alerts) as alerts:
        return [alert for alert in alerts.lines() if alert["rule"] == "gap"]


class _Services:
    """One service after the other, all on one spool; each thread's ids are collected while it runs."""

    def __init__(self, kafka: KafkaSettings, spool: Path, found: Aftermath) -> None:
        self.found = found
        self._spool = spool
        settings = ProducerSettings(
            service="api", spool_dir=str(spool), durability="process", lanes=3, **kafka.model_dump()
        )
        self._environment = {**os.environ, **settings.environment()}
        self._process: subprocess.Popen[bytes] | None = None
        self._reader: threading.Thread | None = None

    def __enter__(self) -> "_Services":
        """Begin without one."""
        return self

    def __exit__(self, *_: object) -> None:
        """Kill what runs."""
        self.kill()

    def start(self) -> None:
        """Start a service."""
        command = spawn_command([sys.executable, str(_SERVICE)])
        self._process = subprocess.Popen(command, env=self._environment, stdout=subprocess.PIPE)
        self._reader = threading.Thread(target=self._read, args=[self._process])
        self._reader.start()

    def emit_some(self) -> None:
        """Wait until it has emitted some hundred events more."""
        goal = len(self.found.emitted) + 300
        until(lambda: len(self.found.emitted) >= goal, what=f"{goal} events")

    def kill(self) -> None:
        """End it with SIGKILL; the ids that it still wrote are kept."""
        if self._process is not None and self._reader is not None:
            self._process.kill()
            self._process.wait()
            self._reader.join()
            self._process = None

    def end(self) -> None:
        """Wait until what its predecessors left is sent, let it close, and see that it leaves nothing."""
        until(lambda: len(list(self._spool.glob("[!.]*"))) <= 1, what="sending what dead services left")
        process = self._process
        assert process is not None
        process.terminate()
        assert process.wait(90) == 0, "the service could not send everything"
        assert list(self._spool.iterdir()) == []
        self.kill()

    def _read(self, process: "subprocess.Popen[bytes]") -> None:
        for line in _whole_lines(process):
            event_id, taken = line.split()
            self.found.emitted[event_id.decode()] = int(taken)


def _whole_lines(process: "subprocess.Popen[bytes]") -> Iterator[bytes]:
    """Give the lines that a process writes; one that was torn by its end is none."""
    assert process.stdout is not None
    with process.stdout as lines:
        yield from (line for line in lines if line.endswith(b"\n"))
