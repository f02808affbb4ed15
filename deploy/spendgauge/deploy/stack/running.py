"""How does everything run on one machine? ``spendgauge up``, ``down`` and ``status``, as functions.

``python -m spendgauge.deploy.stack`` runs a stack with the settings of the environment; ``start_detached`` uses it.
"""

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from spendgauge.deploy.stack.plan import StackPlan, check_children, check_ports, make_plan
from spendgauge.deploy.stack.settings import StackSettings
from spendgauge.deploy.stack.signals import StopRequest
from spendgauge.deploy.stack.state import (
    ProcessMark,
    StackState,
    load_state,
    own_directory,
    process_mark,
    remove_state,
)
from spendgauge.deploy.stack.supervisor import Supervisor
from spendgauge.schemas import Clock, SpendgaugeError, SystemClock, UnavailableError

__all__ = ["main", "run_stack", "start_detached", "stop_stack"]

_UP_SECONDS: Final = 160.0
"""How long a start may take, a little longer than the supervisor itself waits: it knows what is missing."""

_PATIENCE_SECONDS: Final = 90.0
"""How long a stop of another process may take before it is given up."""

_URGENT_SECONDS: Final = 8.0
_LOOK_SECONDS: Final = 0.05
_CLOCK: Final = SystemClock()


def run_stack(
    settings: StackSettings, stop: StopRequest, *, say: Callable[[str], None] = print, clock: Clock | None = None
) -> None:
    """Run a stack until a stop is asked for: the first drains, the second ends everything at once.

    Raises ``ConfigurationError`` where the directory or a port is taken, ``UnavailableError`` where a process does not
    come up (with the end of its log) or your own broker or database does not answer.
    """
    clock = clock or SystemClock()
    data = settings.data.absolute()
    check_children(settings)  # before a directory is made for what cannot run
    with own_directory(data):
        _end_leftovers(data)
        check_ports(settings)
        for folder in ("logs", "run"):
            (data / folder).mkdir(exist_ok=True)
        plan = make_plan(settings)
        supervisor = Supervisor(plan, clock=clock, say=say, me=_myself())
        try:
            _live(supervisor, plan, stop, say)
        finally:
            supervisor.kill()
            remove_state(data)


def start_detached(settings: StackSettings) -> StackState:
    """Start a stack in the background; return when it is at work.

    Raises what ``run_stack`` raises, as it was said in the background.
    """
    data = settings.data.absolute()
    check_children(settings)
    with own_directory(data):
        check_ports(settings)
        (data / "logs").mkdir(exist_ok=True)
    log = data / "logs" / "stack.log"
    said_before = log.stat().st_size if log.exists() else 0
    process = _spawn(settings, log)
    try:
        return _wait_for_work(data, process, said=lambda: _said(log, said_before))
    except KeyboardInterrupt:
        os.kill(process, signal.SIGTERM)
        raise


def stop_stack(data_dir: Path, *, urgent: bool = False) -> bool:
    """Stop the stack that runs on a directory, and wait; False where none runs.

    It drains as long as its settings say; ``urgent`` does not drain, and ends it by force if it must. Raises
    ``UnavailableError`` where it does not stop, and, unless ``urgent``, where it has stopped and lost what was sent.
    """
    data = data_dir.absolute()
    state = load_state(data)
    if state is None:
        return False
    if not state.supervisor.is_alive:
        return _forget(data)
    for _ in range(2 if urgent else 1):
        os.kill(state.supervisor.pid, signal.SIGTERM)
        _CLOCK.sleep(_LOOK_SECONDS)  # two signals at once would be one
    lost = ""

    def look() -> None:
        nonlocal lost
        now = load_state(data)
        lost = now.lost if now else lost

    while not _is_gone(state.supervisor, _URGENT_SECONDS if urgent else _PATIENCE_SECONDS, look):
        if urgent:
            os.kill(state.supervisor.pid, signal.SIGKILL)
            _is_gone(state.supervisor, _URGENT_SECONDS)
            return _forget(data) or True
        now = load_state(data)
        if now is None or now.phase != "draining":
            raise UnavailableError(
                f"the stack on {data_dir} (process {state.supervisor.pid}) did not stop within "
                f"{_PATIENCE_SECONDS:.0f} s; stop it at once with `spendgauge down --now`"
            )
    if lost and not urgent:
        raise UnavailableError(f"stopped, but {lost}; why, is at the end of {data / 'logs' / 'sink.log'}")
    return True


