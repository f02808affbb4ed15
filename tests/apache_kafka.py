"""How do tests get a real Apache Kafka? Its own jars from Maven Central, in KRaft mode, one broker or several.

Every broker is broker and controller at once. Start takes two to four seconds; ``stop`` always ends every
process that was started, and nothing else.
"""

import os
import shutil
import signal
import subprocess
import zlib
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Self

import pytest
from confluent_kafka.admin import AdminClient

from spendgauge.deploy.stack.broker import free_port
from spendgauge.deploy.stack.spawn import spawn_command
from spendgauge.schemas import KafkaSettings, UnavailableError
from spendgauge.schemas.kafka import connect_admin

__all__ = ["PASSWORD", "USER", "ApacheKafka", "fetch_jars", "missing_tool", "require_tools"]

_POM = Path(__file__).with_name("kafka") / "pom.xml"
_JARS = _POM.with_name("jars")
_CLUSTER_ID = "c3BlbmRnYXVnZS10ZXN0cw"
USER, PASSWORD = "spendgauge", "correct-horse-battery"
"""Who may use a secured cluster."""

_STORE_PASSWORD = "only-for-a-test"
_JAVA = ("java", "-Xmx384m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Dlog4j2.level=WARN")


def missing_tool() -> str | None:
    """Name the tool that is missing to run Apache Kafka, or None where nothing is."""
    return next((tool for tool in ("java", "mvn") if shutil.which(tool) is None), None)


def require_tools() -> None:
    """Skip the test that asks, with the reason, where Apache Kafka cannot run; under ``CI=true`` fail it."""
    missing = missing_tool()
    if missing is None:
        return
    reason = f"Apache Kafka needs {missing}, which is not installed here"
    if os.environ.get("CI") == "true":
        pytest.fail(f"{reason}; CI tests on both brokers")
    pytest.skip(reason)


def fetch_jars() -> Path:
    """Copy Kafka's jars beside the pom once; raise ``subprocess.CalledProcessError`` where Maven cannot."""
    done = _JARS / f"{zlib.crc32(_POM.read_bytes()):08x}.done"
    if not done.exists():
        command = ["mvn", "-q", "-B", "-f", str(_POM), "dependency:copy-dependencies", f"-DoutputDirectory={_JARS}"]
        subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
        done.touch()
    return _JARS


