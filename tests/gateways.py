"""How is a gateway tested? As a process of its own, asked over HTTP, or by raw bytes."""

import http.client
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep
from typing import Any

from tests.producers import CALL

from spendgauge.deploy.stack.broker import free_port
from spendgauge.deploy.stack.spawn import spawn_command

__all__ = ["Reply", "RunningGateway", "head", "lines", "running_gateway", "uuid"]

_START_SECONDS = 20.0


@dataclass(frozen=True)
class Reply:
    """What was answered."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body, read."""
        return json.loads(self.body)

    @property
    def ids(self) -> list[str]:
        """The ids of what is safe."""
        return [item["event_id"] for item in self.json["items"] if "event_id" in item]


@dataclass(frozen=True)
class RunningGateway:
    """A gateway that answers, and its process."""

    port: int
    process: subprocess.Popen[bytes]
    log: Path
    spool: Path
    token: str = ""

    def send(self, body: Any = CALL, path: str = "/v1/usage", *, method: str = "POST", **headers: str | None) -> Reply:
        """Send one request, of JSON unless ``body`` is bytes; a header's underscores are dashes, None leaves it out."""
        told: dict[str, str | None] = {"content_type": "application/json"}
        if self.token:
            told["authorization"] = f"Bearer {self.token}"
        told |= headers
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            written = {name.replace("_", "-"): value for name, value in told.items() if value is not None}
            connection.request(method, path, data, written)
            reply = connection.getresponse()
            return Reply(reply.status, {k.lower(): v for k, v in reply.getheaders()}, reply.read())
        finally:
            connection.close()

    def get(self, path: str, **headers: str | None) -> Reply:
        """Ask for a page."""
        return self.send(None, path, method="GET", **headers)

    def connect(self) -> socket.socket:
        """Open a connection for raw bytes."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=20)

    def until_logged(self, text: str, seconds: float = 10) -> None:
        """Wait until the log has a text."""
        deadline = monotonic() + seconds
        while text not in self.log.read_text():
            assert monotonic() < deadline, self.log.read_text()
            sleep(0.05)


@contextmanager
def running_gateway(
    folder: Path, *arguments: str, kafka: str = "127.0.0.1:1", token: str = "", **settings: object
) -> Iterator[RunningGateway]:
    """Run ``spendgauge gateway`` on a free port until the block ends; without a broker, events stay in ``spool``."""
    port, log, spool = free_port(), folder / "gateway.log", folder / "spool"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SPENDGAUGE_")}
    environment |= {"SPENDGAUGE_KAFKA": kafka, "SPENDGAUGE_DATA": str(folder), "SPENDGAUGE_EXIT_SECONDS": "0.2"}
    environment |= {f"SPENDGAUGE_{name.upper()}": str(value) for name, value in settings.items()}
    command = (sys.executable, "-m", "spendgauge.deploy", "gateway", "--port", str(port), "--spool", str(spool))
    with log.open("ab") as output:
        process = subprocess.Popen(spawn_command((*command, *arguments)), env=environment, stdout=output, stderr=output)
    gateway = RunningGateway(port, process, log, spool, token)
    try:
        _wait(gateway)
        yield gateway
    finally:
        process.kill()
        process.wait()


def head(token: str = "", **headers: str | int) -> bytes:
    """Write the first bytes of a request of usage; a header's underscores are dashes."""
    own = {"host": "localhost", "content-type": "application/json"}
    told = own | {name.replace("_", "-"): str(value) for name, value in headers.items()}
    if token:
        told["authorization"] = f"Bearer {token}"
    written = "".join(f"{name}: {value}\r\n" for name, value in told.items())
    return f"POST /v1/usage HTTP/1.1\r\n{written}\r\n".encode()


def lines(*events: Mapping[str, Any]) -> bytes:
    """Write events as NDJSON."""
    return b"\n".join(json.dumps(event).encode() for event in events)


def uuid(number: int) -> str:
    """Make a UUID that a test can name."""
    return f"0190c5b0-3d6e-7c41-9f0e-{number:012x}"


def _wait(gateway: RunningGateway) -> None:
    deadline = monotonic() + _START_SECONDS
    while True:
        try:
            gateway.connect().close()
            return
        except OSError:
            assert gateway.process.poll() is None, gateway.log.read_text()
            assert monotonic() < deadline, gateway.log.read_text()
            sleep(0.05)
