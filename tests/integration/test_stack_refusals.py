"""Does a stack that cannot start say why, in one sentence, and leave nothing behind?"""

import json
import os
import signal
import socket
from pathlib import Path

import pytest
from tests.stacks import running_stack, start_stack, until
from tests.stores import ask

from spendgauge.deploy.stack.running import start_detached, stop_stack
from spendgauge.deploy.stack.settings import StackSettings
from spendgauge.deploy.stack.status import read_status
from spendgauge.schemas import ConfigurationError, UnavailableError

pytestmark = pytest.mark.integration

JSON = {"content-type": "application/json"}


def refusal(data_dir: Path, **settings: str) -> str:
    """Run a stack that cannot start; give what it says."""
    with start_stack(**{"data": str(data_dir), **settings}) as process:
        said, _ = process.communicate(timeout=90)
    assert process.returncode == 1, said
    return said


def test_two_stacks_cannot_share_a_directory(tmp_path: Path) -> None:
    """The second says who is there and what to do, at once and in the foreground or background; the first goes on."""
    with running_stack(tmp_path) as stack:
        said = refusal(tmp_path)
        with pytest.raises(ConfigurationError, match=r"a stack runs on .* already"):
            start_detached(StackSettings(data=tmp_path, kafka_port=0, clickhouse_port=0, gateway_port=0))
        assert stack.sql("SELECT 1") == "1"
    assert said == (
        f"spendgauge up: a stack runs on {tmp_path} already; stop it with `spendgauge down --data {tmp_path}`, "
        "or choose another directory with --data\n"
    )


