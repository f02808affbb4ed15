"""Does the store keep what it acknowledged, and stop and refuse as it should?"""

import gzip
import os
import signal
import socket
import subprocess
import threading
from pathlib import Path
from time import monotonic, sleep

import pytest
from tests.stores import ask, running_store

from spendgauge.deploy.stack.broker import free_port
from spendgauge.deploy.store.process import store_command

pytestmark = pytest.mark.integration


def refusal(path: Path, port: int) -> str:
    """Run a store that cannot start; give the one line it says."""
    done = subprocess.run(store_command(path=path, port=port), capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 1, done.stderr
    return done.stderr


def test_data_survives_a_restart(tmp_path: Path) -> None:
    """What was written is there after a stop and a start, also in the database ``default``, empty or not before."""
    for _ in range(2):
        with running_store(tmp_path) as store:
            assert ask(store.url, "SHOW TABLES FROM default").text == ""
        assert store.process.returncode == 0
    with running_store(tmp_path) as store:
        ask(store.url, "CREATE DATABASE d")
        for table in ("d.t", "t"):
            ask(store.url, f"CREATE TABLE {table} (a UInt8) ENGINE = MergeTree ORDER BY a")
            assert ask(store.url, f"INSERT INTO {table} VALUES (1),(2)").status == 200
    with running_store(tmp_path) as store:
        assert ask(store.url, "SELECT sum(a) FROM d.t").text == "3\n"
        assert ask(store.url, "SELECT sum(a) FROM t").text == "3\n"


def test_an_acknowledged_insert_survives_a_kill(tmp_path: Path) -> None:
    """After ``kill -9`` at a random moment of steady inserting, at least all acknowledged rows are there."""
    acknowledged = 0
    for _round in range(3):
        with running_store(tmp_path) as store:
            ask(store.url, "CREATE TABLE IF NOT EXISTS t (a UInt32) ENGINE = MergeTree ORDER BY a")
            assert int(ask(store.url, "SELECT count() FROM t").text) >= acknowledged
            acknowledged = int(ask(store.url, "SELECT count() FROM t").text)
            killer = threading.Timer(0.3, store.process.kill)
            killer.start()
            try:
                while ask(store.url, f"INSERT INTO t VALUES ({acknowledged})").status == 200:
                    acknowledged += 1
            except OSError:
                pass
            killer.join()
    with running_store(tmp_path) as store:
        rows = int(ask(store.url, "SELECT count() FROM t").text)
        assert rows in (acknowledged, acknowledged + 1)
        assert int(ask(store.url, "SELECT uniqExact(a) FROM t").text) >= acknowledged - 3


def test_a_stop_lets_a_running_insert_finish(tmp_path: Path) -> None:
    """SIGTERM in the middle of a statement: it is answered, then the store exits with 0."""
    replies = []
    with running_store(tmp_path) as store:
        ask(store.url, "CREATE TABLE t (a UInt8) ENGINE = MergeTree ORDER BY a")
        sql = "INSERT INTO t SELECT sleepEachRow(1) FROM numbers(1)"
        client = threading.Thread(target=lambda: replies.append(ask(store.url, sql).status))
        client.start()
        sleep(0.3)
        store.process.terminate()
        client.join()
        assert store.process.wait(timeout=15) == 0
    assert replies == [200]


def test_a_stop_does_not_wait_for_ever(tmp_path: Path) -> None:
    """A statement that runs for minutes is cancelled some seconds after SIGTERM."""
    with running_store(tmp_path, environment={**os.environ, "SPENDGAUGE_STORE_DRAIN_SECONDS": "1"}) as store:
        sql = "SELECT sum(sleepEachRow(0.1)) FROM numbers(3000) SETTINGS max_block_size = 1"
        client = threading.Thread(target=lambda: ask(store.url, sql))
        client.start()
        sleep(0.5)
        started = monotonic()
        store.process.send_signal(signal.SIGINT)
        assert store.process.wait(timeout=15) == 0
        assert monotonic() - started < 8
        client.join()


def test_a_port_in_use_is_one_sentence(tmp_path: Path) -> None:
    """The port and the flag that changes it are named, and nothing is created."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = refusal(tmp_path / "data", port)
    assert said == (
        f"spendgauge store: the store cannot listen on 127.0.0.1:{port} (Address already in use); "
        "choose another port with --clickhouse-port\n"
    )
    assert not (tmp_path / "data").exists()


def test_a_directory_in_use_is_one_sentence(tmp_path: Path) -> None:
    """Two stores cannot share a directory; the second says so and leaves the first alone."""
    with running_store(tmp_path) as store:
        said = refusal(tmp_path, free_port())
        assert ask(store.url, "SELECT 1").text == "1\n"
    assert said == f"spendgauge store: another store uses the directory {tmp_path}; stop it, or choose another\n"


def test_an_unusable_directory_is_one_sentence(tmp_path: Path) -> None:
    """A path that is a file is named with the system's reason."""
    file = tmp_path / "file"
    file.write_text("")
    assert refusal(file, free_port()) == f"spendgauge store: the store cannot use the directory {file} (File exists)\n"


def test_a_password_is_asked_for_when_there_is_one(tmp_path: Path) -> None:
    """With SPENDGAUGE_STORE_PASSWORD set, only its holder gets an answer; /ping is open as on a server."""
    with running_store(tmp_path, environment={**os.environ, "SPENDGAUGE_STORE_PASSWORD": "s3"}) as store:
        assert ask(store.url, "SELECT 1").status == 403
        assert ask(store.url, "SELECT 1", headers={"X-ClickHouse-Key": "s3"}).text == "1\n"
        assert ask(store.url, path="/ping").text == "Ok.\n"


def test_a_path_may_hold_any_characters(tmp_path: Path) -> None:
    """Blanks, quotes, ampersands and question marks in the directory's name mean nothing."""
    with running_store(tmp_path / "a b'&?=<é>%20") as store:
        ask(store.url, "CREATE TABLE t (a UInt8) ENGINE = MergeTree ORDER BY a")
        assert ask(store.url, "INSERT INTO t VALUES (1)").status == 200
        assert ask(store.url, "SELECT a FROM t").text == "1\n"


def test_a_configuration_lying_around_is_not_read(tmp_path: Path) -> None:
    """A ``config.xml`` in the working directory or the home changes nothing."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "config.xml").write_text("<clickhouse><timezone>Asia/Tokyo</timezone></clickhouse>")
    (elsewhere / ".clickhouse-local").mkdir()
    (elsewhere / ".clickhouse-local" / "config.xml").write_text(
        "<clickhouse><timezone>Asia/Tokyo</timezone></clickhouse>"
    )
    here = Path.cwd()
    os.chdir(elsewhere)
    try:
        with running_store(tmp_path / "data", environment={**os.environ, "HOME": str(elsewhere)}) as store:
            assert ask(store.url, "SELECT timezone()").text != "Asia/Tokyo\n"
    finally:
        os.chdir(here)


def test_the_network_is_not_served_without_a_password(tmp_path: Path) -> None:
    """An address beyond this machine needs a password."""
    command = store_command(path=tmp_path, port=free_port(), host="0.0.0.0")
    environment = {k: v for k, v in os.environ.items() if not k.startswith("SPENDGAUGE_")}
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False, env=environment)
    assert (done.returncode, "set SPENDGAUGE_STORE_PASSWORD" in done.stderr) == (1, True)


def test_a_client_that_does_not_read_is_left(tmp_path: Path) -> None:
    """Clients that ask for much and take nothing lose their places: others are answered."""
    with running_store(tmp_path, environment={**os.environ, "SPENDGAUGE_STORE_SEND_SECONDS": "1"}) as store:
        host, port = store.url.removeprefix("http://").split(":")
        stalled = [socket.create_connection((host, int(port))) for _ in range(10)]
        for one in stalled:
            one.sendall(b"GET /?query=SELECT+number+FROM+numbers(100000000) HTTP/1.1\r\nHost: localhost\r\n\r\n")
        sleep(0.5)
        started = monotonic()
        assert ask(store.url, "SELECT 1").text == "1\n"
        assert monotonic() - started < 8
        for one in stalled:
            one.close()


def test_a_body_beyond_the_limit_is_refused(tmp_path: Path) -> None:
    """Packed or not, a body may not be larger than SPENDGAUGE_STORE_BODY_BYTES, unpacked."""
    with running_store(tmp_path, environment={**os.environ, "SPENDGAUGE_STORE_BODY_BYTES": "100000"}) as store:
        ask(store.url, "CREATE TABLE t (a String) ENGINE = MergeTree ORDER BY a")
        rows = b"x\n" * 60_000
        for body, headers in ((rows, {}), (gzip.compress(rows), {"Content-Encoding": "gzip"})):
            reply = ask(store.url, body, query="INSERT INTO t FORMAT TSV", headers=headers)
            assert (reply.status, "larger than 100000 bytes" in reply.text) == (413, True)
        assert ask(store.url, "SELECT count() FROM t").text == "0\n"