class ApacheKafka:
    """A cluster of Apache Kafka brokers on loopback that can be killed, paused and started again."""

    def __init__(self, directory: Path, *, brokers: int = 1, secured: bool = False) -> None:
        """Lay out ``brokers`` configurations under ``directory``; nothing is started yet.

        ``secured``: clients reach it only through SASL_SSL, as ``USER``, and trust ``certificate``.
        """
        self.certificate = directory / "certificate.pem"
        self._secured = secured
        self.nodes = range(brokers)
        self._directory = directory
        self._ports = [(free_port(), free_port()) for _ in range(brokers)]
        self._processes: list[subprocess.Popen[bytes] | None] = [None] * brokers
        self.address = ",".join(f"127.0.0.1:{port}" for port, _ in self._ports)

    def __enter__(self) -> Self:
        """Format and start all brokers, and wait until each answers."""
        jars = fetch_jars()
        try:
            if self._secured:
                self._make_certificate()
            with ThreadPoolExecutor() as pool:
                list(pool.map(lambda node: self._format(node, jars), self.nodes))
            for node in self.nodes:
                self.start(node)
            for node in self.nodes:
                self.wait(node)
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Stop all brokers."""
        self.stop()

    @property
    def _protocol(self) -> str:
        return "SASL_SSL" if self._secured else "PLAINTEXT"

    def settings(self, prefix: str = "", *, address: str = "") -> KafkaSettings:
        """Say how the cluster (or the broker at one of its addresses) is reached."""
        options = self.client_options() if self._secured else {}
        return KafkaSettings(kafka=address or self.address, kafka_options=options, topic_prefix=prefix)

    def start(self, node: int) -> None:
        """Start one broker on its own directory (again, after ``kill``)."""
        log = (self._directory / f"{node}.log").open("ab")
        command = [*_JAVA, "-cp", f"{_JARS}/*", "kafka.Kafka", str(self._properties(node))]
        command = list(spawn_command(command))  # it dies with pytest, however that ends
        with log:
            self._processes[node] = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def wait(self, node: int, *, timeout_seconds: float = 60) -> None:
        """Wait until a broker answers and the whole cluster is visible from it."""
        settings = self.settings(address=f"127.0.0.1:{self._ports[node][0]}")
        for attempt in range(int(timeout_seconds)):
            with suppress(UnavailableError):
                if len(connect_admin(settings, timeout_seconds=1).list_topics(timeout=5).brokers) == len(self._ports):
                    return
            process = self._processes[node]
            if process is None or process.poll() is not None or attempt == int(timeout_seconds) - 1:
                tail = (self._directory / f"{node}.log").read_text()[-2000:]
                raise UnavailableError(f"Kafka broker {node} did not start; its log ends: {tail}")

    def kill(self, node: int) -> None:
        """End a broker with SIGKILL."""
        process = self._processes[node]
        if process is not None:
            process.kill()
            process.wait()
            self._processes[node] = None

    def pause(self, node: int) -> None:
        """Freeze a broker: its connections stay open and nothing answers."""
        self._signal(node, signal.SIGSTOP)

    def resume(self, node: int) -> None:
        """Let a paused broker go on."""
        self._signal(node, signal.SIGCONT)

    def coordinator(self, group: str) -> int:
        """Say which broker coordinates a consumer group."""
        admin = AdminClient({"bootstrap.servers": self.address})
        return int(admin.describe_consumer_groups([group])[group].result().coordinator.id) - 1

    def stop(self) -> None:
        """Kill every broker that was started."""
        for node in self.nodes:
            self.kill(node)

    def _signal(self, node: int, number: signal.Signals) -> None:
        process = self._processes[node]
        if process is not None:
            os.kill(process.pid, number)

    def _properties(self, node: int) -> Path:
        return self._directory / f"{node}.properties"

    def _format(self, node: int, jars: Path) -> None:
        copies = min(3, len(self._ports))
        port, controller_port = self._ports[node]
        voters = ",".join(f"{i + 1}@127.0.0.1:{controller}" for i, (_, controller) in enumerate(self._ports))
        lines = {
            "process.roles": "broker,controller",
            "node.id": node + 1,
            "controller.quorum.voters": voters,
            "listeners": f"BROKER://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}",
            "advertised.listeners": f"BROKER://127.0.0.1:{port}",
            "listener.security.protocol.map": f"BROKER:{self._protocol},CONTROLLER:PLAINTEXT",
            "controller.listener.names": "CONTROLLER",
            "inter.broker.listener.name": "BROKER",
            "log.dirs": self._directory / f"data{node}",
            "auto.create.topics.enable": "false",
            "default.replication.factor": copies,
            "min.insync.replicas": min(2, copies),
            "offsets.topic.replication.factor": copies,
            "offsets.topic.num.partitions": 4,
            "transaction.state.log.replication.factor": copies,
            "transaction.state.log.min.isr": min(2, copies),
            "group.initial.rebalance.delay.ms": 0,
            "broker.session.timeout.ms": 3000,
            "broker.heartbeat.interval.ms": 500,
            "log.initial.task.delay.ms": 500,
            "log.cleaner.backoff.ms": 500,
        }
        lines |= self._security() if self._secured else {}
        self._properties(node).write_text("".join(f"{name}={value}\n" for name, value in lines.items()))
        command = [*_JAVA, "-cp", f"{jars}/*", "kafka.tools.StorageTool", "format"]
        command += ["-t", _CLUSTER_ID, "-c", str(self._properties(node))]
        if self._secured:
            command += ["--add-scram", f"SCRAM-SHA-512=[name={USER},password={PASSWORD}]"]
        subprocess.run(command, check=True, capture_output=True)

    def client_options(self) -> dict[str, str]:
        """Give the librdkafka options with which a secured cluster is reached."""
        return {
            "security.protocol": "SASL_SSL",
            "sasl.mechanism": "SCRAM-SHA-512",
            "sasl.username": USER,
            "sasl.password": PASSWORD,
            "ssl.ca.location": str(self.certificate),
        }

    def _security(self) -> dict[str, object]:
        module = "org.apache.kafka.common.security.scram.ScramLoginModule"
        login = f'{module} required username="{USER}" password="{PASSWORD}";'
        return {
            "sasl.enabled.mechanisms": "SCRAM-SHA-512",
            "sasl.mechanism.inter.broker.protocol": "SCRAM-SHA-512",
            "listener.name.broker.scram-sha-512.sasl.jaas.config": login,
            "ssl.keystore.type": "PKCS12",
            "ssl.keystore.location": self._directory / "keystore.p12",
            "ssl.keystore.password": _STORE_PASSWORD,
            "ssl.truststore.type": "PEM",
            "ssl.truststore.location": self.certificate,
        }

    def _make_certificate(self) -> None:
        """Make a key for 127.0.0.1 that is its own authority, with the tool that every Java brings."""
        store = ["-keystore", str(self._directory / "keystore.p12"), "-storetype", "PKCS12", "-alias", "broker"]
        store += ["-storepass", _STORE_PASSWORD]
        made = ["-genkeypair", "-keyalg", "RSA", "-dname", "CN=127.0.0.1", "-ext", "san=ip:127.0.0.1"]
        shown = ["-exportcert", "-rfc", "-file", str(self.certificate)]
        for arguments in (made, shown):
            subprocess.run(["keytool", *arguments, *store], check=True, capture_output=True)
