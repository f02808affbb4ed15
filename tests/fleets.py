"""How are several rates workers run, and taken down in every way a process can be?"""

import json
import signal
import subprocess
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from time import monotonic, sleep
from typing import Any, Self

from confluent_kafka import Consumer, KafkaException, TopicPartition
from tests.workers import OURS, running_worker

from spendgauge.schemas import KafkaSettings
from spendgauge.schemas.kafka import client_options

__all__ = ["Fleet", "FleetWorker", "committed_offsets", "until"]

PATIENCE_SECONDS = 120.0
"""Nothing here takes as long; a machine that others use as well may."""


class FleetWorker:
    """One process, and the file that it logs to."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self.process = process
        self._log = log

    def kill(self) -> None:
        """End it with SIGKILL."""
        self.process.kill()
        self.process.wait()

    def pause(self) -> None:
        """Freeze it."""
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on: it does not know yet that it was away."""
        self.process.send_signal(signal.SIGCONT)

    def terminate(self) -> None:
        """Ask it to end with SIGTERM."""
        self.process.terminate()

    def last_words(self) -> dict[str, Any]:
        """Wait until it has ended, and well; return what it says last: nothing where it had not begun."""
        status = self.process.wait(60)
        if status == -signal.SIGTERM and not self.said():
            return {}
        assert status == 0, f"a worker ended with status {status}; its log ends: {self.said()[-2000:]}"
        last: dict[str, Any] = json.loads(self.said().splitlines()[-1])
        assert last["event"] == "stopped", last
        return last

    def said(self) -> str:
        """Return its log."""
        return self._log.read_text(encoding="utf-8")

    @property
    def threads(self) -> int:
        """How many threads it has."""
        return len(list(Path(f"/proc/{self.process.pid}/task").iterdir()))

    @property
    def is_running(self) -> bool:
        """Whether the process is there."""
        return self.process.poll() is None


class Fleet:
    """Workers of one group; whatever happens, none outlives the block."""

    def __init__(self, kafka: KafkaSettings, directory: Path, **settings: Any) -> None:
        """``settings``: of every worker, by name."""
        self.workers: list[FleetWorker] = []
        self._kafka = kafka
        self._directory = directory
        self._settings = settings
        self._processes = ExitStack()

    def __enter__(self) -> Self:
        """Begin without workers."""
        return self

    def __exit__(self, *_: object) -> None:
        """Kill them all."""
        self._processes.close()

    def join(self, **settings: Any) -> FleetWorker:
        """Start a worker; ``settings`` of its own win."""
        log = self._directory / f"worker-{len(list(self._directory.glob('worker-*.log')))}.log"
        with log.open("wb") as errors:
            running = running_worker(self._kafka, OURS, errors=errors.fileno(), **self._settings | settings)
            worker = FleetWorker(self._processes.enter_context(running), log)
        self.workers.append(worker)
        return worker

    def kill(self, worker: FleetWorker) -> None:
        """Kill one, for good."""
        self.workers.remove(worker)
        worker.kill()

    def leave(self, worker: FleetWorker) -> dict[str, Any]:
        """Let one leave; return what it says last."""
        worker.terminate()
        self.workers.remove(worker)
        return worker.last_words()

    def leave_all(self) -> list[dict[str, Any]]:
        """Let all leave at once; return what each says last."""
        leaving, self.workers = self.workers, []
        for worker in leaving:
            worker.terminate()
        return [worker.last_words() for worker in leaving]

    def logs(self) -> str:
        """Return what all of them said, those that are gone too."""
        return "".join(log.read_text(encoding="utf-8") for log in sorted(self._directory.glob("worker-*.log")))


def until(check: Callable[[], bool], *, what: str, seconds: float = PATIENCE_SECONDS) -> None:
    """Wait until something is true; fail with ``what`` is missing where it does not come true in time."""
    deadline = monotonic() + seconds
    while not check():
        assert monotonic() < deadline, f"not within {seconds} s: {what}"
        sleep(0.1)


def committed_offsets(kafka: KafkaSettings, group: str, partitions: int) -> list[int] | None:
    """Ask what the group has committed of each partition of ``usage.events``; None: the broker does not answer."""
    consumer = Consumer(client_options(kafka, **{"group.id": group, "log_level": 0}))
    try:
        asked = [TopicPartition(kafka.topics.usage, number) for number in range(partitions)]
        return [max(point.offset, 0) for point in consumer.committed(asked, timeout=10)]
    except KafkaException:
        return None
    finally:
        consumer.close()
