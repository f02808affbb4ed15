"""Do the commands work together on a running stack, and say what is wrong where there is none?"""

import gzip
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
from confluent_kafka import Producer
from tests.stacks import RunningStack, running_stack

from spendgauge.deploy.simulation.day import simulate_day
from spendgauge.deploy.stack.broker import free_port

pytestmark = pytest.mark.integration

SPENDGAUGE = (sys.executable, "-m", "spendgauge.deploy")
DAY_MS = 86_400_000


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    """Run one stack for all tests of this module; they share its books."""
    with running_stack(tmp_path_factory.mktemp("stack")) as running:
        yield running


def environment(**given: str) -> dict[str, str]:
    """Give the environment of a shell in which nothing is set but this."""
    known = {name: value for name, value in os.environ.items() if not name.startswith("SPENDGAUGE_")}
    return known | {"COLUMNS": "120", **given}


def run(stack: RunningStack, *arguments: str, given: str = "") -> subprocess.CompletedProcess[str]:
    """Run a command that finds the stack by its directory."""
    return subprocess.run(
        [*SPENDGAUGE, *arguments],
        input=given,
        capture_output=True,
        text=True,
        env=environment(SPENDGAUGE_DATA=str(stack.data)),
        timeout=120,
        check=False,
    )


def assert_balanced(stack: RunningStack) -> dict[str, object]:
    """Wait until the books balance; give them."""
    done = run(stack, "reconcile", "--wait", "60", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    books: dict[str, object] = json.loads(done.stdout)
    return books


def counted(stack: RunningStack, where: str) -> int:
    return int(stack.sql(f"SELECT count() FROM usage WHERE {where}"))


def test_two_simulated_days_are_two(stack: RunningStack) -> None:
    """Simulating twice with one seed adds a second day: nothing is taken for a repetition, and the books balance."""
    before = counted(stack, "service = 'review-api'")
    for _ in range(2):
        done = run(stack, "simulate", "--events", "3000", "--seed", "5")
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.startswith("3,000 events of ")
    expected = 2 * pl.concat(simulate_day(3_000, start_ms=0, seed=5)).filter(service="review-api").height
    assert_balanced(stack)
    assert counted(stack, "service = 'review-api'") - before == expected


def test_a_log_is_replayed_to_the_last_token(stack: RunningStack, tmp_path: Path) -> None:
    """Sums per model in the database are those of the file; bad rows are listed, the good ones all there."""
    rows = [f"{1000 + n / 4},u{n % 7},{('big', 'small')[n % 2]},{n},{n % 90}" for n in range(2_000)]
    rows[100] = "soon,u1,big,1,1"
    rows[200] = "1050,u1,big,999999999999,1"
    log = tmp_path / "log.csv.gz"
    log.write_bytes(gzip.compress("\n".join(["ts,key,model,input_tokens,output_tokens", *rows]).encode()))
    models = "big=anthropic/claude-sonnet-4-5,small=anthropic/claude-haiku-4-5"
    arguments = ("--columns", "occurred_at=ts,user_id=key", "--models", models, "--set", "feature=replayed")
    done = run(stack, "replay", str(log), *arguments)
    assert done.returncode == 1
    assert done.stdout.startswith("1,998 events of 8 sources sent in ")
    first, second, last = done.stderr.splitlines()
    assert first == "line 102: occurred_at 'soon' is not a time"
    assert second.startswith("line 202: input_tokens 999999999999: ")
    assert last == "2 of 2,000 lines were not sent"
    assert_balanced(stack)
    sums = stack.sql(
        "SELECT model, count(), sum(input_tokens), sum(output_tokens) FROM usage WHERE feature = 'replayed' "
        "GROUP BY model ORDER BY model FORMAT CSV"
    )
    kept = [(n, n % 90) for n in range(2_000) if n not in (100, 200)]
    big, small = ([pair for pair in kept if pair[0] % 2 == odd] for odd in (0, 1))
    assert sums.splitlines() == [
        f'"claude-haiku-4-5",{len(small)},{sum(n for n, _ in small)},{sum(o for _, o in small)}',
        f'"claude-sonnet-4-5",{len(big)},{sum(n for n, _ in big)},{sum(o for _, o in big)}',
    ]
    newest = stack.sql("SELECT dateDiff('second', max(occurred_at), now()) FROM usage WHERE feature = 'replayed'")
    assert 0 <= int(newest) < 120


def test_events_come_in_through_a_pipe(stack: RunningStack) -> None:
    """`emit` sends what is an event, and names the lines that are not."""
    good = {"provider": "openai", "model": "gpt-5", "input_tokens": 12, "feature": "piped"}
    lines = [json.dumps(good), '{"provider": "openai"}', "", "nonsense", "[1]", json.dumps(good | {"user_id": "ü"})]
    done = run(stack, "emit", "--service", "pipe", given="\n".join(lines))
    assert done.returncode == 1
    assert done.stdout.startswith("2 events sent by pipe@")
    assert [line.split(":")[0] for line in done.stderr.splitlines()] == [
        *("line 2", "line 4", "line 5"),
        "3 of 5 lines were not sent",
    ]
    assert_balanced(stack)
    assert counted(stack, "feature = 'piped' AND service = 'pipe'") == 2


def test_a_corrupt_line_is_rejected_and_the_books_balance(stack: RunningStack) -> None:
    """A line that is no event is kept as rejected, its neighbours are stored, and `tail rejected` shows it."""
    producer = Producer({"bootstrap.servers": stack.kafka.kafka})
    event = '{"event_id":"01990000-0000-7000-8000-00000000000%d","source":"mine@h#1","seq":%d,"occurred_at":"%s",'
    event += '"provider":"openai","model":"gpt-5","feature":"corrupt","input_tokens":%s}'
    now = stack.sql("SELECT formatDateTime(now(), '%Y-%m-%dT%H:%i:%SZ', 'UTC')")
    lines = [event % (n, n, now, tokens) for n, tokens in enumerate(("1", '"many"', "3"))]
    producer.produce(stack.kafka.topics.usage, "\n".join(lines).encode(), key=b"mine@h#1")
    producer.flush(10)
    books = assert_balanced(stack)
    assert {"source": "mine@h#1", "produced": 3, "stored": 2, "rejected": 1, "missing": 0} in books["sources"]  # type: ignore[operator]  # a list
    told = run(stack, "tail", "rejected", "--from-start", "--count", "1")
    reject = json.loads(told.stdout)
    assert (reject["reason"], reject["line"]) == ("invalid_event", 1)


def test_answers_come_in_any_format(stack: RunningStack) -> None:
    """`sql` writes tab-separated values into a pipe, any other format where one is named, and reads from a pipe."""
    assert run(stack, "sql", "SELECT 1 AS a, 'x' AS b").stdout == "a\tb\n1\tx\n"
    assert run(stack, "sql", "SELECT 1 AS a", "--format", "JSONEachRow").stdout == '{"a":1}\n'
    assert run(stack, "sql", "-", given="SELECT 1 AS a FORMAT CSV").stdout == "1\n"
    refused = run(stack, "sql", "SELECT nothing FROM usage")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr.startswith(
        "spendgauge: ClickHouse refuses (code 47): Unknown expression identifier `nothing`"
    )
    assert refused.stderr.count("\n") == 1


def test_topics_are_followed_until_ctrl_c(stack: RunningStack) -> None:
    """`tail` prints what is there line by line, and ends with 130 on Ctrl-C, quietly."""
    run(stack, "emit", given='{"provider": "openai", "model": "gpt-5", "feature": "followed"}')
    command = [*SPENDGAUGE, "tail", "usage", "--from-start"]
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(SPENDGAUGE_DATA=str(stack.data)),
    ) as following:
        assert following.stdout is not None
        assert any('"feature":"followed"' in line for line in following.stdout)
        following.send_signal(signal.SIGINT)
        _, errors = following.communicate(timeout=20)
    assert (following.returncode, errors) == (130, "")


