"""Do events survive the ways a process forks and ends?"""

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from tests.producers import positions, read_back, unpacked

from spendgauge.producers import ProducerSettings
from spendgauge.schemas import KafkaSettings, SystemClock, topic_specs
from spendgauge.schemas.kafka import create_topics

CHILD = Path(__file__).with_name("producer_child.py")


def run(mode: str, kafka: KafkaSettings, **fields: object) -> subprocess.CompletedProcess[str]:
    """Run a service's process in this mode until it ends, well or badly."""
    settings = ProducerSettings.from_environment({}, service="api", host="h", **kafka.model_dump(), **fields)
    environment = {**os.environ, **settings.environment()}
    command = [sys.executable, str(CHILD), mode]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.integration
@pytest.mark.parametrize("durability", ["memory", "process", "disk"])
@pytest.mark.parametrize(
    ("mode", "events_a_source"),
    [
        ("forget_to_close", [50]),
        ("fork", [30, 50]),
        ("fork_in_vain", [20]),
        ("multiprocess", [20, 30]),
    ],
)
def test_each_process_is_a_source_and_loses_nothing(
    kafka: KafkaSettings, tmp_path: Path, mode: str, events_a_source: list[int], durability: str
) -> None:
    """Without a close, and on both sides of a fork: every event arrives once, each process its own source from 0, and
    no file is left."""
    create_topics(kafka, topic_specs(kafka.topics))
    done = run(mode, kafka, spool_dir=str(tmp_path), durability=durability)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    found = positions(read_back(kafka, events=sum(events_a_source)))
    assert sorted(found.values(), key=len) == [list(range(count)) for count in events_a_source]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.integration
@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="this system does not name a process's threads")
def test_a_fork_finds_no_client_that_connects(kafka: KafkaSettings, tmp_path: Path) -> None:
    """What a thread of librdkafka locks stays locked in the child (``getaddrinfo`` would hang there for ever), and it
    locks where it connects: neither a producer nor a guard has one then. A client that works is left as it is."""
    create_topics(kafka, topic_specs(kafka.topics))
    done = run("fork_with_clients", kafka, spool_dir=str(tmp_path), durability="memory")
    assert (done.returncode, done.stdout, done.stderr) == (0, "True False\nTrue True\n", "")
    found = positions(read_back(kafka, events=160))
    assert sorted(len(set(seqs)) for seqs in found.values()) == [30, 30, 100]


@pytest.mark.integration
@pytest.mark.filterwarnings("ignore:.*use of fork.*:DeprecationWarning")
def test_who_forks_often_sends_all_the_same(kafka: KafkaSettings, tmp_path: Path) -> None:
    """Two threads that fork fifty times a second each keep no client from connecting, and leave nothing held."""
    create_topics(kafka, topic_specs(kafka.topics))
    done = run("fork_often", kafka, spool_dir=str(tmp_path), durability="memory")
    assert (done.returncode, done.stdout, done.stderr) == (0, "True\n", "")
    assert [set(seqs) for seqs in positions(read_back(kafka, events=50)).values()] == [set(range(50))]


@pytest.mark.integration
@pytest.mark.parametrize("durability", ["memory", "process"])
def test_a_signal_handler_may_emit(kafka: KafkaSettings, tmp_path: Path, durability: str) -> None:
    """Emitting from a signal handler that interrupts an emit neither hangs nor loses: both are in one numbering."""
    create_topics(kafka, topic_specs(kafka.topics))
    spool = {"spool_dir": str(tmp_path), "durability": durability}
    done = run("interrupt", kafka, queue_events=10**7, queue_bytes=10**9, **spool)
    assert (done.returncode, done.stderr) == (0, "")
    records = read_back(kafka, events=int(done.stdout))
    assert Counter(event.feature for event in unpacked(records))["signal"] == 200
    (seqs,) = positions(records).values()
    assert seqs == list(range(len(seqs)))


@pytest.mark.integration
def test_a_prefork_server_loses_nothing(kafka: KafkaSettings, tmp_path: Path) -> None:
    """A producer made before the fork, as gunicorn's ``preload_app`` does: every id that master or workers had arrives,
    whether a worker is asked to end, told to end at once, or killed; each process is a source without a gap."""
    create_topics(kafka, topic_specs(kafka.topics))
    done = run("prefork", kafka, spool_dir=str(tmp_path), durability="process")
    assert (done.returncode, done.stderr) == (0, "")
    ids = done.stdout.split()
    records = read_back(kafka, events=len(ids))
    assert set(ids) <= {event.event_id for event in unpacked(records)}
    found = positions(records)
    assert all(set(seqs) == set(range(len(set(seqs)))) for seqs in found.values())
    assert len(found) == 5
    assert list(tmp_path.iterdir()) == []


def test_an_end_without_a_broker_is_bounded_and_told() -> None:
    """With the broker away a process ends within ``exit_seconds``, and says how many events that cost."""
    before = SystemClock().monotonic()
    done = run("forget_to_close", KafkaSettings(kafka="127.0.0.1:1"), exit_seconds=0.2)
    assert (done.returncode, done.stdout) == (0, "")
    assert "events lost: closed before the broker had acknowledged them' count=50" in done.stderr
    assert SystemClock().monotonic() - before < 15
