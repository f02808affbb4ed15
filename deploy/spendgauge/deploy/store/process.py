"""How does the embedded ClickHouse run? ``python -m spendgauge.deploy.store --path DIR --port N``.

One process owns one data directory and answers ClickHouse's HTTP protocol on this machine, so every client that can
talk to a ClickHouse server can talk to it, and moving to a real server is a change of address.
"""

import argparse
import asyncio
import fcntl
import os
import signal
import socket
import sys
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from pydantic import Field

from spendgauge.schemas import ConfigurationError, SpendgaugeError
from spendgauge.schemas.settings import EnvironmentSettings

__all__ = ["StoreSettings", "main", "run_store", "store_command"]

_LOOPBACK: Final = ("127.0.0.1", "localhost", "::1")
_ANYWHERE: Final = ("0.0.0.0", "::")


class StoreSettings(EnvironmentSettings):
    """How a store behaves; where it is comes from the command line."""

    store_password: str = Field(
        default="",
        description="What the user `default` must give. Empty: nothing; any program of this machine may ask.",
    )
    store_body_bytes: int = Field(
        default=1 << 30,
        gt=0,
        description="The largest request body, unpacked. Too large: one request can take all memory.",
    )
    store_send_seconds: float = Field(
        default=60.0,
        gt=0,
        description="How long a client may take nothing of its answer. Too long: clients that stopped reading keep "
        "others waiting.",
    )
    store_drain_seconds: float = Field(
        default=10.0,
        ge=0,
        description="How long running statements may go on after a stop. 0: they are cancelled at once.",
    )


def store_command(*, path: Path, port: int, host: str = "127.0.0.1") -> Sequence[str]:
    """Build the command line of a store; its settings go through the environment."""
    return (sys.executable, "-m", "spendgauge.deploy.store", "--path", str(path), "--port", str(port), "--host", host)


def run_store(*, path: Path, port: int, host: str = "127.0.0.1", settings: StoreSettings | None = None) -> None:
    """Serve until SIGTERM or SIGINT; then let running statements finish and close the engine.

    Raises ``ConfigurationError`` where the port or the directory is taken.
    """
    settings = settings or StoreSettings()
    if host not in _LOOPBACK and not settings.store_password:
        raise ConfigurationError(
            f"at {host} the store would answer anyone; set SPENDGAUGE_STORE_PASSWORD, or stay at 127.0.0.1"
        )
    hosts = () if host in _ANYWHERE else (*_LOOPBACK, host)
    with _listen(host, port) as listener, _own(path.resolve()):
        asyncio.run(_serve(listener, path.resolve(), settings, hosts))


async def _serve(listener: socket.socket, path: Path, settings: StoreSettings, hosts: Collection[str]) -> None:
    from aiohttp import web

    from spendgauge.deploy.store.engine import Engine
    from spendgauge.deploy.store.server import StoreServer

    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    engine = Engine(path)
    server = StoreServer(
        engine,
        password=settings.store_password,
        body_bytes=settings.store_body_bytes,
        send_seconds=settings.store_send_seconds,
        hosts=hosts,
    )
    runner = web.AppRunner(server.application(), access_log=None, auto_decompress=False, shutdown_timeout=1)
    await runner.setup()
    site = web.SockSite(runner, listener)
    await site.start()
    print(f"ClickHouse {engine.version} answers at http://{_address(listener)}, data in {path}", flush=True)
    await stop.wait()
    await site.stop()
    await server.drain(settings.store_drain_seconds)
    await runner.cleanup()
    server.close()
    engine.close()


@contextmanager
def _listen(host: str, port: int) -> Iterator[socket.socket]:
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    with listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
            listener.listen(128)
        except OSError as error:
            raise ConfigurationError(
                f"the store cannot listen on {host}:{port} ({os.strerror(error.errno or 0)}); "
                "choose another port with --clickhouse-port"
            ) from None
        listener.setblocking(False)
        yield listener


@contextmanager
def _own(path: Path) -> Iterator[None]:
    """Hold the directory for this process alone."""
    try:
        path.mkdir(parents=True, exist_ok=True)
        lock = (path / "store.lock").open("w")
    except OSError as error:
        raise ConfigurationError(f"the store cannot use the directory {path} ({error.strerror})") from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigurationError(f"another store uses the directory {path}; stop it, or choose another") from None
        yield


def _address(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a store from a command line; say an error in one sentence."""
    parser = argparse.ArgumentParser(prog="spendgauge store", description="Serve ClickHouse's engine over HTTP.")
    parser.add_argument("--path", type=Path, required=True, help="the data directory; created if missing")
    parser.add_argument("--port", type=int, default=8123, help="the port to listen on")
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen on")
    given = parser.parse_args(arguments)
    try:
        run_store(path=given.path, port=given.port, host=given.host, settings=StoreSettings.from_environment())
    except SpendgaugeError as error:
        print(f"spendgauge store: {error}", file=sys.stderr)
        return 1
    return 0
