"""What does a rates worker consist of? A Faust app with one agent, our transport, and nothing that it does not need."""

import asyncio
import gc
import os
import signal
import tempfile
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, cast

import faust
from faust.exceptions import ConsumerNotStarted
from faust.serializers.schemas import Schema
from faust.types import AppT, EventT, Message, StreamT
from mode import Service

from spendgauge.schemas.chunks import prepare_decoder
from spendgauge.schemas.clock import SystemClock
from spendgauge.schemas.errors import SpendgaugeError
from spendgauge.schemas.heartbeat import Heartbeat
from spendgauge.schemas.monitor import Vitals
from spendgauge.schemas.prices import PriceBook
from spendgauge.streams.agent import RatesAgent
from spendgauge.streams.emitter import Emitter
from spendgauge.streams.metrics import RatesMetrics
from spendgauge.streams.pipeline import Pipeline
from spendgauge.streams.polling import SERVICE_LOG, Chunking
from spendgauge.streams.preparing import prepare_topics
from spendgauge.streams.reading import Delivery
from spendgauge.streams.security import broker_credentials
from spendgauge.streams.series import SeriesPlan, parse_series
from spendgauge.streams.settings import WorkerSettings
from spendgauge.streams.transport import Consumer
from spendgauge.streams.writing import Writer

__all__ = ["RatesApp", "create_app"]

_LAST_FLUSH_SECONDS: Final = 5.0
_BEAT_SECONDS: Final = 1.0
_HEARTBEAT_SECONDS: Final = 1.0
"""A worker hears with its next heartbeat that another came or went: until then nobody reads those partitions."""


class RatesApp(faust.App):
    """A Faust app that knows its settings."""

    logger = SERVICE_LOG

    def __init__(self, settings: WorkerSettings, **options: Any) -> None:
        super().__init__(settings.rates_group, **options)
        self.settings = settings
        self.plan = SeriesPlan(parse_series(settings.series))
        self.chunking = Chunking(
            settings,
            block_offsets={settings.topics.usage: settings.block_offsets},
            positions={settings.topics.usage: settings.topics.positions},
            max_bytes=settings.chunk_bytes,
            linger_seconds=settings.linger_seconds,
        )
        self.boot_strategy.enable_web = False
        self.heartbeat = Heartbeat(settings.heartbeat, SystemClock())
        self.metrics = RatesMetrics(SystemClock())
        self.failure: SpendgaugeError | None = None
        self._rates: RatesAgent | None = None

    @property
    def rates(self) -> RatesAgent:
        """The agent at work; there once the app was prepared."""
        if self._rates is None:
            raise RuntimeError("the app was not prepared: call prepare() before it starts")
        return self._rates

    @property
    def vitals(self) -> Vitals:
        """What can be said of this worker at any time."""
        return Vitals(self.metrics.registry, self.heartbeat.silent_seconds, self._obstacles)

    def _obstacles(self) -> list[str]:
        return ["it is stopping"] if self.should_stop else self.metrics.watch.obstacles()

    def prepare(self) -> None:
        """Load the prices and the decoder, reach the broker and create missing topics.

        Raises ``ConfigurationError`` or ``UnavailableError``, each with a sentence for the user.
        """
        settings = self.settings
        book = PriceBook.load(settings.prices)
        prepare_decoder()
        partitions = prepare_topics(settings)
        writer = Writer(Emitter(settings), topics=settings.topics, partitions=partitions, specs=self.plan.specs)
        self._rates = RatesAgent(
            Pipeline(self.plan, book),
            writer,
            guard=self._still_reads_its_streams,
            clock=SystemClock(),
            on_flushed=self.metrics.flush_seconds.observe,
        )

    def fail(self, error: SpendgaugeError) -> None:
        """Stop this process as a signal would, for a reason that the worker says when it ends."""
        if self.failure is None:
            self.failure = error
            os.kill(os.getpid(), signal.SIGTERM)

    async def _still_reads_its_streams(self) -> bool:
        return await cast(Consumer, self.consumer).still_reads_its_streams()

    async def on_start(self) -> None:
        """Prepare where nobody has, and tell the garbage collector what a worker is like."""
        if self._rates is None:
            await asyncio.to_thread(self.prepare)
        # A chunk is tens of thousands of long-lived little objects, none of them in a cycle: at the default thresholds
        # the collector goes through all of them again and again (measured: 2.4 us a record instead of 0.9).
        gc.freeze()
        gc.set_threshold(200_000, 20, 50)
        await super().on_start()

    @Service.task
    async def _watch(self) -> None:
        """Beat, and see that the broker lets us work; from the start on, for tasks of the app begin when it does."""

        async def look() -> None:
            self.heartbeat.beat()
            if self._rates is not None:
                self.metrics.look(self._rates, cast(Consumer, self.consumer), rebalances=self.rebalancing_count)
            with suppress(ConsumerNotStarted):
                await cast(Consumer, self.consumer).check()

        await _regularly(self, _BEAT_SECONDS, look)

    def _create_directories(self) -> None:
        """Create none: nothing is kept on disk."""

    async def _on_agent_error(self, agent: Any, exc: BaseException) -> None:  # noqa: ARG002 - Faust calls it so
        """Crash: to go on with the next chunk, as Faust would, is to leave one out."""
        await self.crash(exc)


