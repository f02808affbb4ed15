"""Does the supervisor notice what does not work, and deal with it? Real servers, and small programs for processes."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from time import monotonic

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from spendgauge.deploy.stack import rounds
from spendgauge.deploy.stack.children import Child, ChildSpec, backoff_seconds
from spendgauge.deploy.stack.health import KafkaWatch
from spendgauge.deploy.stack.plan import StackPlan, make_plan
from spendgauge.deploy.stack.settings import StackSettings
from spendgauge.deploy.stack.signals import StopRequest
from spendgauge.deploy.stack.state import process_mark
from spendgauge.deploy.stack.supervisor import Supervisor
from spendgauge.schemas import ClickHouseSettings, KafkaSettings, SystemClock, UnavailableError, topic_specs
from spendgauge.schemas.kafka import create_topics

CLOCK = SystemClock()


@pytest.fixture
def plan(tmp_path: Path, kafka: KafkaSettings, clickhouse: ClickHouseSettings) -> StackPlan:
    """A plan on real servers that are somebody else's."""
    for folder in ("logs", "run"):
        (tmp_path / folder).mkdir()
    return make_plan(
        StackSettings(
            data=tmp_path,
            kafka=kafka.kafka,
            topic_prefix=kafka.topic_prefix,
            clickhouse=clickhouse.clickhouse,
            gateway_port=0,
        )
    )


@contextmanager
def supervising(plan: StackPlan, said: list[str]) -> Iterator[Supervisor]:
    """Make a supervisor, and end its processes whatever happens."""
    me = process_mark(os.getpid())
    assert me is not None
    supervisor = Supervisor(plan, clock=CLOCK, say=said.append, me=me)
    try:
        yield supervisor
    finally:
        supervisor.kill()


def spec(tmp_path: Path, *command: str, heartbeat: Path | None = None) -> ChildSpec:
    """A process with its log in the directory."""
    return ChildSpec("child", command, dict(os.environ), tmp_path, tmp_path / "child.log", heartbeat, stop_seconds=1)


@pytest.mark.integration
def test_a_process_that_cannot_start_is_named_with_its_log(plan: StackPlan) -> None:
    """Three deaths in a row end the start: with the process's name, its log, and the log's last lines."""
    broken = replace(plan, sink=replace(plan.sink, command=("sh", "-c", "echo no luck today; exit 3")))
    said: list[str] = []
    with supervising(broken, said) as supervisor, pytest.raises(UnavailableError) as raised:
        supervisor.start(StopRequest())
    assert str(raised.value) == f"sink ended 3 times; the end of its log {broken.sink.log}:\n" + "\n".join(
        ["    no luck today"] * 3
    )
    assert [line.partition(" (log")[0] for line in said] == [
        f"sink exited with status 3; it is started again in {seconds} s" for seconds in (0.5, 1.0, 2.0)
    ]


@pytest.mark.integration
def test_a_stop_during_the_start_is_obeyed(plan: StackPlan) -> None:
    """Who asks for a stop before all is up does not wait for it."""
    stop = StopRequest()
    stop.ask()
    with supervising(plan, []) as supervisor:
        started = monotonic()
        supervisor.start(stop)
        supervisor.stop(stop)
    assert monotonic() - started < 2


