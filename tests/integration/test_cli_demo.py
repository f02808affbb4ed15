"""Does the demo show what it promises, and leave nothing behind, however it ends?"""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.stacks import until

pytestmark = pytest.mark.integration


def start(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    """Start the demo with its temporary files in a folder, and in an environment that points elsewhere."""
    folder.mkdir()
    elsewhere = {
        "SPENDGAUGE_KAFKA": "127.0.0.1:1",
        "SPENDGAUGE_CLICKHOUSE": "http://127.0.0.1:1",
        "SPENDGAUGE_TOPIC_PREFIX": "x.",
    }
    return subprocess.Popen(
        [sys.executable, "-m", "spendgauge.deploy", "demo", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **elsewhere, "TMPDIR": str(folder), "PYTHONUNBUFFERED": "1"},
    )


def left_in(folder: Path) -> list[str]:
    """List the files and the processes that know the folder."""
    files = [path.name for path in folder.iterdir()]
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if str(folder).encode() in (process / "cmdline").read_bytes() + (process / "environ").read_bytes():
                files.append(process.name)
        except OSError:
            continue
    return files


def test_the_demo_ends_with_balanced_books_and_the_costs(tmp_path: Path) -> None:
    """It balances the books, prints the seeds' tables and how to go on, and everything is gone afterwards."""
    demo = start(tmp_path / "demo", "--events", "3000")
    out, err = demo.communicate(timeout=120)
    assert (demo.returncode, err) == (0, "")
    assert "The books balance.\nproduced  3,000 events by 15 sources\nstored    3,000, " in out
    for title in (
        "Cost by model",
        "Cost by feature",
        "Cost by user",
        "The 10 dearest entities",
        "Cost per minute, USD",
    ):
        assert title in out
    assert "make up" in out
    until(lambda: left_in(tmp_path / "demo") == [], seconds=10)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("moment", ["starting", "simulating"])
def test_an_interrupted_demo_leaves_nothing_either(tmp_path: Path, number: signal.Signals, moment: str) -> None:
    """Ctrl-C or a polite kill, while the stack starts or while events flow, ends it quietly with 130."""
    folder = tmp_path / "demo"
    with start(folder, "--events", "5000000") as demo:
        assert demo.stdout is not None
        assert until(lambda: moment in demo.stdout.readline())  # type: ignore[union-attr]  # a pipe
        time.sleep(0.3)
        demo.send_signal(number)
        _, err = demo.communicate(timeout=60)
    assert (demo.returncode, err) == (130, "")
    until(lambda: left_in(folder) == [], seconds=10)


@pytest.mark.parametrize("signals", [1, 5])
def test_any_number_of_ctrl_c_is_one(signals: int) -> None:
    """However often it is pressed, a command is interrupted once, cleans up, and ends with 130 and no traceback."""
    code = (
        "import sys, time\n"
        "from spendgauge.deploy import cli, demo\n"
        "def work(events):\n"
        "    try: print('working', flush=True); time.sleep(30)\n"
        "    finally: time.sleep(0.3); print('cleaned up', flush=True)\n"
        "demo.run_demo = work; sys.argv = ['spendgauge', 'demo']; cli.main()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "working\n"
        for _ in range(signals):
            process.send_signal(signal.SIGINT)
            time.sleep(0.02)
        out, err = process.communicate(timeout=20)
    assert (process.returncode, out, err) == (130, "cleaned up\n", "")