class _Chunks(Schema[None, Delivery]):
    """Deliveries as they are: there is nothing to decode."""

    def compile(self, app: AppT, **_: Any) -> Any:
        """Build the function that makes a message an event."""

        async def decode(message: Message, **_: Any) -> EventT[Delivery]:
            return app.create_event(None, message.value, message.headers, message)

        return decode


def create_app(settings: WorkerSettings) -> RatesApp:
    """Build the worker's app; nothing is read, opened or connected before it starts.

    Raises ``ConfigurationError`` for settings that cannot work.
    """
    app = RatesApp(settings, **_options(settings))
    usage = app.topic(settings.topics.usage, schema=_Chunks(), acks=False)

    @app.agent(usage, name="rates")
    async def rates(deliveries: StreamT[Delivery]) -> None:
        async for delivery in deliveries:
            await app.rates.on_chunk(delivery)

    @app.on_partitions_revoked.connect
    async def forget(*_: Any, **__: Any) -> None:
        app.rates.on_partitions_revoked()

    @app.on_before_shutdown.connect
    async def stop(*_: Any, **__: Any) -> None:
        await app.rates.on_stop(_LAST_FLUSH_SECONDS)

    @app.task  # type: ignore[untyped-decorator]  # as Faust has it
    async def flush() -> None:
        await _regularly(app, settings.flush_seconds, app.rates.on_flush)

    return app


async def _regularly(app: RatesApp, seconds: float, work: Callable[[], Awaitable[None]]) -> None:
    """Work again and again until the app stops, or until it cannot be done."""
    while not app.should_stop:
        await app.sleep(seconds)
        try:
            await work()
        except SpendgaugeError as error:
            app.fail(error)
            return


def _options(settings: WorkerSettings) -> dict[str, Any]:
    """Say to Faust what differs from its defaults."""
    session = settings.session_timeout_seconds
    return {
        "broker": ";".join(f"chunked://{address.strip()}" for address in settings.kafka.split(",")),
        "broker_client_id": settings.rates_group,
        "broker_credentials": broker_credentials(settings.kafka_options),
        "broker_commit_interval": settings.flush_seconds,
        "broker_session_timeout": session,
        "broker_heartbeat_interval": min(session / 3, _HEARTBEAT_SECONDS),
        "consumer_group_instance_id": settings.instance_id or None,
        "consumer_max_fetch_size": settings.fetch_bytes,
        "datadir": Path(tempfile.gettempdir()) / "spendgauge-worker",
        "stream_buffer_maxsize": 1,  # chunks
        "stream_wait_empty": False,
        "table_standby_replicas": 0,
        "topic_allow_declare": False,
        "topic_disable_leader": True,
        "worker_redirect_stdouts": False,
        "Worker": "spendgauge.streams.process:Worker",
    }
