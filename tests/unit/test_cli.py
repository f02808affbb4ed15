"""Is every mistake one clear sentence, with the right exit status and no traceback? And does the help help?"""

import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from tests.commands import Done, Run, typing

from spendgauge.deploy.options import Where, parse_moment, parse_speed
from spendgauge.deploy.stack.settings import StackSettings
from spendgauge.producers import DeliverySettings
from spendgauge.schemas import ClickHouseSettings, KafkaSettings

COMMANDS = (
    *("up", "down", "status", "demo", "simulate", "replay", "emit", "report", "sql", "tail", "reconcile"),
    "rehearse",
    *("worker", "sink", "store", "migrate", "topics create", "gateway", "gateway key"),
    *(f"alerts {name}" for name in ("list", "tail", "ack", "silence", "silences", "unsilence")),
    "quotas",
)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Run:
    """Run a command in this process, with no setting of the environment and a data directory of its own."""
    return typing(monkeypatch, capsys, SPENDGAUGE_DATA=str(tmp_path / "data"), COLUMNS="120")


def assert_sentence(done: Done, *parts: str) -> None:
    """Check that a command said one sentence on stderr, with these parts, nothing on stdout, and failed with 1."""
    assert (done.status, done.out) == (1, "")
    assert done.err.startswith("spendgauge: ")
    assert done.err.count("\n") == 1
    assert [part for part in parts if part not in done.err] == []


@pytest.mark.parametrize("command", COMMANDS)
def test_help_says_what_a_command_does_and_shows_how(run: Run, command: str) -> None:
    """Each command's help begins with one sentence and has examples that name the command."""
    done = run(*command.split(), "--help")
    assert (done.status, done.err) == (0, "")
    usage, _, rest = done.out.partition("Usage:")
    assert usage.strip() == ""
    assert rest.strip().splitlines()[2].strip()[0].isupper()
    assert "Examples:" in rest
    examples = [line.strip() for line in rest.partition("Examples:")[2].splitlines()]
    assert any(f"spendgauge {command}" in line for line in examples)
    assert [line for line in examples if line.count(f"spendgauge {command}") > 1] == []


def test_the_root_lists_all_commands(run: Run) -> None:
    """`spendgauge` alone is its help, with every command."""
    done = run()
    listed = {line.split()[1] for line in done.out.splitlines() if line.startswith("│ ") and line[2].isalpha()}
    assert {command.split()[0] for command in COMMANDS} <= listed


