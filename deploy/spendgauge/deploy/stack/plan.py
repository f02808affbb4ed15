"""Which processes make a stack, with which commands, environments and files? Nothing is started here."""

import os
import socket
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import quote

from spendgauge.deploy.stack.broker import broker_command, free_port
from spendgauge.deploy.stack.children import ChildSpec
from spendgauge.deploy.stack.settings import EMBEDDED_HOST, StackSettings
from spendgauge.deploy.stack.state import StackAddresses, heartbeat_path
from spendgauge.deploy.store.process import store_command
from spendgauge.producers.gateway.settings import GatewaySettings
from spendgauge.schemas import ClickHouseSettings, ConfigurationError, KafkaSettings, SystemClock
from spendgauge.sinks.settings import SinkSettings
from spendgauge.streams.settings import WorkerSettings
from spendgauge.streams.watching.settings import WatcherSettings

__all__ = ["StackPlan", "check_children", "check_ports", "make_plan"]

_SESSION_SECONDS: Final = "6"
"""The embedded broker lets a consumer join its group after half of this."""

_NOT_FOR_CHILDREN: Final = (
    "SPENDGAUGE_DIMENSIONS",
    "SPENDGAUGE_DURABILITY",
    "SPENDGAUGE_GATEWAY_KEYS",
    "SPENDGAUGE_HEARTBEAT",
    "SPENDGAUGE_INSTANCE_ID",
    "SPENDGAUGE_MONITOR_PORT",
    "SPENDGAUGE_NOTIFIER_GROUP",
    "SPENDGAUGE_RATES_GROUP",
    "SPENDGAUGE_SERVICE",
    "SPENDGAUGE_SINK_GROUP",
    "SPENDGAUGE_WATCH_GROUP",
)
"""What would be one for all children, or another than the stack watches."""


_FILES: Final = ("prices", "budgets", "rules", "channels")
"""Children have another working directory."""


@dataclass(frozen=True)
class StackPlan:
    """All that a supervisor needs to know."""

    data: Path
    kafka: KafkaSettings
    clickhouse: ClickHouseSettings
    broker: ChildSpec | None
    """None: the broker is somebody else's."""
    store: ChildSpec | None
    """None: the database is somebody else's."""
    workers: tuple[ChildSpec, ...]
    sink: ChildSpec
    watcher: ChildSpec
    notifier: ChildSpec | None
    """None: no channel is known to send alerts to."""
    gateway: ChildSpec
    gateway_url: str
    partitions: int
    block_offsets: int
    drain_seconds: float
    worker_group: str = str(WorkerSettings.model_fields["rates_group"].default)
    sink_group: str = str(SinkSettings.model_fields["sink_group"].default)
    watch_group: str = str(WatcherSettings.model_fields["watch_group"].default)

    @property
    def addresses(self) -> StackAddresses:
        """Where clients reach it."""
        return StackAddresses(self.kafka.kafka, self.clickhouse.clickhouse, self.gateway_url)


def make_plan(settings: StackSettings, environment: Mapping[str, str] | None = None) -> StackPlan:
    """Decide on ports and addresses, and write down every process."""
    kafka_port = settings.kafka_port or free_port()
    store_port = settings.clickhouse_port or free_port()
    gateway_port = settings.gateway_port or free_port()
    user = f"default:{quote(settings.store_password, safe='')}" if settings.store_password else "default"
    kafka = _kafka(settings, f"{EMBEDDED_HOST}:{kafka_port}")
    clickhouse = ClickHouseSettings(
        clickhouse=settings.clickhouse or f"http://{user}@{EMBEDDED_HOST}:{store_port}/spendgauge",
        clickhouse_cluster=settings.clickhouse_cluster,
    )
    make = _Maker(
        settings, _environment(settings, kafka, clickhouse, os.environ if environment is None else environment)
    )
    return StackPlan(
        data=settings.data.absolute(),
        kafka=kafka,
        clickhouse=clickhouse,
        broker=None if settings.kafka else make.child("broker", broker_command(port=kafka_port), stop_seconds=0),
        store=None if settings.clickhouse else make.child("clickhouse", make.store(store_port), stop_seconds=30),
        workers=tuple(make.looping(f"worker-{n}", "worker") for n in range(settings.workers)),
        sink=make.looping("sink", "sink"),
        watcher=make.looping("watcher", "watcher"),
        notifier=make.looping("notifier", "notifier") if settings.channels else None,
        gateway=make.gateway(gateway_port),
        gateway_url=f"http://{EMBEDDED_HOST}:{gateway_port}",
        partitions=settings.partitions,
        block_offsets=settings.block_offsets,
        drain_seconds=settings.drain_seconds,
    )