def test_the_report_shows_the_day(stack: RunningStack) -> None:
    """`report` prints the tables and the plot of what the last day cost."""
    run(stack, "simulate", "--events", "500")
    assert_balanced(stack)
    text = run(stack, "report").stdout
    for title in (
        "Cost by model",
        "Cost by feature",
        "Cost by user",
        "The 10 dearest entities",
        "Cost per minute, USD",
    ):
        assert title in text
    assert "anthropic/claude-sonnet-4-5" in text
    assert "dearest minute:" in text


def test_what_is_missing_unbalances_the_books(stack: RunningStack) -> None:
    """A number that does not arrive makes `reconcile` fail, by source and number; it heals when it comes."""
    producer = Producer({"bootstrap.servers": stack.kafka.kafka})
    now = stack.sql("SELECT formatDateTime(now(), '%Y-%m-%dT%H:%i:%SZ', 'UTC')")

    def send(seq: int) -> None:
        event = {"event_id": f"01990000-0000-7000-8000-0000000001{seq:02d}", "source": "late@h#1", "seq": seq}
        event |= {"occurred_at": now, "provider": "openai", "model": "gpt-5"}
        producer.produce(stack.kafka.topics.usage, json.dumps(event).encode(), key=b"late@h#1")
        producer.flush(10)

    for seq in (0, 1, 3):
        send(seq)
    done = run(stack, "reconcile", "--wait", "6")
    assert done.returncode == 1
    assert done.stdout.startswith("The books do not balance.")
    assert "source late@h#1 lacks 1 event: seq 2" in done.stdout
    send(2)
    assert_balanced(stack)


def test_preparing_twice_is_harmless(stack: RunningStack) -> None:
    """`topics create` and `migrate` on a running stack find everything there."""
    assert run(stack, "topics", "create").stdout == "all topics are there\n"
    assert run(stack, "migrate").stdout == "the tables are up to date\n"


def test_nobody_at_the_address_is_one_sentence(tmp_path: Path) -> None:
    """Every command that needs a broker or a database says which one does not answer, and what to do."""
    nowhere = f"127.0.0.1:{free_port()}"
    by_kafka = [("simulate",), ("emit",), ("tail", "usage"), ("topics", "create"), ("worker",), ("reconcile",)]
    by_clickhouse = [("sql", "SELECT 1"), ("report",), ("migrate",)]
    commands = [(*command, "--kafka", nowhere) for command in by_kafka]
    commands += [(*command, "--clickhouse", f"http://{nowhere}") for command in by_clickhouse]
    clean = environment(SPENDGAUGE_DATA=str(tmp_path), SPENDGAUGE_CLICKHOUSE=f"http://{nowhere}")
    started = [
        subprocess.Popen(
            [*SPENDGAUGE, *command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=clean,
        )
        for command in commands
    ]
    for command, process in zip(commands, started, strict=True):
        out, err = process.communicate(timeout=60)
        assert (process.returncode, out, err.count("\n")) == (1, "", 1), (command, out, err)
        assert nowhere in err
        assert "`spendgauge up`" in err
