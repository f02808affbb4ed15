"""How do partitions change hands on Apache Kafka? Within a heartbeat of a signal, and not at all under a name."""

import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from time import monotonic, sleep

import pytest
from tests.apache_kafka import ApacheKafka, missing_tool
from tests.monitors import Monitor
from tests.workers import running_worker

from spendgauge.deploy.stack.broker import free_port
from spendgauge.schemas import KafkaSettings, topic_specs
from spendgauge.schemas.kafka import create_topics

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(missing_tool() is not None, reason=f"Apache Kafka needs {missing_tool()}"),
]

_SESSION_SECONDS = 30
"""Longer than a worker takes to start again on a busy machine; nothing here waits for its end."""


@pytest.fixture(scope="module")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaSettings]:
    """Apache Kafka, one broker, with our topics."""
    with ApacheKafka(tmp_path_factory.mktemp("kafka")) as cluster:
        settings = KafkaSettings(kafka=cluster.address)
        create_topics(settings, topic_specs(settings.topics))
        yield settings


class _Worker:
    """A worker that is watched, and can be started again as it was."""

    def __init__(self, stack: ExitStack, kafka: KafkaSettings, **settings: str) -> None:
        self._stack = stack
        self._kafka = kafka
        self._settings = {"session_timeout_seconds": str(_SESSION_SECONDS), **settings}
        self.monitor = Monitor(free_port())
        self.start()

    def start(self) -> None:
        """Start it."""
        worker = running_worker(self._kafka, monitor_port=self.monitor.port, **self._settings)  # type: ignore[arg-type]  # all are settings
        self.process: subprocess.Popen[bytes] = self._stack.enter_context(worker)

    def stop(self) -> None:
        """Ask it to stop, and wait until it has."""
        self.process.terminate()
        assert self.process.wait(20) == 0

    def until(self, partitions: int) -> float:
        """Wait until it is ready and has so many partitions; say how long that took."""
        began = monotonic()
        while not (self.monitor.ready and self.monitor.figure("spendgauge_rates_assigned_partitions") == partitions):
            assert self.process.poll() is None, "it has ended"
            assert monotonic() - began < 60, self.monitor.reasons
            sleep(0.05)
        return monotonic() - began


def test_partitions_change_hands_at_a_signal(kafka: KafkaSettings) -> None:
    """A worker that is told to stop leaves its group: the other is ready with all partitions well before the session
    would have timed out."""
    with ExitStack() as stack:
        one, other = (_Worker(stack, kafka, rates_group="signal") for _ in range(2))
        assert one.until(2) + other.until(2) < 60
        one.process.terminate()
        assert other.until(4) < _SESSION_SECONDS / 2
        assert one.process.wait(20) == 0


def test_a_worker_under_its_own_name_comes_back_unnoticed(kafka: KafkaSettings) -> None:
    """Restarted within the session timeout it has its partitions again, and the other does not even pause."""
    with ExitStack() as stack:
        one, other = (_Worker(stack, kafka, rates_group="named", instance_id=name) for name in "ab")
        assert one.until(2) + other.until(2) < 60
        rebalances = other.monitor.figure("spendgauge_rates_rebalances_total")
        one.stop()
        assert (other.monitor.ready, other.monitor.figure("spendgauge_rates_assigned_partitions")) == (True, 2)
        one.start()
        assert one.until(2) < 60
        assert (other.monitor.ready, other.monitor.figure("spendgauge_rates_assigned_partitions")) == (True, 2)
        assert other.monitor.figure("spendgauge_rates_rebalances_total") == rebalances
