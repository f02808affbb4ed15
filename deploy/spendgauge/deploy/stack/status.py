"""How is the stack doing?"""

from dataclasses import dataclass
from pathlib import Path

from spendgauge.deploy.stack.health import KafkaWatch, http_answers
from spendgauge.deploy.stack.state import ChildState, StackAddresses, heartbeat_path, load_state
from spendgauge.schemas import KafkaSettings, TopicNames
from spendgauge.schemas.heartbeat import read_fault
from spendgauge.sinks.settings import SinkSettings
from spendgauge.streams.settings import WorkerSettings

__all__ = ["ChildStatus", "StackStatus", "read_status"]


@dataclass(frozen=True)
class ChildStatus:
    """One process, as it is now."""

    name: str
    pid: int | None
    """None: it does not run, and will be started again."""
    restarts: int
    log: str
    fault: str | None = None
    """What people should put right, such as a file that cannot be used as it is now; None: nothing."""


@dataclass(frozen=True)
class StackStatus:
    """A stack, as it is now."""

    phase: str
    """starting, running, draining, stopping, or stopped."""
    data: str
    pid: int | None = None
    since_ms: int | None = None
    addresses: StackAddresses | None = None
    kafka_answers: bool = False
    clickhouse_answers: bool = False
    gateway_answers: bool = False
    uncounted: int | None = None
    """Usage records that no worker has counted yet; None: not known."""
    unstored: int | None = None
    """Records that the sink has not stored yet; None: not known."""
    children: tuple[ChildStatus, ...] = ()

    @property
    def is_well(self) -> bool:
        """Whether everything that should run does, answers, and has nothing to complain of."""
        running = self.phase == "running" and all(child.pid and not child.fault for child in self.children)
        return running and self.kafka_answers and self.clickhouse_answers and self.gateway_answers


def read_status(data_dir: Path, kafka: KafkaSettings | None = None) -> StackStatus:
    """Look at the stack on a data directory; ``dataclasses.asdict`` of the answer is ready for JSON.

    ``kafka`` says how to speak to a broker of your own (options, topic prefix); its address comes from the stack.
    """
    state = load_state(data_dir)
    if state is None or not state.supervisor.is_alive:
        return StackStatus("stopped", str(data_dir))
    known = kafka or KafkaSettings()
    watch = KafkaWatch(known.model_copy(update={"kafka": state.addresses.kafka}))
    answers = watch.answers()
    topics: TopicNames = known.topics
    return StackStatus(
        phase=state.phase,
        data=state.data,
        pid=state.supervisor.pid,
        since_ms=state.since_ms,
        addresses=state.addresses,
        kafka_answers=answers,
        clickhouse_answers=http_answers(state.addresses.clickhouse, "/ping"),
        gateway_answers=http_answers(state.addresses.gateway, "/readyz"),
        uncounted=watch.lag(_default(WorkerSettings, "rates_group"), [topics.usage]) if answers else None,
        unstored=watch.lag(_default(SinkSettings, "sink_group"), topics.stored) if answers else None,
        children=tuple(_child(child, Path(state.data)) for child in state.children),
    )


def _child(child: ChildState, data: Path) -> ChildStatus:
    pid = child.process.pid if child.process and child.process.is_alive else None
    fault = read_fault(heartbeat_path(data, child.name)) if pid else None
    return ChildStatus(child.name, pid, child.restarts, child.log, fault)


def _default(settings: type[WorkerSettings] | type[SinkSettings], field: str) -> str:
    return str(settings.model_fields[field].default)
