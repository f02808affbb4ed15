"""What every test may use: a broker and a ClickHouse, each started once a session and always stopped."""

import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from spendgauge.deploy.broker import broker_command, free_port
from spendgauge.deploy.store import store_command
from spendgauge.schemas import ClickHouseSettings, KafkaSettings, UnavailableError
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


@pytest.fixture(scope="session")
def embedded_clickhouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run one embedded ClickHouse for the session; give its ``http://`` address without a database."""
    yield from running_store(tmp_path_factory.mktemp("store"))


@pytest.fixture
def clickhouse(embedded_clickhouse: str) -> Iterator[ClickHouseSettings]:
    """Settings of the session's ClickHouse with a fresh, empty database; it is dropped afterwards."""
    database = f"test_{next(_numbers)}"
    _post(embedded_clickhouse, f"CREATE DATABASE {database}")
    yield ClickHouseSettings(clickhouse=f"{embedded_clickhouse}/{database}")
    _post(embedded_clickhouse, f"DROP DATABASE IF EXISTS {database} SYNC")


def running_store(path: Path) -> Iterator[str]:
    """Run an embedded ClickHouse on a directory while the iterator stands; give its address."""
    port = free_port()
    with subprocess.Popen(store_command(path=path, port=port), stdout=subprocess.DEVNULL) as process:
        try:
            _wait_for_ping(f"http://127.0.0.1:{port}/ping", process)
            yield f"http://default@127.0.0.1:{port}"
        finally:
            process.terminate()
            try:
                process.wait(timeout=15)
            finally:
                process.kill()


def _wait_for_ping(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except urllib.error.URLError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def _post(address: str, statement: str) -> None:
    url = address.replace("default@", "")
    with urllib.request.urlopen(url, data=statement.encode(), timeout=30):
        pass


def _wait_for(address: str) -> None:
    for attempt in range(10):
        try:
            connect_admin(KafkaSettings(kafka=address), timeout_seconds=2)
            return
        except UnavailableError:
            if attempt == 9:
                raise
