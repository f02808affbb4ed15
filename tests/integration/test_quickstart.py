"""Does the quickstart work as it stands? Its service, its commands and its figures, on ports that are free."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.pages import Block, pages
from tests.rooms import ROOT

from spendgauge.deploy.stack.broker import free_port
from spendgauge.deploy.stack.running import start_detached, stop_stack
from spendgauge.deploy.stack.settings import StackSettings
from spendgauge.deploy.stack.spawn import spawn_command

pytestmark = pytest.mark.integration

_SECONDS = 15.0
"""How long the answer may take on a busy machine; on a quiet one it takes one or two."""


@pytest.fixture(scope="module")
def blocks() -> list[Block]:
    """Give the page's blocks, with ports that are free here."""
    (page,) = (page for page in pages() if page.name == "docs/quickstart.md")
    ports = {"8000": str(free_port()), "8700": str(free_port())}
    found = list(page.blocks())
    assert all(any(port in block.text for block in found) for port in ports)
    for port, free in ports.items():
        found = [Block(b.page, b.line, b.language, b.text.replace(port, free), b.reason) for b in found]
    return found


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Run a stack; give the environment of somebody who has typed the page's first commands."""
    data = tmp_path_factory.mktemp("stack")
    state = start_detached(StackSettings(data=data, kafka_port=0, clickhouse_port=0, gateway_port=0))
    inherited = {
        name: value for name, value in os.environ.items() if not name.startswith(("SPENDGAUGE_", "ANTHROPIC_"))
    }
    try:
        yield inherited | {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),  # the page is read in the clone
            "SPENDGAUGE_KAFKA": state.addresses.kafka,
            "SPENDGAUGE_CLICKHOUSE": state.addresses.clickhouse,
        }
    finally:
        stop_stack(data, urgent=True)


def test_a_service_shows_its_cost_seconds_later(
    blocks: list[Block], environment: dict[str, str], tmp_path: Path
) -> None:
    """The page as typed: serve, ask three times, and SQL says what it cost, to the last digit as printed there."""
    (service,) = (block.text for block in blocks if block.language == "python")
    (printed,) = (block.text for block in blocks if block.language == "text")
    _, serve, ask, query = (block.text for block in blocks if block.language == "sh")
    (tmp_path / "service.py").write_text(service, encoding="utf-8")
    with _running(serve, environment, tmp_path):
        answers = _typed(ask, environment, tmp_path)
        assert answers.count('"') == 2 * 3, answers
        until = time.monotonic() + _SECONDS
        while (shown := _typed(query, environment, tmp_path)) != printed and time.monotonic() < until:
            time.sleep(0.2)
    assert shown == printed


def test_the_service_is_thirty_lines(blocks: list[Block]) -> None:
    """What a service needs is short: a whole one, with what it does besides, has at most 30 lines of code."""
    (service,) = (block.text for block in blocks if block.language == "python")
    lines = [line for line in service.splitlines() if line.strip()]
    assert len(lines) <= 30


@contextmanager
def _running(commands: str, environment: dict[str, str], folder: Path) -> Iterator[None]:
    """Run commands that stay behind, until the end of the block."""
    with (folder / "service.log").open("w") as log:
        shell = subprocess.Popen(
            spawn_command(["bash", "-c", f"{commands}\nwait"]),
            cwd=folder,
            env=environment,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            yield
        finally:
            os.killpg(shell.pid, signal.SIGTERM)
            shell.wait(30)


def _typed(commands: str, environment: dict[str, str], folder: Path) -> str:
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", commands],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, f"{commands}\n{done.stderr}\n{(folder / 'service.log').read_text()}"
    return done.stdout
