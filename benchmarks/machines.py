"""What runs where? Servers on one core, what is measured on another, so that neither takes the other's time."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import IO, Any, Final

from spendgauge.deploy.stack.broker import broker_command, free_port
from spendgauge.deploy.store.process import store_command
from spendgauge.schemas import ClickHouseSettings, KafkaSettings, SystemClock, UnavailableError
from spendgauge.schemas.kafka import connect_admin

__all__ = ["ROOT", "broker", "processors", "run_pinned", "start_pinned", "stay_beside_servers", "store"]

ROOT: Final = Path(__file__).parents[1]
_START_SECONDS: Final = 60


@cache
def processors() -> tuple[int, int]:
    """Name the processor of the servers and that of what is measured; the same one where there is only one."""
    allowed = sorted(os.sched_getaffinity(0))
    return allowed[0], allowed[-1]


def start_pinned(
    command: Sequence[str],
    *,
    processor: int,
    environment: Mapping[str, str] | None = None,
    output: int | IO[str] = subprocess.DEVNULL,
) -> "subprocess.Popen[str]":
    """Start a command on one processor; what it prints goes to ``output``, errors too."""
    return subprocess.Popen(
        ["taskset", "--cpu-list", str(processor), *command],
        cwd=ROOT,
        env={**os.environ, **(environment or {})},
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        text=True,
    )


def stay_beside_servers() -> None:
    """Keep this process, and the threads that it will start, off the processor of what is measured."""
    os.sched_setaffinity(0, {processors()[0]})


def run_pinned(module: str, *arguments: str, python: Path | str = sys.executable) -> dict[str, Any]:
    """Run ``python -m module`` on the measured processor to its end; read the JSON object that it prints."""
    command = [str(python), "-m", module, *arguments]
    with start_pinned(command, processor=processors()[1], output=subprocess.PIPE) as process:
        try:
            printed, errors = process.communicate(timeout=600)
        except BaseException:
            process.kill()
            raise
    if process.returncode:
        raise RuntimeError(f"python -m {module} {' '.join(arguments)} ended with {process.returncode}: {errors}")
    return dict(json.loads(printed))


@contextmanager
def broker() -> Iterator[str]:
    """Run an embedded broker on the servers' processor; give its address."""
    port = free_port()
    with _served(broker_command(port=port)):
        settings = KafkaSettings(kafka=f"127.0.0.1:{port}")
        _wait(lambda: connect_admin(settings, timeout_seconds=1))
        yield settings.kafka


@contextmanager
def store(path: Path) -> Iterator[ClickHouseSettings]:
    """Run an embedded ClickHouse on the servers' processor; give its address."""
    from spendgauge.sinks.clickhouse import connect

    port = free_port()
    settings = ClickHouseSettings(clickhouse=f"http://default@127.0.0.1:{port}/spendgauge")
    with _served(store_command(path=path, port=port)):
        _wait(lambda: connect(settings, use_database=False))
        yield settings


@contextmanager
def _served(command: Sequence[str]) -> Iterator[None]:
    process = start_pinned(command, processor=processors()[0])
    try:
        yield
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(15)
        process.kill()
        process.wait()


def _wait(connect: Any) -> None:
    clock = SystemClock()
    deadline = clock.monotonic() + _START_SECONDS
    while True:
        try:
            connect()
        except UnavailableError:
            if clock.monotonic() > deadline:
                raise
            clock.sleep(0.1)
        else:
            return
