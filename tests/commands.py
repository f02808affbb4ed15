"""What does a command say, and how does it end? Typed in this process, which is quicker than in one of its own."""

import os
import sys
from collections.abc import Callable
from typing import NamedTuple

import pytest

from spendgauge.deploy import cli
from spendgauge.schemas import logs

__all__ = ["Done", "Run", "typing"]


class Done(NamedTuple):
    """How a command ended, and what it said."""

    status: int
    out: str
    err: str


Run = Callable[..., Done]


def typing(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], **environment: str) -> Run:
    """Give what runs a command, with no setting of the environment but these."""
    for name in [name for name in os.environ if name.startswith("SPENDGAUGE_")]:
        monkeypatch.delenv(name)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(logs, "configure_logs", lambda _level: None)

    def run_it(*arguments: str) -> Done:
        monkeypatch.setattr(sys, "argv", ["spendgauge", *arguments])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        said = capsys.readouterr()
        return Done(int(ended.value.code or 0), said.out, said.err)

    return run_it
