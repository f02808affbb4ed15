"""How does a test run a process? It is stopped at the test's end, and it dies with pytest, however that ends."""

import os
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from multiprocessing import get_context, parent_process
from multiprocessing.process import BaseProcess
from pathlib import Path
from threading import Thread
from typing import Any

from spendgauge.deploy.stack.spawn import spawn_command
from spendgauge.schemas import KafkaSettings

__all__ = ["forked", "running", "running_app"]


@contextmanager
def running(
    command: Sequence[str],
    *,
    environment: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    errors: int | None = None,
    stop_seconds: float = 20.0,
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command; stop it at the end, by force if it does not stop by itself in time (0: by force, at once)."""
    with subprocess.Popen(
        spawn_command(command),
        env=environment,
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=errors,
    ) as process:
        try:
            yield process
        finally:
            try:
                if stop_seconds:
                    process.terminate()
                    process.wait(timeout=stop_seconds)
            finally:
                process.kill()


def running_app(
    kafka: KafkaSettings, command: Sequence[str], *, cwd: Path | None = None, errors: int | None, **settings: object
) -> AbstractContextManager[subprocess.Popen[bytes]]:
    """Run a worker or a watcher, with settings by their names; at the end it is killed."""
    own = {f"SPENDGAUGE_{name.upper()}": str(value) for name, value in settings.items()}
    environment = {**os.environ, **kafka.environment(), **own}
    return running(command, environment=environment, cwd=cwd, errors=errors, stop_seconds=0)


@contextmanager
def forked(target: Callable[..., None], *arguments: Any, loaded: Sequence[str]) -> Iterator[BaseProcess]:
    """Run a function as a process of its own, which begins at once: it comes from one that has ``loaded`` its modules.

    That one is started once a session, and ends with it. What runs at the end is killed.
    """
    context = get_context("forkserver")
    context.set_forkserver_preload([*loaded])
    process = context.Process(target=_run, args=[target, *arguments])
    process.start()
    try:
        yield process
    finally:
        process.kill()
        process.join()
        process.close()


def _run(target: Callable[..., None], *arguments: Any) -> None:
    Thread(target=_end_with_parent, daemon=True).start()
    target(*arguments)


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        parent.join()
    os._exit(1)
