"""Do the pages' commands work? Each ``sh``, ``python`` and ``sql`` block runs, in order, on one embedded stack."""

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from tests.pages import Block, Page, pages
from tests.rooms import ROOT

from spendgauge.deploy.stack.running import start_detached, stop_stack
from spendgauge.deploy.stack.settings import StackSettings

pytestmark = pytest.mark.integration

BIN = Path(sys.executable).parent
RUNS: dict[str, Sequence[str | Path]] = {
    "sh": ("bash", "-euo", "pipefail", "-c"),
    "python": (sys.executable, "-W", "error", "-c"),
    "sql": (BIN / "spendgauge", "sql"),
}
"""How a block of each language is run, its text coming last. Blocks in other languages show output or files."""


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Run a stack of its own for the pages; give the environment in which a reader would type."""
    data = tmp_path_factory.mktemp("stack")
    state = start_detached(StackSettings(data=data, kafka_port=0, clickhouse_port=0, gateway_port=0))
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("SPENDGAUGE_")}
    try:
        yield inherited | {
            "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(tmp_path_factory.mktemp("home")),
            "SPENDGAUGE_DATA": str(data),
            "SPENDGAUGE_KAFKA": state.addresses.kafka,
            "SPENDGAUGE_CLICKHOUSE": state.addresses.clickhouse,
            "SPENDGAUGE_GATEWAY": state.addresses.gateway,
        }
    finally:
        stop_stack(data, urgent=True)


def _runnable(page: Page) -> list[Block]:
    return [block for block in page.blocks() if block.language in RUNS]


@pytest.mark.parametrize("page", [page for page in pages() if _runnable(page)], ids=lambda page: page.name)
def test_the_commands_of_a_page_work(page: Page, environment: dict[str, str], tmp_path: Path) -> None:
    """Every command of a page succeeds, typed in order in one folder; what is not run says why on the page."""
    for name in ("examples", "schemas"):
        if (ROOT / name).exists():
            (tmp_path / name).symlink_to(ROOT / name)
    for block in _runnable(page):
        if block.reason is not None:
            continue
        done = subprocess.run(
            [*RUNS[block.language], block.text],
            cwd=tmp_path,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=150,
            check=False,
        )
        assert done.returncode == 0, f"{block.page}:{block.line}\n{block.text}\n{done.stdout}\n{done.stderr}"


def test_what_is_not_run_says_why() -> None:
    """The reason is a few words, not an empty comment."""
    reasons = [block.reason for page in pages() for block in _runnable(page) if block.reason is not None]
    assert [reason for reason in reasons if len(reason.split()) < 3] == []
