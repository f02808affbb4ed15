"""Does Apache Kafka start as docker-compose.yml configures it? Its image's own entry point, run from its jars."""

import os
import re
import subprocess
from collections.abc import Iterator

import pytest
from tests.apache_kafka import fetch_jars
from tests.compose import compose_file

from spendgauge.deploy.stack.broker import free_port
from spendgauge.schemas import KafkaSettings, SystemClock, UnavailableError, topic_specs
from spendgauge.schemas.kafka import connect_admin, create_topics

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("java_and_maven")]

SERVICE = compose_file()["services"]["kafka"]
LOGGING = "Configuration: {Loggers: {Root: {level: WARN, AppenderRef: []}, Logger: []}}\n"
SCRIPTS = {"/opt/kafka/bin/kafka-broker-api-versions.sh": "org.apache.kafka.tools.BrokerApiVersionsCommand"}
"""Which class each of Kafka's scripts runs."""


class _Ports:
    """The container's ports, each as a free port of this machine."""

    def __init__(self) -> None:
        (published,) = SERVICE["ports"]
        self._outside, container = published.rsplit(":", 1)
        self.host = free_port()
        self._moved = {container: self.host, "9092": free_port(), "9093": free_port()}

    def move(self, text: str) -> str:
        """Rewrite an address as the same listener's address on this machine."""
        text = text.replace(f"HOST://{self._outside}", f"HOST://127.0.0.1:{self.host}")
        text = re.sub(r":(\d+)\b", lambda match: f":{self._moved.get(match[1], match[1])}", text)
        return text.replace("kafka:", "127.0.0.1:").replace("://:", "://127.0.0.1:")


def _java(*command: str, environment: dict[str, str]) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        ["java", "-Xmx384m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", f"{fetch_jars()}/*", *command],
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def _run(*command: str, environment: dict[str, str]) -> tuple[int, str]:
    with _java(*command, environment=environment) as process:
        printed, _ = process.communicate(timeout=60)
    return process.returncode, printed


@pytest.fixture(scope="module")
def ports(tmp_path_factory: pytest.TempPathFactory) -> Iterator[_Ports]:
    """Configure, format and start Kafka as its image does from the service's environment; stop it at the end."""
    folder, ports = tmp_path_factory.mktemp("kafka"), _Ports()
    volume = SERVICE["volumes"][0].partition(":")[2]
    environment = {n: ports.move(v).replace(volume, str(folder / "data")) for n, v in SERVICE["environment"].items()}
    for name in ("default", "mounted", "final"):
        (folder / name).mkdir()
    (folder / "default" / "server.properties").touch()
    for name in ("log4j2.yaml", "tools-log4j2.yaml"):
        (folder / "default" / name).write_text(LOGGING, encoding="utf-8")
    folders = [f"--{name}-configs-dir={folder / name}" for name in ("default", "mounted", "final")]
    status, printed = _run("kafka.docker.KafkaDockerWrapper", "setup", *folders, environment=environment)
    assert status == 0, printed
    properties = folder / "final" / "server.properties"
    with _java("kafka.Kafka", str(properties), environment=environment) as process:
        try:
            _wait(f"127.0.0.1:{ports.host}")
            yield ports
        finally:
            process.kill()


def _wait(address: str) -> None:
    clock = SystemClock()
    deadline = clock.monotonic() + 60
    while True:
        try:
            connect_admin(KafkaSettings(kafka=address), timeout_seconds=1)
        except UnavailableError:
            if clock.monotonic() > deadline:
                raise
        else:
            return


def test_topics_can_be_created_from_this_machine(ports: _Ports) -> None:
    """The published address leads to a broker that leads back to that address, and takes our topics as they are."""
    settings = KafkaSettings(kafka=f"127.0.0.1:{ports.host}")
    admin = connect_admin(settings)
    brokers = admin.list_topics(timeout=10).brokers.values()
    assert [f"{broker.host}:{broker.port}" for broker in brokers] == [settings.kafka]
    specs = topic_specs(settings.topics)
    assert sorted(create_topics(settings, specs)) == sorted(spec.name for spec in specs)


def test_the_health_check_passes(ports: _Ports) -> None:
    """The service's health check, run as it stands, exits 0 against the running broker."""
    kind, script, *arguments = SERVICE["healthcheck"]["test"]
    assert kind == "CMD"
    status, printed = _run(SCRIPTS[script], *map(ports.move, arguments), environment={})
    assert status == 0, printed


def test_the_health_check_fails_without_a_broker() -> None:
    """The same health check exits non-zero where no broker answers."""
    _, script, option, _ = SERVICE["healthcheck"]["test"]
    status, _ = _run(SCRIPTS[script], option, f"127.0.0.1:{free_port()}", environment={})
    assert status != 0
