"""How do tests start a store, and speak plain HTTP to one?"""

import json
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from tests.processes import running

from spendgauge.deploy.stack.broker import free_port
from spendgauge.deploy.store.process import store_command


@dataclass(frozen=True)
class RunningStore:
    """A store that answers: its address without user and database, and its process."""

    url: str
    process: subprocess.Popen[bytes]


@dataclass(frozen=True)
class HttpReply:
    """What came back, error or not."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode()

    @property
    def summary(self) -> Any:
        """The summary header, read."""
        return json.loads(self.headers["X-ClickHouse-Summary"])


@contextmanager
def running_store(path: Path, *, environment: Mapping[str, str] | None = None) -> Iterator[RunningStore]:
    """Run a store on a directory."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with running(store_command(path=path, port=port), environment=environment) as process:
        _wait_for_ping(f"{url}/ping", process)
        yield RunningStore(url, process)


def ask(
    url: str,
    statement: str | bytes | None = None,
    *,
    path: str = "/",
    headers: Mapping[str, str] | None = None,
    **params: Any,
) -> HttpReply:
    """Send a statement in the body, or whatever ``params`` say, and give the reply."""
    data = statement.encode() if isinstance(statement, str) else statement
    query = f"?{urlencode(params)}" if params else ""
    request = urllib.request.Request(f"{url}{path}{query}", data=data, headers=dict(headers or {}))
    try:
        with urllib.request.urlopen(request, timeout=60) as reply:
            return HttpReply(reply.status, dict(reply.headers), reply.read())
    except urllib.error.HTTPError as error:
        with error:
            return HttpReply(error.code, dict(error.headers), error.read())


def _wait_for_ping(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except urllib.error.URLError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise
            time.sleep(0.05)
