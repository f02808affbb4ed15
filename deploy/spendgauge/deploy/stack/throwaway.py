"""How does a stack run for a while and leave nothing behind? In a temporary directory, on free ports."""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from spendgauge.deploy.stack.settings import StackSettings
from spendgauge.deploy.stack.state import StackAddresses, load_state
from spendgauge.schemas import Clock, UnavailableError

__all__ = ["throwaway_stack"]

_START_SECONDS: Final = 160.0
"""A little longer than the supervisor itself waits: it knows what is missing."""

_STOP_SECONDS: Final = 30.0
_LOOK_SECONDS: Final = 0.05


@contextmanager
def throwaway_stack(clock: Clock) -> Iterator[StackAddresses]:
    """Run a stack that no setting of the environment touches; give its addresses. At the end it is stopped and removed.

    Raises ``UnavailableError`` where it does not come up.
    """
    with tempfile.TemporaryDirectory(prefix="spendgauge-", ignore_cleanup_errors=True) as folder:
        data = Path(folder)
        settings = StackSettings(data=data, kafka_port=0, clickhouse_port=0, gateway_port=0, drain_seconds=0)
        process = _start(settings)
        try:
            yield _addresses(process, data, clock)
        finally:
            _stop(process)


def _start(settings: StackSettings) -> subprocess.Popen[bytes]:
    """Start a supervisor in a session of its own: a Ctrl-C here reaches it through us, once."""
    known = {name: value for name, value in os.environ.items() if not name.startswith("SPENDGAUGE_")}
    with (settings.data / "stack.log").open("wb") as log:
        return subprocess.Popen(
            (sys.executable, "-m", "spendgauge.deploy.stack"),
            env=known | settings.environment(),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


def _addresses(process: subprocess.Popen[bytes], data: Path, clock: Clock) -> StackAddresses:
    """Wait until it runs."""
    deadline = clock.monotonic() + _START_SECONDS
    while clock.monotonic() < deadline and process.poll() is None:
        state = load_state(data)
        if state is not None and state.phase == "running":
            return state.addresses
        clock.sleep(_LOOK_SECONDS)
    said = (data / "stack.log").read_text(encoding="utf-8", errors="replace").strip().splitlines()
    raise UnavailableError(f"the stack did not come up: {said[-1] if said else 'it said nothing'}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Stop at once: the first signal asks, the second does not wait for what is on its way."""
    for _ in range(2):
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(0.2)
            return
        except subprocess.TimeoutExpired:
            continue
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