@pytest.mark.parametrize(
    ("setting", "server", "flag"),
    [
        ("kafka_port", "the embedded Kafka", "--kafka-port"),
        ("clickhouse_port", "the embedded ClickHouse", "--clickhouse-port"),
        ("gateway_port", "the gateway", "--gateway-port"),
    ],
)
def test_a_port_in_use_names_its_flag(tmp_path: Path, setting: str, server: str, flag: str) -> None:
    """The port, who wants it, and the flag that changes it."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        said = refusal(tmp_path, **{setting: port})
    assert said == (
        f"spendgauge up: port {port}, which {server} wants, is in use; stop what uses it, "
        f"or choose another port with {flag} (0: any free one)\n"
    )


@pytest.mark.parametrize(
    ("setting", "value", "sentence"),
    [
        ("kafka", "127.0.0.1:1", "no Kafka broker answers at 127.0.0.1:1"),
        ("clickhouse", "http://127.0.0.1:1/x", "no ClickHouse answers at http://127.0.0.1:1"),
        ("prices", "/none.toml", "/none.toml"),
        ("series", "nonsense:10", "'nonsense' in the series 'nonsense' is no dimension of an event"),
        ("flush_seconds", "-1", "SPENDGAUGE_FLUSH_SECONDS='-1' cannot be used"),
        ("gateway_items", "0", "SPENDGAUGE_GATEWAY_ITEMS='0' cannot be used"),
        ("workers", "0", "SPENDGAUGE_WORKERS='0' cannot be used"),
        ("data", "/dev/null/x", "the directory /dev/null/x cannot be used (Not a directory); choose one with --data"),
    ],
)
def test_what_cannot_work_is_one_sentence(tmp_path: Path, setting: str, value: str, sentence: str) -> None:
    """A server that does not answer and a setting that cannot be are each said once, without a traceback."""
    said = refusal(tmp_path, **{setting: value})
    assert sentence in said
    assert said.count("spendgauge up: ") == 1
    assert "Traceback" not in said


def test_what_cannot_work_leaves_no_directory(tmp_path: Path) -> None:
    """A price file that is missing is said before a data directory is made, in front and behind."""
    data = tmp_path / "new"
    assert "/none.toml" in refusal(data, prices="/none.toml")
    with pytest.raises(ConfigurationError, match=r"/none\.toml"):
        start_detached(StackSettings(data=data, prices=Path("/none.toml")))
    assert not data.exists()


def test_a_detached_stack_starts_reports_and_stops(tmp_path: Path) -> None:
    """``start_detached`` returns when all is at work, ``read_status`` sees it, ``stop_stack`` ends it; in between, what
    is sent to its gateway is in SQL, and a file that cannot be used after an edit is reported until it is put right."""
    budgets = tmp_path / "limits.toml"
    budgets.touch()
    settings = StackSettings(data=tmp_path, kafka_port=0, clickhouse_port=0, gateway_port=0, budgets=budgets)
    state = start_detached(settings)
    try:
        status = read_status(tmp_path)
        assert status.addresses == state.addresses
        assert (status.is_well, status.uncounted, status.unstored) == (True, 0, 0)
        assert {child.name for child in status.children} == {
            *("broker", "clickhouse", "worker-0", "sink", "watcher", "gateway")
        }
        usage = {"provider": "openai", "model": "gpt-5-mini", "output_tokens": 7, "feature": "over-http"}
        sent = ask(state.addresses.gateway, json.dumps(usage), path="/v1/usage", headers=JSON)
        database = state.addresses.clickhouse.replace("default@", "").removesuffix("/spendgauge")
        stored = "SELECT output_tokens FROM usage WHERE feature = 'over-http' AND source LIKE 'gateway@%'"
        assert sent.status == 202
        budgets.write_text("[[")
        until(lambda: ask(database, stored, database="spendgauge").text == "7\n")
        until(lambda: not read_status(tmp_path).is_well)
        (fault,) = [child.fault for child in read_status(tmp_path).children if child.fault]
        assert fault.startswith("limits.toml is not valid TOML: ")
        budgets.write_text("")
        until(lambda: read_status(tmp_path).is_well)
    finally:
        assert stop_stack(tmp_path)
    assert (read_status(tmp_path).phase, stop_stack(tmp_path)) == ("stopped", False)


def test_what_clickhouse_refuses_is_told_and_a_stop_says_what_is_lost(tmp_path: Path) -> None:
    """A table that is gone is no ClickHouse that is away: ``status`` says what it refuses, ``down`` what is lost."""
    settings = StackSettings(data=tmp_path, kafka_port=0, clickhouse_port=0, gateway_port=0, drain_seconds=1)
    state = start_detached(settings)
    try:
        database = state.addresses.clickhouse.replace("default@", "").removesuffix("/spendgauge")
        ask(database, "DROP TABLE usage_events SYNC", database="spendgauge")
        usage = {"provider": "openai", "model": "gpt-5-mini", "output_tokens": 7}
        assert ask(state.addresses.gateway, json.dumps(usage), path="/v1/usage", headers=JSON).status == 202
        faults = until(lambda: [child.fault for child in read_status(tmp_path).children if child.fault])
        assert "did not take an insert into usage_events" in faults[0]
        assert not read_status(tmp_path).is_well
    except BaseException:
        stop_stack(tmp_path, urgent=True)
        raise
    with pytest.raises(UnavailableError, match=r"^stopped, but \d+ records were not stored, and are lost"):
        stop_stack(tmp_path)
    assert read_status(tmp_path).phase == "stopped"


def test_a_stack_that_does_not_react_can_be_stopped(tmp_path: Path) -> None:
    """``down --now`` ends a supervisor that is stuck, and everything with it."""
    state = start_detached(StackSettings(data=tmp_path, kafka_port=0, clickhouse_port=0, gateway_port=0))
    os.kill(state.supervisor.pid, signal.SIGSTOP)
    assert stop_stack(tmp_path, urgent=True)
    assert [child.name for child in state.children if child.process and child.process.is_alive] == []
    assert read_status(tmp_path).phase == "stopped"


def test_a_detached_stack_that_fails_says_why(tmp_path: Path) -> None:
    """What goes wrong in the background is raised in the foreground."""
    settings = StackSettings(data=tmp_path, kafka="127.0.0.1:1", clickhouse_port=0, gateway_port=0)
    with pytest.raises(UnavailableError, match=r"^no Kafka broker answers at 127\.0\.0\.1:1"):
        start_detached(settings)
