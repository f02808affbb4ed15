"""How does a worker live? It starts, rates, rejects, commits when idle, stops at once, and goes on where it was."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from time import monotonic, sleep

import pytest
from tests.brokers import EmbeddedBroker
from tests.loads import Followed, FollowedRates, Load, differences, send
from tests.workers import FAUST, OURS, committed, running_worker, until_rated

from spendgauge.schemas import KafkaSettings, SystemClock, topic_specs
from spendgauge.schemas.kafka import connect_admin, create_topics

pytestmark = pytest.mark.integration

_BAD_LINES = (b"{", b'{"event_id":1}', b"\xff", b'["a list"]')


def _load(seed: int) -> Load:
    return Load(seed=seed, start_ms=SystemClock().now_ms() - 600_000)


def _with_bad_lines(lines: Iterator[tuple[str, bytes]]) -> Iterator[tuple[str, bytes]]:
    """Put a bad line after every tenth."""
    for number, (source, line) in enumerate(lines):
        yield source, line
        if number % 10 == 0:
            yield source, _BAD_LINES[number // 10 % len(_BAD_LINES)]


def _until_committed(kafka: KafkaSettings, records: int) -> int:
    deadline = monotonic() + 30
    while (found := committed(kafka)) != records and monotonic() < deadline:
        sleep(0.1)
    return found


def _wait_for_topics(kafka: KafkaSettings) -> None:
    admin = connect_admin(kafka)
    deadline = monotonic() + 30
    while not {spec.name for spec in topic_specs(kafka.topics)} <= admin.list_topics(timeout=5).topics.keys():
        assert monotonic() < deadline, "the worker has not created its topics"
        sleep(0.1)


@pytest.mark.parametrize("command", [FAUST, OURS], ids=["faust", "python"])
def test_a_worker_rates_and_leaves_at_once(kafka: KafkaSettings, tmp_path: Path, command: tuple[str, ...]) -> None:
    """Started by Faust's own command or by ours, it creates the topics it misses, rates, and ends within seconds of
    SIGTERM; nothing is left in its directory."""
    load = _load(5)
    with running_worker(kafka, command, cwd=tmp_path) as process:
        _wait_for_topics(kafka)
        send(kafka, load.lines(2_000, spread_ms=100_000), per_record=(1, 7))
        with FollowedRates(kafka) as rates:
            requests = until_rated(rates, load.sent)
        asked_at = monotonic()
        process.terminate()
        assert process.wait(20) == 0
        assert monotonic() - asked_at < 10
        assert differences(load.expected(), rates.totals()) == {}
    assert requests == load.sent
    assert list(tmp_path.iterdir()) == []


def test_rejects_and_commits_survive_a_restart(kafka: KafkaSettings) -> None:
    """Every bad line and no other is in ``usage.rejected``, once; an idle worker has committed all there is; its
    successor, which reads the last block again, writes nothing twice and goes on."""
    create_topics(kafka, topic_specs(kafka.topics))
    load = _load(7)
    with FollowedRates(kafka) as rates, Followed(kafka, kafka.topics.rejected) as rejected:
        records = send(kafka, _with_bad_lines(load.lines(3_000, spread_ms=100_000)), per_record=(3, 1))
        with running_worker(kafka) as first:
            assert until_rated(rates, load.sent) == load.sent
            assert _until_committed(kafka, records) == records
            first.terminate()
            first.wait(20)
        refused = rejected.lines()
        with running_worker(kafka):
            records += send(kafka, load.lines(500, spread_ms=100_000), per_record=(2,))
            assert until_rated(rates, load.sent) == load.sent
            assert _until_committed(kafka, records) == records
            assert differences(load.expected(), rates.totals()) == {}
        refused += rejected.lines()
    assert len(refused) == 300
    assert len({(one["partition"], one["offset"], one["line"]) for one in refused}) == 300
    assert {one["reason"] for one in refused} == {"invalid_json", "invalid_event"}


def test_a_wrong_setting_is_one_sentence(kafka: KafkaSettings) -> None:
    """A setting that cannot work is named, by Faust's command too, without a traceback."""
    for command in (OURS, FAUST):
        with running_worker(kafka, command, errors=subprocess.PIPE, flush_seconds=0) as process:
            said = process.communicate(timeout=30)[1].decode()
        assert process.returncode == 1
        assert "SPENDGAUGE_FLUSH_SECONDS='0' cannot be used" in said
        assert "Traceback" not in said


def test_no_broker_is_one_sentence() -> None:
    """Where no broker answers the worker says so and ends with status 1."""
    nowhere = KafkaSettings(kafka="127.0.0.1:1")
    with running_worker(nowhere, errors=subprocess.PIPE) as process:
        said = process.communicate(timeout=60)[1].decode()
    assert process.returncode == 1
    assert said.startswith("spendgauge: no Kafka broker answers at 127.0.0.1:1 (")
    assert said.count("\n") == 1


def test_logs_are_json_where_nobody_reads(kafka: KafkaSettings) -> None:
    """Each line on stderr is one JSON object, the last one says what was done."""
    create_topics(kafka, topic_specs(kafka.topics))
    with running_worker(kafka, errors=subprocess.PIPE) as process, FollowedRates(kafka) as rates:
        load = _load(9)
        send(kafka, load.lines(300, spread_ms=10_000), per_record=(1,))
        until_rated(rates, load.sent)
        process.terminate()
        said = [json.loads(line) for line in process.communicate(timeout=30)[1].splitlines()]
    assert said[-1]["event"] == "stopped"
    assert said[-1]["events"] == load.sent


def test_a_worker_stops_without_its_broker() -> None:
    """A worker whose broker is gone says so now and then, and ends when told to."""
    load = _load(14)
    with ExitStack() as brokers:
        kafka = brokers.enter_context(EmbeddedBroker()).settings()
        create_topics(kafka, topic_specs(kafka.topics))
        with running_worker(kafka, errors=subprocess.PIPE) as worker:
            with FollowedRates(kafka) as rates:
                send(kafka, load.lines(2_000, spread_ms=60_000), per_record=(1, 1, 20))
                assert until_rated(rates, load.sent) == load.sent
            brokers.close()
            sleep(2)
            worker.terminate()
            said = worker.communicate(timeout=30)[1].splitlines()
    assert worker.returncode == 0
    assert len(said) < 20


def test_python_needs_no_environment() -> None:
    """The module that Faust loads reads the environment and nothing else: importing it connects to nothing."""
    code = "from spendgauge.streams.worker import app; print(app.conf.id)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "spendgauge-rates"
