"""Which stack runs on a directory? Files, process marks, settings; no stack is started."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from spendgauge.deploy.stack.plan import make_plan
from spendgauge.deploy.stack.settings import StackSettings, default_data_dir
from spendgauge.deploy.stack.signals import StopRequest
from spendgauge.deploy.stack.state import (
    ChildState,
    ProcessMark,
    StackAddresses,
    StackState,
    discovered_environment,
    find_running,
    load_state,
    own_directory,
    process_mark,
    remove_state,
    save_state,
)
from spendgauge.schemas import ClickHouseSettings, ConfigurationError, KafkaSettings

ADDRESSES = StackAddresses("127.0.0.1:9", "http://default@127.0.0.1:8/spendgauge", "http://127.0.0.1:7")


def state(supervisor: ProcessMark) -> StackState:
    """A state with one child that waits and one that runs."""
    children = (ChildState("sink", None, "/logs/sink.log", 3), ChildState("broker", supervisor, "/logs/broker.log", 0))
    return StackState("running", supervisor, ADDRESSES, "/data", 1_000, children)


def this_process() -> ProcessMark:
    """The mark of this very process."""
    mark = process_mark(os.getpid())
    assert mark is not None
    return mark


def test_a_state_is_read_as_it_was_written(tmp_path: Path) -> None:
    """Writing and reading gives the same state; only its owner may read it, since an address may hold a password."""
    save_state(tmp_path, state(this_process()))
    assert load_state(tmp_path) == state(this_process())
    assert (tmp_path / "stack.json").stat().st_mode & 0o077 == 0
    remove_state(tmp_path)
    assert load_state(tmp_path) is None


@pytest.mark.parametrize("text", ["", "{", "[]", '{"phase": "running"}', "null"])
def test_a_state_that_cannot_be_read_is_none(tmp_path: Path, text: str) -> None:
    """A file of another version or a broken one is like no file."""
    (tmp_path / "stack.json").write_text(text)
    assert load_state(tmp_path) is None


def test_a_running_stack_is_found(tmp_path: Path) -> None:
    """While its supervisor lives, a directory's stack is known by its addresses."""
    assert find_running(tmp_path) is None
    save_state(tmp_path, state(this_process()))
    assert find_running(tmp_path) == ADDRESSES


def test_a_reused_process_id_is_a_stranger(tmp_path: Path) -> None:
    """A process with the supervisor's id and another start time is not the supervisor."""
    save_state(tmp_path, state(replace(this_process(), started="0")))
    assert find_running(tmp_path) is None


def test_a_flag_beats_the_environment_beats_the_running_stack(tmp_path: Path) -> None:
    """Addresses: flag, then environment, then the stack on the data directory, then the default."""
    assert KafkaSettings.from_environment(discovered_environment(tmp_path, {})).kafka == "127.0.0.1:9092"
    save_state(tmp_path, state(this_process()))
    known = discovered_environment(tmp_path, {"SPENDGAUGE_KAFKA": "mine:1"})
    assert KafkaSettings.from_environment(known, kafka="flag:1").kafka == "flag:1"
    assert KafkaSettings.from_environment(known).kafka == "mine:1"
    assert ClickHouseSettings.from_environment(known).clickhouse == ADDRESSES.clickhouse


def test_a_directory_has_one_owner(tmp_path: Path) -> None:
    """While it is held, another cannot have it; afterwards it can."""
    with own_directory(tmp_path / "new"), pytest.raises(ConfigurationError, match=r"a stack runs on .*new already"):
        own_directory(tmp_path / "new").__enter__()
    with own_directory(tmp_path / "new"):
        pass


def test_one_stop_drains_two_are_urgent() -> None:
    """The first request asks, the second insists."""
    stop = StopRequest()
    assert (stop.is_asked, stop.is_urgent) == (False, False)
    stop.ask()
    assert (stop.is_asked, stop.is_urgent) == (True, False)
    stop.ask()
    assert (stop.is_asked, stop.is_urgent) == (True, True)


