"""What every test may use: a broker and a ClickHouse, each started once a session and always stopped."""

import subprocess
from collections.abc import Iterator
from itertools import count

import pytest
import structlog
from structlog.testing import LogCapture
from tests.apache_kafka import require_tools
from tests.brokers import EmbeddedBroker
from tests.producers import FakeBroker
from tests.stores import ask, running_store

from spendgauge.deploy.stack.broker import broker_command, free_port
from spendgauge.deploy.stack.spawn import spawn_command
from spendgauge.schemas import ClickHouseSettings, KafkaSettings, UnavailableError, topic_specs
from spendgauge.schemas.kafka import connect_admin, create_topics

_FOLDERS = ("integration", "contract", "unit")
"""The folders of tests, those whose files take longest first."""

_numbers = count()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Where several processes share the files, hand the long ones out first: then the processes end together.

    Whoever runs them in one process sees the quick ones fail first. The order within a folder stays the random one.
    """
    items.sort(key=lambda item: _FOLDERS.index(item.path.parent.name), reverse=not hasattr(config, "workerinput"))


@pytest.fixture(autouse=True)
def _logs_as_they_come() -> Iterator[None]:
    """Undo what a test did to the process's logging: the next one finds structlog as the interpreter does."""
    structlog.reset_defaults()
    yield
    structlog.reset_defaults()


@pytest.fixture
def log(_logs_as_they_come: None) -> LogCapture:
    """Collect the log lines; a module none of whose tests may write to the real log uses this fixture for all."""
    capture = LogCapture()
    structlog.configure(processors=[capture])
    return capture


@pytest.fixture
def broker() -> FakeBroker:
    """Kafka in memory, as a producer sees it."""
    return FakeBroker()


@pytest.fixture(scope="session")
def java_and_maven() -> None:
    """Skip where Apache Kafka cannot run, and fail there under ``CI=true``."""
    require_tools()


@pytest.fixture(scope="session")
def embedded_broker() -> Iterator[str]:
    """Run one embedded Kafka-protocol broker for the session; give its address."""
    address = f"127.0.0.1:{free_port()}"
    port = int(address.rsplit(":", 1)[1])
    command = spawn_command(broker_command(port=port))  # it dies with pytest, however that ends
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            _wait_for(address)
            yield address
        finally:
            process.kill()


@pytest.fixture
def kafka(embedded_broker: str) -> KafkaSettings:
    """Settings of the session's broker with a topic prefix that no other test has."""
    return KafkaSettings(kafka=embedded_broker, topic_prefix=f"t{next(_numbers)}.")


@pytest.fixture
def own_kafka() -> Iterator[KafkaSettings]:
    """A broker of one's own, with topics under their plain names."""
    with EmbeddedBroker() as broker:
        kafka = broker.settings()
        create_topics(kafka, topic_specs(kafka.topics))
        yield kafka


@pytest.fixture(scope="session")
def embedded_clickhouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run one embedded ClickHouse for the session; give its ``http://`` address without user and database."""
    with running_store(tmp_path_factory.mktemp("store")) as store:
        yield store.url


@pytest.fixture
def clickhouse(embedded_clickhouse: str) -> Iterator[ClickHouseSettings]:
    """Settings of the session's ClickHouse with a fresh, empty database; it is dropped afterwards."""
    database = f"test_{next(_numbers)}"
    assert ask(embedded_clickhouse, f"CREATE DATABASE {database}").status == 200
    address = embedded_clickhouse.replace("http://", "http://default@")
    yield ClickHouseSettings(clickhouse=f"{address}/{database}")
    ask(embedded_clickhouse, f"DROP DATABASE IF EXISTS {database} SYNC")


def _wait_for(address: str) -> None:
    for attempt in range(10):
        try:
            connect_admin(KafkaSettings(kafka=address), timeout_seconds=2)
            return
        except UnavailableError:
            if attempt == 9:
                raise
