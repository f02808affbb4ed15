"""Does every event whose ``emit`` had returned survive ``kill -9``, fork and the end of its process?"""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from tests.producers import FakeBroker, positions

from spendgauge.producers import ProducerSettings, UsageProducer
from spendgauge.schemas import SystemClock

CHILD = Path(__file__).with_name("producer_child.py")


@contextmanager
def service(mode: str, spool: Path, **fields: object) -> Iterator[subprocess.Popen[bytes]]:
    """Run a service's process that has no broker and this spool; it and its children are gone afterwards."""
    settings = ProducerSettings(service="api", host="h", kafka="127.0.0.1:1", spool_dir=str(spool), **fields)  # type: ignore[arg-type] # named by the test
    command = [sys.executable, str(CHILD), mode]
    environment = {**os.environ, **settings.environment()}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, process_group=0) as process:
        try:
            yield process
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def read_ids(process: subprocess.Popen[bytes], count: int) -> list[str]:
    """Wait for so many ids."""
    assert process.stdout is not None
    return [process.stdout.readline().decode().strip() for _ in range(count)]


def kill(process: subprocess.Popen[bytes]) -> list[str]:
    """Kill it and wait for its end; return the ids that it wrote meanwhile. The last line may be torn."""
    assert process.stdout is not None
    process.kill()
    process.wait()
    return [line.decode() for line in process.stdout.read().split(b"\n") if len(line) == 36]


@contextmanager
def heir(spool: Path, broker: FakeBroker) -> Iterator[UsageProducer]:
    """Start the next process on the same spool, here, and wait until nothing is left to replay."""
    clock = SystemClock()
    with UsageProducer(service="api", host="h", spool_dir=str(spool), connect=broker.connect) as producer:
        deadline = clock.monotonic() + 20
        while producer.replaying and clock.monotonic() < deadline:
            clock.sleep(0.02)
        yield producer


@pytest.mark.parametrize("durability", ["process", "disk"])
def test_every_event_with_an_id_survives_a_kill(tmp_path: Path, durability: str) -> None:
    """A service is killed twice in the middle of its emitting: every id that it had is replayed, each source from 0 on
    without a gap, and at most one event that was being emitted is there beside them."""
    broker, ids = FakeBroker(), list[str]()
    for _ in range(2):
        with service("until_killed", tmp_path, durability=durability) as process:
            ids += read_ids(process, 300)
            ids += kill(process)
    with heir(tmp_path, broker) as producer:
        assert producer.stats().replayed == len(broker.events)
    found = [event.event_id for event in broker.events]
    assert set(ids) <= set(found)
    assert len(found) <= len(ids) + 2
    assert [seqs == list(range(len(seqs))) for seqs in positions(broker.records).values()] == [True, True]
    assert list(tmp_path.iterdir()) == []


def test_what_a_living_process_has_is_its_own(tmp_path: Path) -> None:
    """While a process lives nobody takes over its directory; from the moment it is killed anybody may."""
    broker = FakeBroker()
    with service("until_killed", tmp_path, durability="process") as process:
        ids = read_ids(process, 50)
        with heir(tmp_path, broker):
            assert broker.records == []
        ids += kill(process)
        with heir(tmp_path, broker):
            assert set(ids) <= {event.event_id for event in broker.events}


def test_a_child_keeps_nobody_from_its_parents_spool(tmp_path: Path) -> None:
    """Parent and child of a fork have a directory each; when the parent is killed its events are replayed, although the
    child that had its files open lives on; the child's follow when that is killed."""
    broker = FakeBroker()
    with service("both_until_killed", tmp_path, durability="process") as process:
        ids = read_ids(process, 400)
        process.kill()
        process.wait()
        with heir(tmp_path, broker):
            (parents,) = positions(broker.records).values()
            assert parents == list(range(len(parents)))
            assert len(parents) >= 20
        os.killpg(process.pid, signal.SIGKILL)
        ids += kill(process)
        while list(tmp_path.iterdir()):  # the child is not ours to wait for
            with heir(tmp_path, broker):
                pass
    assert len(positions(broker.records)) == 2
    assert set(ids) <= {event.event_id for event in broker.events}


def test_a_normal_end_without_a_broker_loses_nothing(tmp_path: Path) -> None:
    """A process in ``memory`` mode that ends while the broker is away leaves everything to the next one, in order."""
    broker = FakeBroker()
    with service("forget_to_close", tmp_path, exit_seconds=0.1) as process:
        assert process.wait(30) == 0
        with heir(tmp_path, broker):
            assert list(positions(broker.records).values()) == [list(range(50))]
