"""What can be taken away from a running worker? Its processor, its broker, its topic: the totals stay exact."""

import signal
import subprocess
from collections.abc import Iterator
from time import monotonic, sleep

import pytest
from tests.loads import FollowedRates, Load, differences, send
from tests.workers import running_worker, until_rated

from spendgauge.deploy.broker import broker_command, free_port
from spendgauge.schemas import KafkaSettings, SystemClock, UnavailableError, topic_specs
from spendgauge.schemas.kafka import connect_admin, create_topics

pytestmark = pytest.mark.integration

_LONGER_THAN_A_SESSION = 5.0


def _load(seed: int) -> Load:
    return Load(seed=seed, start_ms=SystemClock().now_ms() - 600_000)


def _send(kafka: KafkaSettings, load: Load, events: int) -> None:
    send(kafka, load.lines(events, spread_ms=60_000), per_record=(1, 1, 20), seed=events)


@pytest.fixture
def own_broker() -> Iterator[tuple[KafkaSettings, subprocess.Popen[bytes]]]:
    """Run a broker that the test may stop."""
    port = free_port()
    kafka = KafkaSettings(kafka=f"127.0.0.1:{port}")
    with subprocess.Popen(broker_command(port=port), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            _create_topics(kafka)
            yield kafka, process
        finally:
            process.kill()


def _create_topics(kafka: KafkaSettings) -> None:
    deadline = monotonic() + 30
    while True:
        try:
            create_topics(kafka, topic_specs(kafka.topics))
            return
        except UnavailableError:
            if monotonic() > deadline:
                raise


def test_a_zombie_changes_nothing(kafka: KafkaSettings) -> None:
    """A worker that sleeps longer than its session, in the middle of its work, wakes up and writes what its successor
    has written: no total changes."""
    create_topics(kafka, topic_specs(kafka.topics))
    load = _load(11)
    with running_worker(kafka) as zombie, running_worker(kafka), FollowedRates(kafka) as rates:
        _send(kafka, load, 5_000)
        assert until_rated(rates, load.sent) == load.sent
        _send(kafka, load, 20_000)
        sleep(0.2)
        zombie.send_signal(signal.SIGSTOP)
        sleep(_LONGER_THAN_A_SESSION)
        _send(kafka, load, 5_000)
        zombie.send_signal(signal.SIGCONT)
        requests = until_rated(rates, load.sent)
        assert differences(load.expected(), rates.totals()) == {}
    assert requests == load.sent


def test_a_recreated_topic_begins_anew(kafka: KafkaSettings) -> None:
    """A topic that is deleted and created again under running workers is rated from its start, and what was rated of
    the old one stays."""
    create_topics(kafka, topic_specs(kafka.topics))
    load = _load(12)
    with running_worker(kafka), running_worker(kafka), FollowedRates(kafka) as rates:
        _send(kafka, load, 5_000)
        assert until_rated(rates, load.sent) == load.sent
        admin = connect_admin(kafka)
        admin.delete_topics([kafka.topics.usage])[kafka.topics.usage].result()
        create_topics(kafka, topic_specs(kafka.topics))
        _send(kafka, load, 8_000)
        requests = until_rated(rates, load.sent)
        assert differences(load.expected(), rates.totals()) == {}
    assert requests == load.sent


def test_a_broker_that_sleeps_is_waited_for(own_broker: tuple[KafkaSettings, subprocess.Popen[bytes]]) -> None:
    """Workers wait for a broker that does not answer for longer than a session, and go on."""
    kafka, broker = own_broker
    load = _load(13)
    with running_worker(kafka) as one, running_worker(kafka) as other, FollowedRates(kafka) as rates:
        _send(kafka, load, 5_000)
        assert until_rated(rates, load.sent) == load.sent
        _send(kafka, load, 10_000)
        broker.send_signal(signal.SIGSTOP)
        sleep(_LONGER_THAN_A_SESSION)
        broker.send_signal(signal.SIGCONT)
        _send(kafka, load, 2_000)
        requests = until_rated(rates, load.sent)
        assert differences(load.expected(), rates.totals()) == {}
        assert (one.poll(), other.poll()) == (None, None)
    assert requests == load.sent


def test_a_worker_stops_without_its_broker(own_broker: tuple[KafkaSettings, subprocess.Popen[bytes]]) -> None:
    """A worker whose broker is gone says so now and then, and ends when told to."""
    kafka, broker = own_broker
    load = _load(14)
    with running_worker(kafka, errors=subprocess.PIPE) as worker, FollowedRates(kafka) as rates:
        _send(kafka, load, 2_000)
        assert until_rated(rates, load.sent) == load.sent
        broker.kill()
        sleep(2)
        worker.terminate()
        said = worker.communicate(timeout=30)[1].splitlines()
    assert worker.returncode == 0
    assert len(said) < 20
