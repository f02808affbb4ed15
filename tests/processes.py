"""How does a test run a process? It is stopped at the test's end, and it dies with pytest, however that ends."""

import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from spendgauge.deploy.stack.spawn import spawn_command

__all__ = ["running"]


@contextmanager
def running(
    command: Sequence[str], *, environment: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command; stop it at the end, by force if it does not stop by itself."""
    with subprocess.Popen(spawn_command(command), env=environment, stdout=subprocess.DEVNULL) as process:
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(timeout=20)
            finally:
                process.kill()
