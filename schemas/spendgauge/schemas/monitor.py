"""How does a process answer whoever watches it? Over HTTP: ``/healthz``, ``/readyz`` and ``/metrics``.

It answers in threads of its own: also where the main loop hangs, and without holding it up. Whatever it says was found
out before, so an answer takes a millisecond and needs no broker.
"""

import json
import socket
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from socketserver import TCPServer, ThreadingMixIn
from threading import Thread
from typing import Final, cast

import structlog
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from spendgauge.schemas.errors import ConfigurationError
from spendgauge.schemas.settings import MonitorSettings

__all__ = ["ALIVE_SECONDS", "Reply", "Vitals", "answer", "monitoring"]

ALIVE_SECONDS: Final = 30.0
"""A main loop that has not turned for so long hangs: a turn that takes longer than this is not to be waited for."""

_CLIENT_SECONDS: Final = 5.0
"""How long a client may take over its question."""

_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Vitals:
    """What can be said of a process at any time, by any thread."""

    registry: CollectorRegistry
    silent_seconds: Callable[[], float]
    """How long ago the main loop turned."""
    obstacles: Callable[[], Sequence[str]]
    """Why it is not ready, a sentence each; none: it is."""


@dataclass(frozen=True)
class Reply:
    """What is sent back."""

    status: int
    content_type: str
    body: bytes


def answer(path: str, vitals: Vitals, *, accept: str = "") -> Reply:
    """Answer one question; ``accept`` is the header in which Prometheus says which format it reads."""
    silent = vitals.silent_seconds()
    alive = silent <= ALIVE_SECONDS
    match path.partition("?")[0]:
        case "/healthz":
            return _said(alive, {"alive": alive, "silent_seconds": round(silent, 3)})
        case "/readyz":
            reasons = [*([] if alive else [f"the main loop has not turned for {silent:.0f} s"]), *vitals.obstacles()]
            return _said(not reasons, {"ready": not reasons, "reasons": reasons})
        case "/metrics":
            encode, content_type = choose_encoder(accept)
            return Reply(200, content_type, encode(vitals.registry))
        case _:
            return Reply(404, "text/plain; charset=utf-8", b"ask for /healthz, /readyz or /metrics\n")


@contextmanager
def monitoring(settings: MonitorSettings, vitals: Vitals) -> Iterator[None]:
    """Answer until the block ends; where no port is set, do nothing.

    Raises ``ConfigurationError`` where the port cannot be had.
    """
    if settings.monitor_port is None:
        yield
        return
    server = _listen(settings.monitor_host, settings.monitor_port, vitals)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, name="monitor", daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _listen(host: str, port: int, vitals: Vitals) -> "_Server":
    try:
        return _Server(host, port, vitals)
    except (OSError, UnicodeError) as error:
        raise ConfigurationError(
            f"cannot listen on {host} port {port} ({getattr(error, 'strerror', None) or error}); "
            "choose others with SPENDGAUGE_MONITOR_HOST and SPENDGAUGE_MONITOR_PORT"
        ) from None


def _said(good: bool, what: dict[str, object]) -> Reply:
    return Reply(200 if good else 503, "application/json", json.dumps(what).encode() + b"\n")


class _Server(ThreadingMixIn, TCPServer):
    """Not ``http.server``'s own, which asks the name service for this machine's name before it listens."""

    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False

    def __init__(self, host: str, port: int, vitals: Vitals) -> None:
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.vitals = vitals
        super().__init__((host, port), _Handler)

    def handle_error(self, request: object, client_address: object) -> None:  # noqa: ARG002 - as socketserver calls it
        """Log in one line what went wrong; a client that went away is nothing to tell."""
        error = sys.exception()
        if not isinstance(error, OSError):
            _log.error("a question could not be answered", error=repr(error))


class _Handler(BaseHTTPRequestHandler):
    timeout = _CLIENT_SECONDS

    def do_GET(self) -> None:
        """Answer."""
        vitals = cast(_Server, self.server).vitals
        reply = answer(self.path, vitals, accept=self.headers.get("Accept", ""))
        self.send_response(reply.status)
        self.send_header("Content-Type", reply.content_type)
        self.send_header("Content-Length", str(len(reply.body)))
        self.end_headers()
        self.wfile.write(reply.body)

    def log_message(self, format: str, *arguments: object) -> None:
        """Say nothing: a probe comes every few seconds."""
