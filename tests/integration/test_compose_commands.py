"""Do the Compose file's services run? Each one's exact command and environment, by hand on the embedded servers."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.compose import compose_file

from spendgauge.producers import UsageProducer
from spendgauge.schemas import ClickHouseSettings, KafkaSettings, SystemClock
from spendgauge.sinks.clickhouse import connect

pytestmark = pytest.mark.integration

SPENDGAUGE = Path(sys.executable).with_name("spendgauge")
FILE = compose_file()
EVENTS = 500


@dataclass(frozen=True)
class Machine:
    """Stands in for the container engine: another broker, database and folder under the same names."""

    kafka: KafkaSettings
    clickhouse: ClickHouseSettings
    folder: Path

    def move(self, text: str) -> str:
        """Rewrite what the file says to where it is here."""
        for there, here in (
            ("http://spendgauge:@clickhouse:8123/spendgauge", self.clickhouse.clickhouse),
            ("kafka:9092", self.kafka.kafka),
            ("/tmp/", f"{self.folder}/"),
        ):
            text = text.replace(there, here)
        return text

    def environment(self, service: str) -> dict[str, str]:
        """Give a service's environment, and what only the shared embedded broker needs: a prefix, a short session."""
        written = {name: self.move(value) for name, value in FILE["services"][service]["environment"].items()}
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("SPENDGAUGE_")}
        ours = {"SPENDGAUGE_TOPIC_PREFIX": self.kafka.topic_prefix, "SPENDGAUGE_SESSION_TIMEOUT_SECONDS": "6"}
        return inherited | written | ours

    def run_job(self, service: str) -> str:
        """Run a one-shot service to its end; it must succeed."""
        command = [SPENDGAUGE, *FILE["services"][service]["command"]]
        done = subprocess.run(
            command, env=self.environment(service), cwd=self.folder, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    @contextmanager
    def running(self, service: str) -> Iterator["subprocess.Popen[bytes]"]:
        """Run a long-running service; what is still there at the end is killed."""
        command = [SPENDGAUGE, *FILE["services"][service]["command"]]
        log = (self.folder / f"{service}.log").open("ab")
        with (
            log,
            subprocess.Popen(
                command,
                env=self.environment(service),
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            ) as process,
        ):
            try:
                yield process
            finally:
                process.kill()

    def is_healthy(self, service: str) -> bool:
        """Run a service's health check as the container engine would."""
        kind, text = FILE["services"][service]["healthcheck"]["test"]
        assert kind == "CMD-SHELL"
        return subprocess.run(["/bin/sh", "-c", self.move(text)], check=False).returncode == 0

    def count(self, query: str) -> int:
        """Ask the database for a number."""
        with ExitStack() as stack:
            client = connect(self.clickhouse)
            stack.callback(client.close)
            return int(str(client.command(query)))


@pytest.fixture
def machine(kafka: KafkaSettings, clickhouse: ClickHouseSettings, tmp_path: Path) -> Machine:
    """A machine on the session's embedded servers."""
    return Machine(kafka, clickhouse, tmp_path)


def _eventually(true: Callable[[], Any], *, seconds: float = 60) -> None:
    clock = SystemClock()
    deadline = clock.monotonic() + seconds
    while not true():
        assert clock.monotonic() < deadline
        clock.sleep(0.2)


def test_the_services_do_their_work_and_stop_in_order(machine: Machine) -> None:
    """Topics, migrations, worker and sink started as the file says count every event once, look healthy, and stop
    with status 0 when they are told to."""
    assert "usage.events" in machine.run_job("topics")
    machine.run_job("migrate")
    with machine.running("worker") as worker, machine.running("sink") as sink:
        with UsageProducer(**machine.kafka.model_dump(), service="shop") as producer:
            for _ in range(EVENTS):
                producer.emit(provider="anthropic", model="claude-haiku-4-5", input_tokens=10, output_tokens=1)
        rated = "SELECT sum(requests) FROM rates WHERE series = 'total'"
        _eventually(lambda: machine.count("SELECT count() FROM usage") == EVENTS)
        _eventually(lambda: machine.count(rated) == EVENTS)
        _eventually(lambda: machine.is_healthy("worker") and machine.is_healthy("sink"))
        for service, process in (("worker", worker), ("sink", sink)):
            process.send_signal(signal.SIGTERM)
            grace = float(FILE["services"][service]["stop_grace_period"].removesuffix("s"))
            assert process.wait(grace) == 0, (machine.folder / f"{service}.log").read_text()


def test_jobs_may_run_again(machine: Machine) -> None:
    """``docker compose up`` a second time runs the jobs a second time: they succeed and change nothing."""
    for _ in range(2):
        machine.run_job("topics")
        machine.run_job("migrate")
    assert machine.count("SELECT count() FROM usage") == 0


@pytest.mark.parametrize("service", ["worker", "sink"])
def test_a_stuck_loop_is_unhealthy(machine: Machine, service: str) -> None:
    """The health check fails before the first heartbeat and 31 seconds after the last one, and passes in between."""
    heartbeat = Path(machine.environment(service)["SPENDGAUGE_HEARTBEAT"])
    now = SystemClock().now_ms() / 1000
    assert not machine.is_healthy(service)
    heartbeat.touch()
    assert machine.is_healthy(service)
    os.utime(heartbeat, (now - 31, now - 31))
    assert not machine.is_healthy(service)


@pytest.mark.skipif(shutil.which("wget") is None, reason="this machine has no wget, as ClickHouse's image has")
def test_the_database_health_check_passes(machine: Machine) -> None:
    """ClickHouse's health check, run as it stands, exits 0 where the HTTP interface answers, and 4 where none does."""
    kind, *command = FILE["services"]["clickhouse"]["healthcheck"]["test"]
    assert kind == "CMD"
    answers = machine.clickhouse.clickhouse.split("@")[1].split("/")[0]
    for address, status in ((answers, 0), ("127.0.0.1:1", 4)):
        here = [word.replace("127.0.0.1:8123", address) for word in command]
        assert subprocess.run(here, check=False).returncode == status