def test_a_plan_has_embedded_servers_by_default(tmp_path: Path) -> None:
    """Broker, database, workers, sink, watcher and gateway, each with its log; addresses of this machine."""
    plan = make_plan(
        StackSettings(data=tmp_path, kafka_port=7001, clickhouse_port=7002, gateway_port=7003, workers=2), {}
    )
    here = ("127.0.0.1:7001", "http://default@127.0.0.1:7002/spendgauge", "http://127.0.0.1:7003")
    assert plan.addresses == StackAddresses(*here)
    specs = [plan.broker, plan.store, *plan.workers, plan.sink, plan.watcher, plan.notifier, plan.gateway]
    named = ["broker", "clickhouse", "worker-0", "worker-1", "sink", "watcher", "gateway"]
    assert [s.name for s in specs if s] == named
    assert {s.log.parent for s in specs if s} == {tmp_path / "logs"}


def test_a_notifier_runs_where_there_are_channels(tmp_path: Path) -> None:
    """With a file of channels there is a notifier; children find each file wherever they run."""
    files = {"budgets": Path("b.toml"), "rules": Path("r.toml"), "channels": Path("c.toml")}
    plan = make_plan(StackSettings.from_environment({}, data=tmp_path, **files), {})
    assert plan.notifier is not None
    for name, path in files.items():
        assert plan.watcher.environment[f"SPENDGAUGE_{name.upper()}"] == str(path.absolute())


def test_your_own_servers_take_the_place_of_embedded_ones(tmp_path: Path) -> None:
    """An address given is used as it is, and no process is planned for it."""
    plan = make_plan(StackSettings(data=tmp_path, kafka="k:1", clickhouse="http://me@c:2/x"), {})
    assert (plan.broker, plan.store) == (None, None)
    assert plan.addresses == StackAddresses("k:1", "http://me@c:2/x", "http://127.0.0.1:8318")


def test_children_are_told_where_things_are_and_nothing_that_is_one_each(tmp_path: Path) -> None:
    """Addresses go to all; a group, a heartbeat or a port of the user's environment goes to none."""
    given = {
        "SPENDGAUGE_SINK_GROUP": "mine",
        "SPENDGAUGE_MONITOR_PORT": "1",
        "SPENDGAUGE_SERVICE": "my-own",
        "SPENDGAUGE_DURABILITY": "memory",
        "SPENDGAUGE_SERIES": "total:10",
        "PATH": "/bin",
    }
    settings = StackSettings(
        data=tmp_path, kafka_port=7001, clickhouse_port=7002, store_password="p:/?#", prices=Path("p.toml")
    )
    plan = make_plan(settings, given)
    sink = plan.sink.environment
    assert {"SPENDGAUGE_SINK_GROUP", "SPENDGAUGE_MONITOR_PORT"}.isdisjoint(sink)
    assert (sink["SPENDGAUGE_SERIES"], sink["PATH"], sink["SPENDGAUGE_SESSION_TIMEOUT_SECONDS"]) == (
        "total:10",
        "/bin",
        "6",
    )
    assert sink["SPENDGAUGE_PRICES"] == str(Path("p.toml").absolute())
    assert sink["SPENDGAUGE_CLICKHOUSE"] == "http://default:p%3A%2F%3F%23@127.0.0.1:7002/spendgauge"
    assert {"SPENDGAUGE_SERVICE", "SPENDGAUGE_DURABILITY"}.isdisjoint(plan.gateway.environment)
    assert plan.gateway.command[-3:] == ("--open", "--spool", str(tmp_path / "spool"))
    assert plan.workers[0].environment["SPENDGAUGE_HEARTBEAT"] != sink["SPENDGAUGE_HEARTBEAT"]


def test_the_data_has_a_place_of_its_own() -> None:
    """Without --data: among the user's own data, where XDG says so."""
    assert default_data_dir({"XDG_DATA_HOME": "/x", "HOME": "/h"}) == Path("/x/spendgauge")
    assert default_data_dir({"HOME": "/h"}) in (
        Path("/h/.local/share/spendgauge"),
        Path("/h/Library/Application Support/spendgauge"),
    )
