"""Which stack runs on a data directory, and is it really that one?

The supervisor writes ``stack.json`` and holds ``stack.lock``. A process is known by its id together with its start
time, so a stale file never leads to a stranger that was given the same id.
"""

import fcntl
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from spendgauge.schemas import ConfigurationError

__all__ = [
    "ChildState",
    "ProcessMark",
    "StackAddresses",
    "StackState",
    "discovered_environment",
    "find_running",
    "heartbeat_path",
    "load_state",
    "own_directory",
    "process_mark",
    "remove_state",
    "save_state",
]

_STATE_FILE: Final = "stack.json"
_LOCK_FILE: Final = "stack.lock"


@dataclass(frozen=True)
class ProcessMark:
    """One process: its id, and when it started, in the system's own words."""

    pid: int
    started: str

    @property
    def is_alive(self) -> bool:
        """Whether this very process still runs."""
        return process_mark(self.pid) == self


@dataclass(frozen=True)
class ChildState:
    """One process of the stack."""

    name: str
    process: ProcessMark | None
    """None: it is waiting to be started again."""
    log: str
    restarts: int


@dataclass(frozen=True)
class StackAddresses:
    """Where clients reach a stack."""

    kafka: str
    clickhouse: str
    gateway: str


@dataclass(frozen=True)
class StackState:
    """What the supervisor last wrote."""

    phase: str
    """starting, running, draining or stopping."""
    supervisor: ProcessMark
    addresses: StackAddresses
    data: str
    since_ms: int
    children: tuple[ChildState, ...] = field(default=())
    lost: str = ""
    """What a stop could not store and nobody will, in a sentence; empty: nothing."""


def heartbeat_path(data_dir: Path, child: str) -> Path:
    """Name the file that a process of a stack touches while it is well."""
    return data_dir / "run" / f"{child}.alive"


def find_running(data_dir: Path) -> StackAddresses | None:
    """Give the addresses of the stack that runs on a data directory; None where none does."""
    state = load_state(data_dir)
    return state.addresses if state is not None and state.supervisor.is_alive else None


def discovered_environment(data_dir: Path, environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """Fill in the addresses of the running stack where the environment names none.

    Read settings from it: then a flag wins over the environment, the environment over the running stack, and that over
    the defaults.
    """
    known = dict(os.environ if environment is None else environment)
    running = find_running(data_dir)
    if running is not None:
        known["SPENDGAUGE_KAFKA"] = known.get("SPENDGAUGE_KAFKA") or running.kafka
        known["SPENDGAUGE_CLICKHOUSE"] = known.get("SPENDGAUGE_CLICKHOUSE") or running.clickhouse
    return known


@contextmanager
def own_directory(data_dir: Path) -> Iterator[None]:
    """Hold a data directory for this stack alone; create it where it is missing."""
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        lock = (data_dir / _LOCK_FILE).open("w")
    except OSError as error:
        raise ConfigurationError(
            f"the directory {data_dir} cannot be used ({error.strerror}); choose one with --data"
        ) from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigurationError(
                f"a stack runs on {data_dir} already; stop it with `spendgauge down --data {data_dir}`, "
                "or choose another directory with --data"
            ) from None
        yield


def save_state(data_dir: Path, state: StackState) -> None:
    """Write the state at once or not at all."""
    new = data_dir / f"{_STATE_FILE}.new"
    with new.open("w", encoding="utf-8") as file:
        os.fchmod(file.fileno(), 0o600)  # an address may hold a password
        json.dump(asdict(state), file, indent=2)
    new.replace(data_dir / _STATE_FILE)


def load_state(data_dir: Path) -> StackState | None:
    """Read the state; None where there is none, or none that can be read."""
    try:
        known = json.loads((data_dir / _STATE_FILE).read_text(encoding="utf-8"))
        return StackState(
            phase=known["phase"],
            supervisor=ProcessMark(**known["supervisor"]),
            addresses=StackAddresses(**known["addresses"]),
            data=known["data"],
            since_ms=known["since_ms"],
            children=tuple(map(_child, known["children"])),
            lost=known["lost"],
        )
    except (OSError, ValueError, TypeError, KeyError):
        return None


def remove_state(data_dir: Path) -> None:
    """Forget the state, at the end of a stop."""
    (data_dir / _STATE_FILE).unlink(missing_ok=True)


def process_mark(pid: int) -> ProcessMark | None:
    """Give a running process's mark; None where there is no such process, or only its remains (a zombie)."""
    if sys.platform == "linux":
        try:
            # pid (name, which may hold anything) state ... starttime is the 22nd field
            fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        except OSError:
            return None
        return None if fields[0] in ("Z", "X") else ProcessMark(pid, fields[19])
    shown = subprocess.run(["ps", "-o", "stat=,lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)
    status, _, started = shown.stdout.strip().partition(" ")
    return ProcessMark(pid, started.strip()) if status and "Z" not in status else None


def _child(known: dict[str, Any]) -> ChildState:
    process = known["process"]
    return ChildState(known["name"], ProcessMark(**process) if process else None, known["log"], known["restarts"])
