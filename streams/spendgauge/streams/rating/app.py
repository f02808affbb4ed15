"""What does a rates worker consist of? A Faust app with one agent, our transport, and nothing that it does not need."""

from typing import Any, Final

from faust.types import StreamT

from spendgauge.schemas.chunks import prepare_decoder
from spendgauge.schemas.clock import SystemClock
from spendgauge.schemas.monitor import Vitals
from spendgauge.schemas.prices import PriceBook
from spendgauge.streams.emitter import Emitter
from spendgauge.streams.group_app import Chunks, GroupApp, regularly
from spendgauge.streams.preparing import prepare_topics
from spendgauge.streams.rating.agent import RatesAgent
from spendgauge.streams.rating.metrics import RatesMetrics
from spendgauge.streams.rating.pipeline import Pipeline
from spendgauge.streams.rating.series import SeriesPlan, parse_series
from spendgauge.streams.rating.writing import Writer
from spendgauge.streams.reading.polling import Chunking
from spendgauge.streams.reading.readings import Delivery
from spendgauge.streams.settings import WorkerSettings

__all__ = ["RatesApp", "create_app"]

_LAST_FLUSH_SECONDS: Final = 5.0


class RatesApp(GroupApp):
    """A Faust app that knows its settings."""

    def __init__(self, settings: WorkerSettings) -> None:
        chunking = Chunking(
            settings,
            block_offsets={settings.topics.usage: settings.block_offsets},
            positions={settings.topics.usage: settings.topics.positions},
            max_bytes=settings.chunk_bytes,
            linger_seconds=settings.linger_seconds,
        )
        super().__init__(settings.rates_group, settings, chunking, commit_seconds=settings.flush_seconds)
        self.settings = settings
        self.plan = SeriesPlan(parse_series(settings.series))
        self.metrics = RatesMetrics(SystemClock())
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
        """Load the prices and the decoder, reach the broker and create missing topics; done once, whoever asks.

        Raises ``ConfigurationError`` or ``UnavailableError``, each with a sentence for the user.
        """
        if self._rates is not None:
            return
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

    def look(self) -> None:
        """See how the worker stands."""
        if self._rates is not None:
            self.metrics.look(self._rates, self.member, rebalances=self.rebalancing_count)

    async def _still_reads_its_streams(self) -> bool:
        return await self.member.still_reads_its_streams()


def create_app(settings: WorkerSettings) -> RatesApp:
    """Build the worker's app; nothing is read, opened or connected before it starts.

    Raises ``ConfigurationError`` for settings that cannot work.
    """
    app = RatesApp(settings)
    usage = app.topic(settings.topics.usage, schema=Chunks(), acks=False)

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
        await regularly(app, settings.flush_seconds, app.rates.on_flush)

    return app
