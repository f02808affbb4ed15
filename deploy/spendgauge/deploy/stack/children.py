"""How is one process of the stack started, watched, stopped, and started again?"""

import os
import signal
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from spendgauge.deploy.stack.spawn import spawn_command
from spendgauge.deploy.stack.state import ChildState, ProcessMark, process_mark
from spendgauge.schemas import Clock

__all__ = ["Child", "ChildSpec", "backoff_seconds"]

_STEADY_SECONDS: Final = 60.0
"""A process that ran so long was well: its next restart waits no longer than the first."""

_MOST_BACKOFF_SECONDS: Final = 30.0
_TAIL_BYTES: Final = 8_192
_MOST_LOG_BYTES: Final = 16 * 1024 * 1024


@dataclass(frozen=True)
class ChildSpec:
    """One process to run."""

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    directory: Path
    """Its working directory."""
    log: Path
    heartbeat: Path | None = None
    """A file that it touches while it is well."""
    stop_seconds: float = 10.0
    """How long it may take to stop when it is asked to. 0: it has nothing to save, and is ended at once."""


def backoff_seconds(failures: int) -> float:
    """Give the wait before a restart: 0.5 s after the first failure, doubling, at most 30 s."""
    return min(0.5 * 2.0 ** min(failures - 1, 10), _MOST_BACKOFF_SECONDS)


class Child:
    """A process that is to run, and what became of it."""

    def __init__(self, spec: ChildSpec, clock: Clock) -> None:
        """Nothing is started yet."""
        self.spec = spec
        self.failures = 0
        """Deaths one after the other, without a steady run in between."""
        self.due = 0.0
        """When it may be started, on the clock's ``monotonic``."""
        self._clock = clock
        self._starts = 0
        self._started = 0.0
        self._process: subprocess.Popen[bytes] | None = None
        self._mark: ProcessMark | None = None

    @property
    def is_running(self) -> bool:
        """Whether the process runs."""
        return self._process is not None and self._process.poll() is None

    @property
    def has_beaten(self) -> bool:
        """Whether a heartbeat came since the start."""
        return self.spec.heartbeat is not None and self.spec.heartbeat.exists()

    @property
    def state(self) -> ChildState:
        """What the state file says of it."""
        mark = self._mark if self.is_running else None
        return ChildState(self.spec.name, mark, str(self.spec.log), max(self._starts - 1, 0))

    def start_if_due(self) -> None:
        """Start the process unless it runs or has to wait; its output goes to the end of its log."""
        if self._process is not None or self._clock.monotonic() < self.due:
            return
        if self.spec.heartbeat is not None:
            self.spec.heartbeat.unlink(missing_ok=True)
        _rotate(self.spec.log)
        with self.spec.log.open("ab") as log:
            self._process = subprocess.Popen(
                spawn_command(self.spec.command),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.spec.directory,
                env=dict(self.spec.environment),
                start_new_session=True,  # Ctrl-C in the terminal is the supervisor's to handle
            )
        self._starts += 1
        self._started = self._clock.monotonic()
        self._mark = process_mark(self._process.pid)

    def reap(self) -> int | None:
        """Notice a death: give its exit code once, and decide when the process may be started again."""
        if self._process is None or self._process.poll() is None:
            return None
        code = self._process.returncode
        self._process = None
        now = self._clock.monotonic()
        self.failures = 1 if now - self._started > _STEADY_SECONDS else self.failures + 1
        self.due = now + backoff_seconds(self.failures)
        return code

    def terminate(self) -> None:
        """Ask the process to stop."""
        if self._process is not None:
            self._process.terminate()

    def kill(self) -> None:
        """End the process, and whatever it started, at once."""
        if self._process is not None and self._process.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def discard(self) -> None:
        """End the process because what it worked on is gone; that is no failure of its own."""
        self.kill()
        self._process = None

    def heartbeat_age(self) -> float | None:
        """Give the seconds since the last heartbeat, or since the start; None where no heartbeat is expected."""
        if self.spec.heartbeat is None:
            return None
        since_start = self._clock.monotonic() - self._started
        try:
            since_beat = self._clock.now_ms() / 1000 - self.spec.heartbeat.stat().st_mtime
        except OSError:
            return since_start
        return min(since_start, max(since_beat, 0.0))

    def last_lines(self, count: int = 12) -> str:
        """Give the end of its log, indented."""
        try:
            with self.spec.log.open("rb") as log:
                log.seek(max(log.seek(0, os.SEEK_END) - _TAIL_BYTES, 0))
                lines = log.read().decode(errors="replace").splitlines()
        except OSError:
            return ""
        return "\n".join(f"    {line}" for line in lines[-count:])


def _rotate(log: Path) -> None:
    """Put a log that grew large aside, over the one put aside before."""
    if log.exists() and log.stat().st_size > _MOST_LOG_BYTES:
        log.replace(log.with_suffix(".old.log"))