def test_help_needs_nothing_heavy() -> None:
    """Neither Polars, nor Kafka's or ClickHouse's client, nor pydantic is imported to show the help."""
    code = (
        "import sys; sys.argv = ['spendgauge', '--help']\n"
        "from spendgauge.deploy.cli import main\n"
        "try: main()\n"
        "except SystemExit: print(sorted({'polars', 'confluent_kafka', 'clickhouse_connect', 'pydantic', 'numpy', "
        "'faust', 'structlog'} & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"


@pytest.mark.parametrize(
    "arguments",
    [
        ("nonsense",),
        ("simulate", "--events", "0"),
        ("simulate", "--speed", "fast"),
        ("tail", "nothing"),
        ("replay",),
        ("reconcile", "--since", "yesterday"),
        ("rehearse",),
        ("rehearse", "--simulate", "--stored"),
        ("--no-such-option",),
        ("--log-level", "loud", "status"),
    ],
    ids=" ".join,
)
def test_wrong_usage_is_status_2(run: Run, arguments: tuple[str, ...]) -> None:
    """What the command line cannot mean is told on stderr, with status 2."""
    done = run(*arguments)
    assert (done.status, done.out) == (2, "")
    assert "Error" in done.err


def test_a_wrong_column_is_said(run: Run, tmp_path: Path) -> None:
    """A column that the file lacks is named, with the nearest and all that it has."""
    log = tmp_path / "log.csv"
    log.write_text("ts,model\n1,m\n", encoding="utf-8")
    done = run("replay", str(log), "--columns", "occurred_at=tss")
    assert_sentence(done, "there is no column 'tss' for occurred_at (did you mean ts?)", "the file has ts, model")


def test_a_wrong_runaway_is_said(run: Run) -> None:
    """An agent that the simulation does not have is named, with those that it has, before anything is sent."""
    assert_sentence(run("simulate", "--runaway", "nobody"), "'nobody' is no agent of the simulation", "coder")


def test_limits_that_cannot_be_tried_are_said(run: Run, tmp_path: Path) -> None:
    """A file of budgets that is not there, or is wrong, is one sentence before anything is judged."""
    assert_sentence(run("rehearse", "--simulate", "--budgets", "no.toml"), "no.toml", "cannot be read")
    budgets = tmp_path / "budgets.toml"
    budgets.write_text("[[budget]]\nname = 'x'\nusd = -1\n", encoding="utf-8")
    assert_sentence(run("rehearse", "--simulate", "--budgets", str(budgets)), "budget 'x'", "usd")
    assert_sentence(run("rehearse", "no.csv"), "no.csv cannot be read: No such file or directory")


def test_a_missing_file_is_said(run: Run) -> None:
    """A file that is not there is named."""
    assert_sentence(run("replay", "no.csv"), "no.csv cannot be read: No such file or directory")


@pytest.mark.parametrize("content", [None, "[[prices]", 'answer = "42"'])
def test_a_bad_price_file_is_said(run: Run, tmp_path: Path, content: str | None) -> None:
    """`up` names a price file that is missing or wrong, before it starts anything."""
    prices = tmp_path / "prices.toml"
    if content is not None:
        prices.write_text(content, encoding="utf-8")
    assert_sentence(run("up", "--prices", str(prices)), "prices.toml")
    assert not (tmp_path / "data" / "stack.json").exists()


def test_a_wrong_address_is_said(run: Run) -> None:
    """What is no ClickHouse address is quoted, with the form that is expected."""
    done = run("sql", "SELECT 1", "--clickhouse", "nonsense")
    assert_sentence(done, "'nonsense' is not a ClickHouse address", "http(s)://user:password@host:port/database")


def test_a_wrong_setting_is_said(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable that cannot be used is named; one that may hold a password without its value."""
    monkeypatch.setenv("SPENDGAUGE_KAFKA_OPTIONS", "nonsense")
    done = run("tail", "usage")
    assert_sentence(done, "SPENDGAUGE_KAFKA_OPTIONS cannot be used: part 1 of 1 is not name=value")
    assert "nonsense" not in done.err


def test_no_stack_is_no_error_to_stop(run: Run, tmp_path: Path) -> None:
    """`down` where nothing runs says so and succeeds; `status` says so and fails."""
    assert run("down") == Done(0, f"no stack runs on {tmp_path / 'data'}\n", "")
    status = run("status", "--json")
    assert (status.status, json.loads(status.out)["phase"]) == (1, "stopped")


def test_ctrl_c_is_quiet(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """An interrupted command ends with 130 and says nothing."""

    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("spendgauge.deploy.demo.run_demo", interrupt)
    assert run("demo") == Done(130, "", "")


def test_the_nearest_word_wins(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A flag wins over the environment, that over the running stack, that over the default."""
    for name in ("SPENDGAUGE_KAFKA", "SPENDGAUGE_CLICKHOUSE", "SPENDGAUGE_TOPIC_PREFIX"):
        monkeypatch.delenv(name, raising=False)
    where = Where(data=tmp_path)
    assert where.settings(KafkaSettings).kafka == "127.0.0.1:9092"
    monkeypatch.setattr(
        "spendgauge.deploy.stack.state.find_running",
        lambda _: StackSettings(kafka="stack:1", clickhouse="http://stack"),
    )
    assert where.settings(DeliverySettings).kafka == "stack:1"
    assert where.settings(ClickHouseSettings).clickhouse == "http://stack"
    monkeypatch.setenv("SPENDGAUGE_KAFKA", "environment:1")
    assert where.settings(KafkaSettings).kafka == "environment:1"
    assert Where(kafka="flag:1", data=tmp_path).settings(KafkaSettings).kafka == "flag:1"


def test_speeds_and_moments() -> None:
    """A speed is max or above 0; a moment is so long ago, or ISO 8601 with UTC for no zone."""
    assert (parse_speed("max"), parse_speed("0.5")) == (float("inf"), 0.5)
    for wrong in ("0", "-1", "inf", "nan", ""):
        with pytest.raises(typer.BadParameter):
            parse_speed(wrong)
    assert parse_moment("90s", now_ms=100_000) == 10_000
    assert parse_moment("2d", now_ms=3 * 86_400_000) == 86_400_000
    assert parse_moment("1970-01-02", now_ms=0) == 86_400_000
    assert parse_moment("1970-01-01T01:00+01:00", now_ms=0) == 0


@pytest.mark.parametrize("as_json", [True, False])
def test_logs_are_lines_of_json_unless_somebody_watches(as_json: bool) -> None:
    """Our own logs and the libraries' warnings come out alike: JSON lines into a file, readable on a terminal."""
    code = (
        f"from spendgauge.schemas.logs import configure_logs; configure_logs('info', as_json={as_json})\n"
        "import logging, structlog\n"
        "log = structlog.get_logger('spendgauge.test')\n"
        "log.debug('quiet'); log.info('ours', number=1); logging.getLogger('other').warning('theirs %s', 2)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    lines = done.stderr.splitlines()
    assert (done.stdout, len(lines)) == ("", 2)
    if as_json:
        ours, theirs = map(json.loads, lines)
        assert (ours["event"], ours["number"], ours["level"], ours["logger"]) == ("ours", 1, "info", "spendgauge.test")
        assert (theirs["event"], theirs["level"], theirs["logger"]) == ("theirs 2", "warning", "other")
    else:
        assert "ours" in lines[0]
        assert "theirs 2" in lines[1]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((), "a gateway needs keys: make one with `spendgauge gateway key NAME --keys FILE`"),
        (("--open", "--host", "0.0.0.0"), "without keys a gateway at 0.0.0.0 would take events from anybody"),
        (("--keys", "none.toml"), "the keys in none.toml cannot be read (No such file or directory)"),
    ],
    ids=str,
)
def test_a_gateway_without_keys_says_why(run: Run, arguments: tuple[str, ...], sentence: str) -> None:
    """Keys that are missing where they are needed are said, with what to do."""
    assert_sentence(run("gateway", *arguments, "--spool", "spool"), sentence)


def test_a_gateway_names_the_port_it_cannot_have(run: Run, tmp_path: Path) -> None:
    """A port in use is named with its flag, and nothing is written."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = run("gateway", "--open", "--port", port, "--spool", str(tmp_path / "spool"))
    assert_sentence(done, f"cannot listen on 127.0.0.1 port {port} (Address already in use)", "--port")
    assert not (tmp_path / "spool").exists()


def test_a_key_is_printed_once(run: Run, tmp_path: Path) -> None:
    """The key alone is on stdout, so that it can be piped; the file does not have it. A bad option is wrong usage."""
    keys = str(tmp_path / "keys.toml")
    done = run("gateway", "key", "shop", "--keys", keys, "--allow", "team=a", "--allow", "team=b", "--set", "tenant=x")
    assert (done.status, done.out[:3], done.out.count("\n")) == (0, "sg_", 1)
    text = (tmp_path / "keys.toml").read_text(encoding="utf-8")
    assert done.out.strip() not in text
    assert 'set = { tenant = "x" }\nallow = { team = ["a", "b"] }' in text
    assert run("gateway", "key", "other", "--keys", keys, "--allow", "team").status == 2
    assert_sentence(run("gateway", "key", "shop", "--keys", keys), "has a key shop")
    assert_sentence(run("gateway", "key", "shop"), "say where the keys are: --keys FILE, or SPENDGAUGE_GATEWAY_KEYS")
