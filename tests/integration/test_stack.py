"""Does a whole stack keep its books when its processes are killed, and leave nothing behind?"""

import os
import signal
import socket
import threading
from pathlib import Path
from time import monotonic, time_ns
from urllib.parse import urlsplit

import pytest
from tests.loads import Load, send
from tests.sink_runs import produce
from tests.sinks import alert
from tests.stacks import RunningStack, running_stack, until

from spendgauge.deploy.stack.state import find_running, load_state
from spendgauge.schemas import ClickHouseSettings, KafkaSettings

pytestmark = pytest.mark.integration

STORED = "SELECT count(), sum(cost_usd), sum(input_tokens) FROM usage"
RATED = "SELECT sum(requests), sum(cost_usd), sum(input_tokens) FROM rates WHERE series = '{series}'"


def a_load(seed: int) -> Load:
    """Events of the last minutes, so that they are not too old."""
    return Load(seed, time_ns() // 1_000_000 - 600_000)


def expected(load: Load) -> str:
    """What the load comes to: events, USD, input tokens."""
    totals = [total for (series, _, _), total in load.expected().items() if series == "total"]
    requests, cost, tokens = (sum(total[place] for total in totals) for place in (0, -1, 3))
    return f"{requests}\t{cost // 10**12}.{cost % 10**12:012d}".rstrip("0") + f"\t{tokens}"


def books(stack: RunningStack) -> set[str]:
    """The same sums from the events and from the rates of three series; one value where the books balance."""
    rated = [RATED.format(series=series) for series in ("total", "provider+model", "user_id")]
    return {stack.sql(statement) for statement in (STORED, *rated)}


def is_listening(address: str) -> bool:
    """Whether something listens at host:port."""
    host, _, port = address.rpartition(":")
    with socket.socket() as probe:
        return probe.connect_ex((host, int(port))) == 0


def ports(stack: RunningStack) -> list[str]:
    """The addresses of its servers."""
    parts = urlsplit(stack.state.addresses.clickhouse)
    return [stack.state.addresses.kafka, f"{parts.hostname}:{parts.port}"]


def test_books_balance_after_every_process_was_killed(tmp_path: Path) -> None:
    """``kill -9`` of workers, sink and database amid events loses and doubles nothing; a stop leaves nothing."""
    load = a_load(1)
    with running_stack(tmp_path, workers="2") as stack:
        lines = list(load.lines(60_000, spread_ms=300_000))

        def produce() -> None:
            for part in range(12):
                send(stack.kafka, lines[part * 5_000 : (part + 1) * 5_000], per_record=[1, 5, 20], seed=part)
                threading.Event().wait(0.5)

        producing = threading.Thread(target=produce)
        producing.start()
        for name in ("worker-0", "sink", "clickhouse", "worker-1"):
            stack.kill(name)
        producing.join()
        until(lambda: books(stack) == {expected(load)}, 60)
        pids = [c.process.pid for c in stack.state.children if c.process]
        addresses = ports(stack)
        said = stack.stop()
    assert stack.process.returncode == 0
    assert said.count("was killed by signal 9; it is started again") == 4
    assert [pid for pid in pids if Path(f"/proc/{pid}").exists()] == []
    assert [address for address in addresses if is_listening(address)] == []
    assert load_state(tmp_path) is None


def test_a_second_signal_stops_at_once(tmp_path: Path) -> None:
    """Twice Ctrl-C does not wait for anything."""
    with running_stack(tmp_path) as stack:
        os.kill(until(lambda: stack.pid("sink")), signal.SIGSTOP)  # nothing will be stored any more
        send(stack.kafka, a_load(3).lines(1_000, spread_ms=1_000), per_record=[10])
        stack.process.send_signal(signal.SIGINT)
        until(lambda: stack.state.phase == "draining")
        started = monotonic()
        said = stack.stop(signal.SIGINT)
        assert monotonic() - started < 5
    assert "records were not stored, and are lost with the embedded broker" in said


def test_what_was_stored_outlives_stops_and_kills(tmp_path: Path) -> None:
    """One data directory, three lives: a drained stop, ``kill -9`` of everything in the middle, the loss of the broker.

    Ctrl-C right after a burst stores the burst first. No process outlives a killed supervisor, and the books of what
    reached ClickHouse balance. A broker that died, and its topics with it, is said and replaced, and what is sent then
    is counted beside what was stored; alerts that were up are not for ever.
    """
    load = a_load(2)
    with running_stack(tmp_path) as stack:
        send(stack.kafka, load.lines(20_000, spread_ms=60_000), per_record=[10])
        said = stack.stop(signal.SIGINT)
    assert (stack.process.returncode, "not stored" in said, said.splitlines()[-1]) == (0, False, "stopped")
    with running_stack(tmp_path) as stack:
        assert books(stack) == {expected(load)}
        pids = [c.process.pid for c in stack.state.children if c.process]
        produce(stack.kafka, stack.kafka.topics.alerts, alert())
        until(lambda: stack.sql("SELECT alert_id FROM alerts_now") == "spike:a-1")
        send(stack.kafka, load.lines(50_000, spread_ms=60_000), per_record=[1])
        until(lambda: stack.sql("SELECT count() > 20000 FROM usage") == "1")
        stack.process.kill()
        stack.process.wait()
        until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids), 5)
    assert find_running(tmp_path) is None
    with running_stack(tmp_path) as stack:
        assert (len(books(stack)), stack.sql("SELECT count() FROM alerts_now")) == (1, "0")
        stored = int(stack.sql("SELECT count() FROM usage"))
        assert 20_000 < stored <= 70_000
        stack.kill("broker")
        until(lambda: stack.pid("sink"))
        send(stack.kafka, a_load(3).lines(5_000, spread_ms=60_000), per_record=[10])
        until(lambda: stack.sql("SELECT count() FROM usage") == str(stored + 5_000) and len(books(stack)) == 1)
        assert stack.sql("SELECT uniqExact(stream) FROM usage") == "3"
        said = stack.stop()
    assert said.count("EVENTS MAY BE LOST: the embedded broker kept all in memory. When last looked, 0 records") == 1


def test_your_own_servers_are_used(tmp_path: Path, kafka: KafkaSettings, clickhouse: ClickHouseSettings) -> None:
    """With --kafka and --clickhouse no server is started, and a stop leaves yours alone."""
    load = a_load(6)
    own = {"kafka": kafka.kafka, "topic_prefix": kafka.topic_prefix, "clickhouse": clickhouse.clickhouse}
    with running_stack(tmp_path, **own) as stack:
        assert [child.name for child in stack.state.children] == ["worker-0", "sink", "watcher", "gateway"]
        addresses = ports(stack)
        send(kafka, load.lines(1_000, spread_ms=60_000), per_record=[10])
        until(lambda: books(stack) == {expected(load)})
        stack.stop()
    assert all(is_listening(address) for address in addresses)
