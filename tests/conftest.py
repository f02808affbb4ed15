"""What every test may use: a broker of its own kind, started once a session and always stopped."""

import subprocess
from collections.abc import Iterator
from itertools import count

import pytest

from spendgauge.deploy.broker import broker_command, free_port
from spendgauge.schemas import KafkaSettings, UnavailableError
from spendgauge.schemas.kafka import connect_admin

_numbers = count()


@pytest.fixture(scope="session")
def embedded_broker() -> Iterator[str]:
    """Run one embedded Kafka-protocol broker for the session; give its address."""
    address = f"127.0.0.1:{free_port()}"
    port = int(address.rsplit(":", 1)[1])
    with subprocess.Popen(broker_command(port=port), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            _wait_for(address)
            yield address
        finally:
            process.kill()


@pytest.fixture
def kafka(embedded_broker: str) -> KafkaSettings:
    """Settings of the session's broker with a topic prefix that no other test has."""
    return KafkaSettings(kafka=embedded_broker, topic_prefix=f"t{next(_numbers)}.")


def _wait_for(address: str) -> None:
    for attempt in range(10):
        try:
            connect_admin(KafkaSettings(kafka=address), timeout_seconds=2)
            return
        except UnavailableError:
            if attempt == 9:
                raise
