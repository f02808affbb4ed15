"""What hears a notifier, and what does it hear of? A receiver of webhooks, and alerts made up for it."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from time import monotonic, sleep
from typing import Any, cast

from spendgauge.schemas.alerts import Alert
from spendgauge.streams.delivery.settings import NotifierSettings

__all__ = [
    "BEGIN",
    "SECRET",
    "Received",
    "Receiver",
    "alert",
    "channels_file",
    "receiving",
    "run_notifier_alone",
    "until",
]

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYqr"
BEGIN = 1_790_000_040
"""The alerts' onset, the start of a minute in 2026."""


def alert(alert_id: str = "a", state: str = "raised", severity: str = "warn", **changes: Any) -> Alert:
    """Make an alert's line, of an incident of its own unless another is given; ``at``: seconds after its onset."""
    at = changes.pop("at", {"raised": 60, "escalated": 120, "resolved": 180}[state])
    at = at if at > BEGIN else BEGIN + at
    fields: dict[str, Any] = {
        "alert_id": alert_id,
        "incident_id": alert_id,
        "rule": "spike",
        "state": state,
        "severity": severity,
        "series": "feature",
        "key": ("chat",),
        "onset": BEGIN,
        "evaluated_at": at,
        "window_seconds": 300,
        "usual_usd": "1.000000000000",
        "seen_usd": "9.000000000000",
        "excess_usd": "8.000000000000",
        "excess_usd_per_hour": "96.000000000000",
        "since_onset_usd": "8.000000000000",
        "driver": "requests",
        "contributors": (),
        "message": "feature 'chat' spends 9.00 USD in 5 minutes, usually 1.00; there are more requests.",
    }
    return Alert(**fields | changes)


@dataclass(frozen=True)
class Received:
    """One request."""

    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """Its body."""
        return json.loads(self.body)

    @property
    def what(self) -> tuple[str, str, str]:
        """What it tells: type, severity, incident."""
        said = self.json
        return said["type"], said["data"]["severity"], said["data"]["incident"]["incident_id"]


@dataclass
class Receiver:
    """A server that writes down what it gets, and answers as it is told."""

    port: int
    got: list[Received] = field(default_factory=list)
    status: int = 200
    answer_headers: dict[str, str] = field(default_factory=dict)
    gate: Event = field(default_factory=Event)
    """Answers wait until it is set; it is."""

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.port}/hook"

    @property
    def told(self) -> list[tuple[str, str, str]]:
        """What it was told, in order."""
        return [one.what for one in list(self.got)]


class _Server(ThreadingHTTPServer):
    receiver: Receiver
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: a client that is killed goes away in the middle."""


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        """Write the request down if all of it came, wait at the gate, answer."""
        receiver = cast(_Server, self.server).receiver
        length = int(self.headers["Content-Length"])
        body = self.rfile.read(length)
        if len(body) < length:
            return  # whoever sent it was killed amid it: it told nothing
        headers = {name.lower(): value for name, value in self.headers.items()}
        receiver.got.append(Received(self.path, headers, body))
        receiver.gate.wait(30)
        self.send_response(receiver.status)
        for name, value in receiver.answer_headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *arguments: object) -> None:
        """Say nothing."""


@contextmanager
def receiving() -> Iterator[Receiver]:
    """Run a receiver on a free port."""
    server = _Server(("127.0.0.1", 0), _Handler)
    server.receiver = Receiver(server.server_address[1])
    server.receiver.gate.set()
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server.receiver
    finally:
        server.receiver.gate.set()
        server.shutdown()
        server.server_close()
        thread.join()


def channels_file(folder: Path, *channels: Mapping[str, Any]) -> Path:
    """Write ``channels.toml``; a channel's values are text, numbers, or TOML where they begin with a bracket."""
    lines = []
    for channel in channels:
        lines.append("[[channel]]")
        for name, value in channel.items():
            raw = isinstance(value, str) and not value.startswith(("[", "{"))
            lines.append(f"{name} = {json.dumps(value) if raw else value}")
    path = folder / "channels.toml"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def until(condition: Any, *, seconds: float = 20) -> bool:
    """Wait until something holds; say whether it came."""
    deadline = monotonic() + seconds
    while not condition():
        if monotonic() > deadline:
            return False
        sleep(0.02)
    return True


def run_notifier_alone(settings: NotifierSettings, environment: Mapping[str, str]) -> None:
    """Tell people for ever: what a process of its own does."""
    from spendgauge.streams.delivery.notifier import run_notifier

    run_notifier(settings, Event(), environment=environment)