def check_children(settings: StackSettings, environment: Mapping[str, str] | None = None) -> None:
    """Raise ``ConfigurationError`` where the environment or a file would end the children at once."""
    known = _without_common(os.environ if environment is None else environment)
    worker = WorkerSettings.from_environment(known)
    SinkSettings.from_environment(known)
    GatewaySettings.from_environment(known, gateway_open=True, gateway_host=EMBEDDED_HOST, spool_dir="spool")
    WatcherSettings.from_environment(known)
    if worker.series:
        from spendgauge.streams.rating.series import parse_series

        parse_series(worker.series)
    if settings.prices is not None:
        from spendgauge.schemas.prices import PriceBook

        PriceBook.load(settings.prices)
    if settings.budgets is not None or settings.rules is not None:
        from spendgauge.streams.watching.bench import Bench
        from spendgauge.streams.watching.files import ConfigurationFiles
        from spendgauge.streams.watching.judges import make_judges

        Bench(make_judges(), ConfigurationFiles(budgets=settings.budgets, rules=settings.rules).read())
    if settings.channels is not None:
        from spendgauge.streams.delivery.senders import make_sender
        from spendgauge.streams.delivery.targets import read_targets

        for target in read_targets(settings.channels, known):
            make_sender(target, SystemClock()).close()


def check_ports(settings: StackSettings) -> None:
    """Raise ``ConfigurationError`` where the port of an embedded server or of the gateway is taken."""
    wanted = [] if settings.kafka else [("the embedded Kafka", settings.kafka_port, "--kafka-port")]
    wanted += (
        [] if settings.clickhouse else [("the embedded ClickHouse", settings.clickhouse_port, "--clickhouse-port")]
    )
    wanted.append(("the gateway", settings.gateway_port, "--gateway-port"))
    for name, port, flag in wanted:
        if port and not _is_free(port):
            raise ConfigurationError(
                f"port {port}, which {name} wants, is in use; stop what uses it, or choose another port "
                f"with {flag} (0: any free one)"
            )


@dataclass(frozen=True)
class _Maker:
    settings: StackSettings
    environment: Mapping[str, str]

    def child(self, name: str, command: Sequence[str], *, stop_seconds: float, heartbeat: bool = False) -> ChildSpec:
        data = self.settings.data.absolute()
        beat = heartbeat_path(data, name) if heartbeat else None
        return ChildSpec(
            name=name,
            command=tuple(command),
            environment={**self.environment, **({"SPENDGAUGE_HEARTBEAT": str(beat)} if beat else {})},
            directory=data / "run",
            log=data / "logs" / f"{name}.log",
            heartbeat=beat,
            stop_seconds=stop_seconds,
        )

    def looping(self, name: str, *command: str) -> ChildSpec:
        return self.child(name, (sys.executable, "-m", "spendgauge.deploy", *command), stop_seconds=20, heartbeat=True)

    def gateway(self, port: int) -> ChildSpec:
        spool = self.settings.data.absolute() / "spool"
        host = ("--host", EMBEDDED_HOST, "--port", str(port))
        return self.looping("gateway", "gateway", *host, "--open", "--spool", str(spool))

    def store(self, port: int) -> Sequence[str]:
        return store_command(path=self.settings.data.absolute() / "clickhouse", port=port, host=EMBEDDED_HOST)


def _kafka(settings: StackSettings, embedded: str) -> KafkaSettings:
    return KafkaSettings(
        kafka=settings.kafka or embedded,
        kafka_options=settings.kafka_options,
        topic_prefix=settings.topic_prefix,
    )


def _environment(
    settings: StackSettings, kafka: KafkaSettings, clickhouse: ClickHouseSettings, environment: Mapping[str, str]
) -> dict[str, str]:
    known = _without_common(environment)
    if not settings.kafka:
        known.setdefault("SPENDGAUGE_SESSION_TIMEOUT_SECONDS", _SESSION_SECONDS)
    if settings.store_password:
        known["SPENDGAUGE_STORE_PASSWORD"] = settings.store_password
    known["SPENDGAUGE_PARTITIONS"] = str(settings.partitions)
    known["SPENDGAUGE_BLOCK_OFFSETS"] = str(settings.block_offsets)
    for name in _FILES:
        path = getattr(settings, name)
        if path is not None:
            known[f"SPENDGAUGE_{name.upper()}"] = str(path.absolute())
    known["PYTHONUNBUFFERED"] = "1"
    return known | kafka.environment() | clickhouse.environment()


def _without_common(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if name not in _NOT_FOR_CHILDREN}


def _is_free(port: int) -> bool:
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((EMBEDDED_HOST, port))
        except OSError:
            return False
    return True
