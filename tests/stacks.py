"""How do tests run a whole stack, and look into its database?"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

from tests.stores import ask

from spendgauge.deploy.stack.spawn import spawn_command
from spendgauge.deploy.stack.state import StackState, load_state
from spendgauge.schemas import KafkaSettings

__all__ = ["RunningStack", "running_stack", "start_stack", "until"]

T = TypeVar("T")


@dataclass(frozen=True)
class RunningStack:
    """A stack that is at work, and the process that leads it."""

    data: Path
    process: subprocess.Popen[str]

    @property
    def state(self) -> StackState:
        """What its state file says now."""
        state = load_state(self.data)
        assert state is not None, "there is no state file"
        return state

    @property
    def kafka(self) -> KafkaSettings:
        """Settings for its broker."""
        return KafkaSettings(kafka=self.state.addresses.kafka)

    def pid(self, name: str) -> int | None:
        """The process of that name, None while there is none."""
        return next(c.process.pid if c.process else None for c in self.state.children if c.name == name)

    def kill(self, name: str) -> None:
        """``kill -9`` a process, and wait until another is in its place."""
        before = until(lambda: self.pid(name))
        os.kill(before, signal.SIGKILL)
        until(lambda: self.pid(name) not in (None, before))

    def sql(self, statement: str) -> str:
        """Ask its database; give the answer as text."""
        parts = urlsplit(self.state.addresses.clickhouse)
        reply = ask(f"http://{parts.hostname}:{parts.port}", statement, database=parts.path.strip("/"))
        assert reply.status == 200, reply.text
        return reply.text.strip()

    def stop(self, number: int = signal.SIGTERM) -> str:
        """Stop it; give all that it said."""
        self.process.send_signal(number)
        return self.process.communicate(timeout=90)[0]


@contextmanager
def running_stack(data: Path, **settings: str) -> Iterator[RunningStack]:
    """Run a stack on a directory and on free ports until the block ends; then nothing of it is left."""
    process = start_stack(data=str(data), **settings)
    stack = RunningStack(data, process)
    try:
        until(lambda: process.poll() is not None or _is_at_work(stack))
        assert process.poll() is None, process.communicate()[0]
        yield stack
    finally:
        process.kill()
        process.wait()
        if process.stdout:
            process.stdout.close()
        left = load_state(data)
        for child in left.children if left else ():
            if child.process and child.process.is_alive:
                os.kill(child.process.pid, signal.SIGKILL)


def _is_at_work(stack: RunningStack) -> bool:
    state = load_state(stack.data)
    return state is not None and state.supervisor.pid == stack.process.pid and state.phase == "running"


def start_stack(**settings: str) -> subprocess.Popen[str]:
    """Start ``python -m spendgauge.deploy.stack``; its output and errors are one stream."""
    own = {"kafka_port": "0", "clickhouse_port": "0", "gateway_port": "0", "session_timeout_seconds": "3", **settings}
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SPENDGAUGE_")}
    environment |= {f"SPENDGAUGE_{name.upper()}": value for name, value in own.items()}
    return subprocess.Popen(
        spawn_command([sys.executable, "-m", "spendgauge.deploy.stack"]),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment,
    )


def until(condition: Callable[[], T | None], seconds: float = 60) -> T:
    """Wait until a condition gives something true; give that."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)
    return value