@pytest.mark.integration
def test_the_first_sign_of_life_may_take_longer(plan: StackPlan, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that has not beaten yet (it may be compiling) is ended later than one that has and then fell silent."""
    for name, seconds in (("_CHECK_SECONDS", 0.0), ("_SILENT_SECONDS", 0.2), ("_FIRST_BEAT_SECONDS", 4.0)):
        monkeypatch.setattr(rounds, name, seconds)
    quiet = replace(plan.sink, command=("sleep", "60"))
    assert quiet.heartbeat is not None
    workers = tuple(replace(worker, command=("sleep", "60"), heartbeat=None) for worker in plan.workers)
    for beaten in (False, True):
        said: list[str] = []
        with supervising(replace(plan, sink=quiet, workers=workers), said) as supervisor:
            while (begun := monotonic()) and not any(
                c.spec is quiet and c.is_running for c in supervisor._rounds.children
            ):
                supervisor._turn("starting")
            if beaten:
                quiet.heartbeat.touch()
            while not any("sink gives no sign of life" in line for line in said):
                supervisor._turn("starting")
        assert (monotonic() - begun < 3) == beaten


@pytest.mark.integration
def test_lag_is_what_is_not_committed(kafka: KafkaSettings) -> None:
    """All records count for a group that never committed, none for one that committed all, to the last record."""
    create_topics(kafka, topic_specs(kafka.topics, partitions=1))
    producer = Producer({"bootstrap.servers": kafka.kafka, "linger.ms": 100})
    for number in range(7):
        producer.produce(kafka.topics.usage, str(number).encode())
    producer.flush()
    watch = KafkaWatch(kafka)
    topics = [kafka.topics.usage, kafka.topics.rates]
    consumer = Consumer({"bootstrap.servers": kafka.kafka, "group.id": f"{kafka.topic_prefix}group"})
    for committed, lag in ((3, 4), (6, 1), (7, 0)):
        consumer.commit(offsets=[TopicPartition(kafka.topics.usage, 0, committed)], asynchronous=False)
        assert watch.lag(f"{kafka.topic_prefix}group", topics) == lag
    consumer.close()
    assert watch.lag("never-seen", topics) == 7
    assert watch.lag("never-seen", ["no.such.topic"]) is None
    assert not watch.is_joined("never-seen")


@pytest.mark.integration
def test_a_silent_broker_is_noticed() -> None:
    """Where nothing listens nothing answers, and nothing is known."""
    watch = KafkaWatch(KafkaSettings(kafka="127.0.0.1:1"))
    assert not watch.answers(timeout_seconds=0.3)


def test_a_child_is_restarted_later_each_time(tmp_path: Path) -> None:
    """A process that ends at once is due again after half a second, then a second, at most half a minute."""
    child = Child(spec(tmp_path, "false"), CLOCK)
    child.start_if_due()
    while (code := child.reap()) is None:
        CLOCK.sleep(0.01)
    assert (code, child.failures, child.is_running) == (1, 1, False)
    assert child.due - CLOCK.monotonic() == pytest.approx(0.5, abs=0.2)
    assert [backoff_seconds(n) for n in (1, 2, 3, 7, 99)] == [0.5, 1.0, 2.0, 30.0, 30.0]


def test_a_child_has_a_session_of_its_own(tmp_path: Path) -> None:
    """Ctrl-C in the terminal reaches the supervisor only; ``kill`` reaches what the child started, too."""
    child = Child(spec(tmp_path, "sh", "-c", "sleep 60 & echo $!; wait"), CLOCK)
    child.start_if_due()
    while not (said := child.last_lines().strip()):
        CLOCK.sleep(0.01)
    assert os.getsid(int(said)) != os.getsid(0)
    child.kill()
    while process_mark(int(said)) is not None:
        CLOCK.sleep(0.01)
    assert not child.is_running


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel ends orphans on Linux only")
def test_a_child_dies_with_its_parent() -> None:
    """A killed parent leaves no child, however the child would take signals."""
    import subprocess

    code = (
        "import subprocess, sys; from spendgauge.deploy.stack.spawn import spawn_command;"
        "child = subprocess.Popen(spawn_command(['sh', '-c', 'trap \"\" TERM INT HUP; echo ready; sleep 60']),"
        " stdout=subprocess.PIPE, text=True);"
        "print(child.pid, child.stdout.readline(), flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline().split()[0])
        assert process_mark(pid) is not None
        parent.kill()
    while process_mark(pid) is not None:
        CLOCK.sleep(0.01)


def test_a_heartbeat_is_as_old_as_its_file(tmp_path: Path) -> None:
    """Before the first beat the age counts from the start; a beat of an earlier run counts nothing."""
    beat = tmp_path / "beat"
    beat.touch()
    os.utime(beat, (0, 0))
    child = Child(spec(tmp_path, "sleep", "60", heartbeat=beat), CLOCK)
    child.start_if_due()
    assert not child.has_beaten
    assert (child.heartbeat_age() or 0.0) < 5
    beat.touch()
    assert child.has_beaten
    child.kill()
    assert Child(spec(tmp_path, "true"), CLOCK).heartbeat_age() is None


def test_a_large_log_is_put_aside(tmp_path: Path) -> None:
    """A log of more than 16 MiB makes room at the next start; one earlier log is kept."""
    log = tmp_path / "child.log"
    with log.open("wb") as file:
        file.truncate(17 << 20)
    child = Child(spec(tmp_path, "echo", "hello"), CLOCK)
    child.start_if_due()
    while child.reap() is None:
        CLOCK.sleep(0.01)
    assert (log.read_text(), (tmp_path / "child.old.log").stat().st_size) == ("hello\n", 17 << 20)
