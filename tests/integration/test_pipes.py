"""What if ``sql``'s reader goes away in the middle? Nothing bad, on either side."""

import subprocess
import sys
from pathlib import Path

import pytest
from tests.stores import ask

from spendgauge.deploy.stack.broker import free_port
from spendgauge.deploy.stack.spawn import spawn_command
from spendgauge.deploy.store.process import store_command

pytestmark = pytest.mark.integration


def test_a_reader_that_has_enough_is_no_failure(tmp_path: Path) -> None:
    """``sql`` ends with 0 and without a word when its pipe is closed early, and the store's log has no traceback."""
    port, log = free_port(), tmp_path / "store.log"
    with log.open("wb") as errors:
        store = subprocess.Popen(
            spawn_command(store_command(path=tmp_path / "data", port=port)), stdout=subprocess.DEVNULL, stderr=errors
        )
    try:
        command = [sys.executable, "-m", "spendgauge.deploy", "sql", "SELECT number FROM numbers(30000000)"]
        command += ["--clickhouse", f"http://default@127.0.0.1:{port}/default"]
        _wait(port)
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            assert process.stdout.readline() == b"number\n"
            process.stdout.close()
            assert process.stderr.read() == b""
            assert process.wait(60) == 0
        assert ask(f"http://127.0.0.1:{port}", "SELECT 1").text == "1\n"
    finally:
        store.terminate()
        store.wait(30)
    assert "Traceback" not in log.read_text()


def _wait(port: int) -> None:
    for attempt in range(100):
        try:
            ask(f"http://127.0.0.1:{port}", path="/ping")
            return
        except OSError:
            if attempt == 99:
                raise
            subprocess.run(["sleep", "0.1"], check=True)
