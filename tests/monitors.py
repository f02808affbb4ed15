"""How does a test ask a process how it is? Over HTTP, as Kubernetes and Prometheus do."""

import json
import urllib.error
import urllib.request
from time import monotonic, sleep
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

__all__ = ["Monitor"]


class Monitor:
    """Asks one process, which may not have started yet or may be gone."""

    def __init__(self, port: int) -> None:
        """Ask on this port."""
        self.port = port

    def ask(self, path: str) -> tuple[int, bytes]:
        """Give status and body; 0 where nobody listens."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5) as reply:
                return reply.status, reply.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read()
        except OSError:
            return 0, b""

    @property
    def alive(self) -> bool:
        """What ``/healthz`` says."""
        return self.ask("/healthz")[0] == 200

    @property
    def ready(self) -> bool:
        """What ``/readyz`` says."""
        return self.ask("/readyz")[0] == 200

    @property
    def reasons(self) -> list[str]:
        """Why ``/readyz`` says no."""
        _, body = self.ask("/readyz")
        found: dict[str, Any] = json.loads(body) if body else {}
        return list(found.get("reasons", ["nobody answers"]))

    def figure(self, name: str, **labels: str) -> float:
        """Add up the samples of a figure that have these labels."""
        families = text_string_to_metric_families(self.ask("/metrics")[1].decode())
        samples = (sample for family in families for sample in family.samples if sample.name == name)
        return sum(sample.value for sample in samples if labels.items() <= sample.labels.items())

    def until(self, *, ready: bool = True, seconds: float = 60) -> bool:
        """Wait until it is ready, or is not; say whether that came."""
        deadline = monotonic() + seconds
        while self.ready != ready:
            if monotonic() > deadline:
                return False
            sleep(0.05)
        return True
