"""How does a child die with its supervisor? ``python -m spendgauge.deploy.stack.spawn PARENT COMMAND ...``.

This small program asks Linux to kill it when its parent dies, and becomes the command. So even ``kill -9`` of the
supervisor leaves no process behind. Elsewhere the next ``up`` finds the children in the state file.

It runs before the command instead of between fork and exec, because the supervisor has threads (librdkafka's).
"""

import ctypes
import os
import signal
import sys
from collections.abc import Sequence
from typing import Final

__all__ = ["main", "spawn_command"]

_PR_SET_PDEATHSIG: Final = 1
"""Source: prctl(2)."""


def spawn_command(command: Sequence[str]) -> tuple[str, ...]:
    """Wrap a command so that it dies with this process."""
    return (sys.executable, "-S", "-E", __file__, str(os.getpid()), *command)


def main(arguments: Sequence[str]) -> None:
    """Become the command. ``arguments`` are the parent's process id and the command."""
    parent, *command = arguments
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != int(parent):
        sys.exit(1)  # the parent died before the kernel could be asked
    os.execvp(command[0], command)


if __name__ == "__main__":
    main(sys.argv[1:])
