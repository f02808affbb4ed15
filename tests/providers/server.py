"""How is a provider played on this machine? An HTTP server that speaks its protocol, and misbehaves when asked to.

The header ``x-play`` says how, one word for each attempt (the SDKs number theirs): ``429,cut,ok`` refuses the first,
cuts the second and answers the third; the last word holds for all that follow.

    ok                   answer
    429, 500, 529, ...   refuse with that status; retry-after-ms is 5
    bare                 answer without usage
    gzip                 answer compressed
    slow                 wait 0.1 seconds before the first token
    stall                stop in the middle of a stream and keep the connection
    cut                  break the connection in the middle of the answer
    end                  end a stream properly, but in the middle
    fail                 send half of a stream, then an error event
    hang                 never answer
    reset                break the connection without an answer
"""

import gzip
import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final, Protocol, cast
from urllib.parse import urlsplit

from tests.providers import completions, messages
from tests.providers.scripted import Reply

__all__ = ["APIS", "ERROR_TEXT", "Played", "Served", "play"]

ERROR_TEXT: Final = "the text of an error, which is nobody's business"
SLOW_SECONDS: Final = 0.1


class _Api(Protocol):
    def answer(self, path: str, request: dict[str, Any], *, counted: bool) -> Reply | None: ...

    def error_body(self, status: int, text: str) -> dict[str, Any]: ...

    def error_event(self, text: str) -> tuple[str, dict[str, Any]]: ...


APIS: Final[dict[str, _Api]] = {"anthropic": cast(_Api, messages), "openai": cast(_Api, completions)}


@dataclass(frozen=True)
class Served:
    """One attempt as the server saw it; ``usage`` is what a whole answer used."""

    path: str
    attempt: int
    how: str
    usage: dict[str, Any]


@dataclass
class Played:
    """A server that runs: where, and what it has served so far."""

    url: str
    served: list[Served] = field(default_factory=list)
    bodies: list[dict[str, Any]] = field(default_factory=list)
    let_go: threading.Event = field(default_factory=threading.Event)
    """Set at the end: whoever stalls or hangs goes on."""
    at_end: list[Callable[[], None]] = field(default_factory=list)
    """What else is to be done then, such as closing clients."""

    def total(self, name: str, *, how: Sequence[str] = ("ok",)) -> int:
        """Add up a count of the usage of whatever was served in one of these ways."""
        return sum(entry.usage[name] for entry in self.served if entry.how in how)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, port: int, apis: Sequence[str]) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.apis = [APIS[name] for name in apis]
        self.played = Played(f"http://127.0.0.1:{self.server_address[1]}")

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: clients that go away are part of the play."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def do_POST(self) -> None:
        """Answer one request."""
        request = json.loads(self.rfile.read(int(self.headers["content-length"])))
        path = urlsplit(self.path).path
        attempt = int(self.headers.get("x-stainless-retry-count", 0)) + 1
        plays = [word.strip() for word in self.headers.get("x-play", "ok").split(",")]
        how = plays[min(attempt, len(plays)) - 1]
        for api in self.server.apis:
            reply = api.answer(path, request, counted=how != "bare")
            if reply is not None:
                self.server.played.bodies.append(request)
                self.server.played.served.append(Served(path, attempt, how, reply.usage))
                self._play(api, reply, how)
                return
        self._send_json(404, self.server.apis[0].error_body(404, f"nothing is at {path}"))

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing."""

    def _play(self, api: _Api, reply: Reply, how: str) -> None:
        if how.isdecimal():
            self._send_json(int(how), api.error_body(int(how), ERROR_TEXT), ("retry-after-ms", "5"))
        elif how in ("hang", "reset"):
            if how == "hang":
                self.server.played.let_go.wait(30)
            self.close_connection = True
        elif reply.events:
            self._send_stream(api, reply, how)
        elif how == "cut":
            text = json.dumps(reply.body).encode()
            self._begin(200, ("content-type", "application/json"), ("content-length", str(len(text))))
            self.wfile.write(text[: len(text) // 2])
            self.close_connection = True
        else:
            self._send_json(200, reply.body, compressed=how == "gzip")

    def _send_json(
        self, status: int, body: dict[str, Any], *headers: tuple[str, str], compressed: bool = False
    ) -> None:
        text = json.dumps(body).encode()
        if compressed:
            text, headers = gzip.compress(text), (*headers, ("content-encoding", "gzip"))
        length = ("content-length", str(len(text)))
        self._begin(status, ("content-type", "application/json"), length, *headers)
        self.wfile.write(text)

    def _send_stream(self, api: _Api, reply: Reply, how: str) -> None:
        lines = [_event(name, data) for name, data in reply.events]
        half = len(lines) // 2
        encoding = [("content-encoding", "gzip")] if how == "gzip" else []
        self._begin(200, ("content-type", "text/event-stream"), ("transfer-encoding", "chunked"), *encoding)
        if how == "slow":
            time.sleep(SLOW_SECONDS)
        if how in ("cut", "end", "fail", "stall"):
            lines = lines[:half]
        if how == "fail":
            lines.append(_event(*api.error_event(ERROR_TEXT)))
        elif reply.last and how not in ("cut", "end", "stall"):
            lines.append(b"data: %b\n\n" % reply.last.encode())
        for line in [gzip.compress(b"".join(lines))] if how == "gzip" else lines:
            self.wfile.write(b"%x\r\n%b\r\n" % (len(line), line))
        if how == "stall":
            self.server.played.let_go.wait(30)
        if how in ("cut", "stall"):
            self.close_connection = True
        else:
            self.wfile.write(b"0\r\n\r\n")

    def _begin(self, status: int, *headers: tuple[str, str]) -> None:
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()


def _event(name: str, data: dict[str, Any]) -> bytes:
    named = f"event: {name}\n" if name else ""
    return f"{named}data: {json.dumps(data)}\n\n".encode()


@contextmanager
def play(*apis: str, port: int = 0) -> Iterator[Played]:
    """Play these providers (all, where none is named) on a free port of this machine, until the block ends."""
    server = _Server(port, apis or tuple(APIS))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server.played
    finally:
        for close in server.played.at_end:
            close()
        server.played.let_go.set()
        server.shutdown()
        thread.join()
        with suppress(OSError):
            server.server_close()
