"""On which brokers must everything hold? The embedded one and three of Apache Kafka, handled alike."""

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol, Self

from tests.apache_kafka import ApacheKafka

from spendgauge.deploy.stack.broker import broker_command, free_port
from spendgauge.deploy.stack.spawn import spawn_command
from spendgauge.schemas import KafkaSettings, UnavailableError
from spendgauge.schemas.kafka import connect_admin

__all__ = ["Brokers", "EmbeddedBroker", "down", "frozen", "running_brokers"]


class Brokers(Protocol):
    """One broker or several of them, whose processes a test may take the processor from."""

    address: str
    nodes: range

    def pause(self, node: int) -> None:
        """Freeze a broker: its connections stay open and nothing answers."""

    def resume(self, node: int) -> None:
        """Let a paused broker go on."""


class EmbeddedBroker:
    """Tansu, which keeps all in memory: it can be frozen, and whoever kills it has deleted the topics."""

    nodes = range(1)

    def __init__(self) -> None:
        port = free_port()
        self.address = f"127.0.0.1:{port}"
        self._process: subprocess.Popen[bytes] | None = None
        self._command = spawn_command(broker_command(port=port))  # it dies with pytest, however that ends

    def __enter__(self) -> Self:
        """Start it and wait until it answers."""
        self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            for attempt in range(10):
                try:
                    connect_admin(KafkaSettings(kafka=self.address), timeout_seconds=2)
                    break
                except UnavailableError:
                    if attempt == 9:
                        raise
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Kill it."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def settings(self, prefix: str = "") -> KafkaSettings:
        """Say how it is reached."""
        return KafkaSettings(kafka=self.address, topic_prefix=prefix)

    def pause(self, node: int) -> None:
        """Freeze it; ``node`` is 0."""
        self._signal(node, signal.SIGSTOP)

    def resume(self, node: int) -> None:
        """Let it go on."""
        self._signal(node, signal.SIGCONT)

    def _signal(self, node: int, number: signal.Signals) -> None:
        assert node == 0
        assert self._process is not None
        os.kill(self._process.pid, number)


@contextmanager
def frozen(brokers: Brokers, node: int) -> Iterator[None]:
    """Freeze a broker for as long as the block takes, and let it go on even where that fails."""
    brokers.pause(node)
    try:
        yield
    finally:
        brokers.resume(node)


@contextmanager
def down(brokers: ApacheKafka, node: int) -> Iterator[None]:
    """Kill a broker for as long as the block takes, and start it again even where that fails."""
    brokers.kill(node)
    try:
        yield
    finally:
        brokers.start(node)
        brokers.wait(node)


@contextmanager
def running_brokers(kind: str, directory: Path) -> Iterator[ApacheKafka | EmbeddedBroker]:
    """Run what a test's parameter names: ``embedded`` or ``kafka``."""
    with EmbeddedBroker() if kind == "embedded" else ApacheKafka(directory, brokers=3) as brokers:
        yield brokers
