"""How many events does a gateway take in a second of its processor, beside a bare FastAPI application?

The bare one reads the same requests with the same server, parses their JSON and answers: nothing is checked, numbered,
written or sent. ``python -m benchmarks.gateway PORT`` runs it. Both have one processor; the sender, and the broker, the
other. What counts is the server's own processor time, since a sender in Python cannot keep a server busy with small
requests.
"""

import os
import selectors
import socket
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, Final

import orjson

from benchmarks.machines import broker, processors, start_pinned, stay_beside_servers
from benchmarks.report import Row
from spendgauge.deploy.stack.broker import free_port
from spendgauge.producers.gateway.keys import add_key
from spendgauge.schemas import KafkaSettings, SystemClock, topic_specs
from spendgauge.schemas.kafka import create_topics

__all__ = ["main", "measure_gateway"]

_SECONDS: Final = 3.0
_CONNECTIONS: Final = 16
_START_SECONDS: Final = 20.0
_CLOCK: Final = SystemClock()
_EVENT: Final = {
    "provider": "anthropic",
    "model": "claude-sonnet-4-5-20250929",
    "input_tokens": 412,
    "cache_read_tokens": 28_424,
    "cache_write_5m_tokens": 77,
    "output_tokens": 301,
    "latency_ms": 1625,
    "environment": "production",
    "feature": "pair",
    "user_id": "harbor/user-1",
    "session_id": "code-assistant-d27b53976262",
}
_LIMITS: Final = {"REQUESTS_PER_SECOND": "1e9", "EVENTS_PER_SECOND": "1e9"}


@dataclass(frozen=True)
class _Server:
    port: int
    pid: int

    def per_cpu_second(self, request: bytes, status: bytes, *, each: int) -> float:
        """Send a request again and again; return what the server did in a second of its processor."""
        before, replies = _cpu_seconds(self.pid), _drive(self.port, request, status)
        return replies * each / (_cpu_seconds(self.pid) - before)


def measure_gateway(*, rounds: int) -> list[Row]:
    """Measure batches of 1, 100 and 1,000 events, and refusals; the medians of the rounds."""
    stay_beside_servers()
    with broker() as kafka, tempfile.TemporaryDirectory() as folder:
        settings = KafkaSettings(kafka=kafka)
        create_topics(settings, topic_specs(settings.topics))
        token = add_key(Path(folder) / "keys.toml", "bench", fixed={}, allowed={}, now_ms=_CLOCK.now_ms())
        with _ours(Path(folder), kafka) as ours, _bare() as bare:
            return [*_batches(ours, bare, token, rounds), *_refusals(ours, token, rounds)]


def _batches(ours: _Server, bare: _Server, token: str, rounds: int) -> Iterator[Row]:
    for size in (1, 100, 1_000):
        body = orjson.dumps(_EVENT if size == 1 else [_EVENT] * size)
        request = _request(body, token)
        found = [
            [server.per_cpu_second(request, status, each=size) for server, status in ((ours, b"202"), (bare, b"200"))]
            for _ in range(rounds)
        ]
        mine, theirs = (median(run[place] for run in found) for place in (0, 1))
        yield Row(f"{size:,} events a request", mine, "FastAPI that only parses", theirs, "events/CPU s")


def _refusals(ours: _Server, token: str, rounds: int) -> Iterator[Row]:
    body = orjson.dumps([_EVENT] * 100)
    asked = {
        "100 events without a key, refused": (_request(body, ""), b"401"),
        "5 MB announced, refused": (_request(b"", token, length=5_000_000), b"413"),
    }
    for what, (request, status) in asked.items():
        found = [ours.per_cpu_second(request, status, each=1) for _ in range(rounds)]
        yield Row(what, median(found), "", 0, "requests/CPU s")


def _request(body: bytes, token: str, *, length: int | None = None) -> bytes:
    key = f"authorization: Bearer {token}\r\n" if token else ""
    size = len(body) if length is None else length
    told = f"host: bench\r\n{key}content-type: application/json\r\ncontent-length: {size}\r\n\r\n"
    return b"POST /v1/usage HTTP/1.1\r\n" + told.encode() + body


@contextmanager
def _ours(folder: Path, kafka: str) -> Iterator[_Server]:
    told = {f"SPENDGAUGE_GATEWAY_{name}": value for name, value in _LIMITS.items()} | {"SPENDGAUGE_KAFKA": kafka}
    port = free_port()
    where = ("--port", str(port), "--keys", str(folder / "keys.toml"), "--spool", str(folder / "spool"))
    with _served(("spendgauge.deploy", "gateway", *where), port, told) as server:
        yield server


@contextmanager
def _bare() -> Iterator[_Server]:
    port = free_port()
    with _served(("benchmarks.gateway", str(port)), port, {}) as server:
        yield server


@contextmanager
def _served(module: Sequence[str], port: int, environment: Mapping[str, str]) -> Iterator[_Server]:
    process = start_pinned((sys.executable, "-m", *module), processor=processors()[1], environment=environment)
    try:
        deadline = _CLOCK.monotonic() + _START_SECONDS
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                if _CLOCK.monotonic() > deadline or process.poll() is not None:
                    raise
                _CLOCK.sleep(0.1)
        yield _Server(port, process.pid)
    finally:
        process.kill()
        process.wait()


def _drive(port: int, request: bytes, status: bytes) -> int:
    """Send on several connections for some seconds, on each the next request after the answer; count the answers.

    Where the server announces no body it is told the next request on another connection.
    """
    replies, deadline = 0, _CLOCK.monotonic() + _SECONDS
    announces = request.endswith(b"\r\n\r\n")
    with selectors.DefaultSelector() as selector:
        for _ in range(_CONNECTIONS):
            selector.register(_begin(port, request), selectors.EVENT_READ, bytearray())
        while _CLOCK.monotonic() < deadline:
            for ready, _ in selector.select(1):
                connection: Any = ready.fileobj
                ready.data.extend(connection.recv(1 << 18))
                if not _is_whole(ready.data):
                    continue
                if not ready.data.startswith(b"HTTP/1.1 " + status):
                    raise RuntimeError(f"the server answered {bytes(ready.data[:200])!r}")
                replies += 1
                ready.data.clear()
                if announces:
                    selector.unregister(connection)
                    connection.close()
                    selector.register(_begin(port, request), selectors.EVENT_READ, bytearray())
                else:
                    connection.sendall(request)
        for key in list(selector.get_map().values()):
            key.fileobj.close()  # type: ignore[union-attr]  # they are sockets
    return replies


def _begin(port: int, request: bytes) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port))
    connection.sendall(request)
    return connection


def _is_whole(reply: bytearray) -> bool:
    head, end, body = reply.partition(b"\r\n\r\n")
    if not end:
        return False
    length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
    return len(body) >= int(length.partition(b":")[2])


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main() -> int:
    """Run the bare application."""
    import uvicorn
    from fastapi import FastAPI, Request

    app = FastAPI()

    @app.post("/v1/usage")
    async def usage(request: Request) -> dict[str, int]:
        given = orjson.loads(await request.body())
        return {"accepted": len(given) if isinstance(given, list) else 1}

    uvicorn.run(app, port=int(sys.argv[1]), access_log=False, log_level="error")
    return 0


if __name__ == "__main__":
    sys.exit(main())