def main() -> int:
    """Run a stack with the settings of the environment; say an error in one sentence."""
    stop = StopRequest()
    stop.listen()
    try:
        run_stack(StackSettings.from_environment(), stop, say=lambda line: print(line, flush=True))
    except SpendgaugeError as error:
        print(f"spendgauge up: {error}", file=sys.stderr, flush=True)
        return 1
    return 0


def _live(supervisor: Supervisor, plan: StackPlan, stop: StopRequest, say: Callable[[str], None]) -> None:
    supervisor.start(stop)
    if not stop.is_asked:
        for line in _description(plan):
            say(line)
        supervisor.run(stop)
        say("stopping: what was sent is stored first; once more stops at once")
        supervisor.drain(stop)
    supervisor.stop(stop)
    say("stopped")


def _description(plan: StackPlan) -> Iterator[str]:
    parts = urlsplit(plan.clickhouse.clickhouse)
    address = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
    embedded = f"{address}/?database={parts.path.strip('/')}"
    yield "spendgauge runs"
    yield f"  Kafka       {plan.kafka.kafka}{' (embedded, in memory)' if plan.broker else ''}"
    yield f"  ClickHouse  {address}{parts.path}{' (embedded, on disk)' if plan.store else ''}"
    yield f"  gateway     {plan.gateway_url} (HTTP: /v1/usage, /v1/traces)"
    yield f"  workers     {len(plan.workers)}, and a watcher{' and a notifier' if plan.notifier else ''} for alerts"
    yield f"  data        {plan.data}"
    yield f"  logs        {plan.data / 'logs'}"
    yield f"  query       spendgauge sql \"SELECT ...\", or curl '{embedded}' --data 'SELECT ...'"
    yield "  stop        Ctrl-C here, or spendgauge down"


def _wait_for_work(data: Path, process: int, *, said: Callable[[], str]) -> StackState:
    deadline = _CLOCK.monotonic() + _UP_SECONDS
    while _CLOCK.monotonic() < deadline:
        state = load_state(data)
        if state is not None and state.supervisor.pid == process and state.phase == "running":
            return state
        if os.waitpid(process, os.WNOHANG) != (0, 0):
            raise UnavailableError(said())
        _CLOCK.sleep(_LOOK_SECONDS)
    raise UnavailableError(f"the stack did not come up within {_UP_SECONDS:.0f} s; see {data / 'logs'}")


def _forget(data: Path) -> bool:
    """Clear away what a killed supervisor left; say whether that were processes."""
    found = _end_leftovers(data)
    remove_state(data)
    return found


def _end_leftovers(data: Path) -> bool:
    """End the processes of a supervisor that was killed, where the system did not."""
    state = load_state(data)
    if state is None or state.supervisor.is_alive:
        return False
    left = [child.process for child in state.children if child.process and child.process.is_alive]
    for process in left:
        with suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)
    for process in left:
        _is_gone(process, 5.0)
    return bool(left)


def _is_gone(process: ProcessMark, seconds: float, look: Callable[[], None] = lambda: None) -> bool:
    deadline = _CLOCK.monotonic() + seconds
    while process.is_alive:
        look()
        if _CLOCK.monotonic() > deadline:
            return False
        _CLOCK.sleep(_LOOK_SECONDS)
    return True


def _myself() -> ProcessMark:
    mark = process_mark(os.getpid())
    if mark is None:
        raise UnavailableError("this process cannot see itself in the system's process list; is /proc mounted?")
    return mark


def _spawn(settings: StackSettings, log: Path) -> int:
    """Start a supervisor with a session of its own, its output at the end of the log."""
    ours = {f"SPENDGAUGE_{name.upper()}" for name in StackSettings.model_fields}
    inherited = {name: value for name, value in os.environ.items() if name not in ours}
    with log.open("ab") as output:
        return os.posix_spawn(
            sys.executable,
            (sys.executable, "-m", "spendgauge.deploy.stack"),
            inherited | settings.environment(),
            setsid=True,
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_DUP2, output.fileno(), 1),
                (os.POSIX_SPAWN_DUP2, output.fileno(), 2),
            ],
        )


def _said(log: Path, begin: int) -> str:
    """Give the error that a supervisor wrote to the log since it began."""
    with log.open("rb") as file:
        file.seek(begin)
        text = file.read().decode(errors="replace").strip()
    return text.rpartition("spendgauge up: ")[2] or f"the stack ended at once without a word; see {log}"
