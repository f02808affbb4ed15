"""What does a watcher consist of? A Faust app with one agent, our transport, and the judges that it is given."""

import asyncio
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Final, NoReturn

from faust.types import StreamT

from spendgauge.schemas.clock import SystemClock
from spendgauge.schemas.monitor import Vitals
from spendgauge.schemas.progress import End
from spendgauge.streams.emitter import Emitter
from spendgauge.streams.group_app import Chunks, GroupApp, regularly
from spendgauge.streams.judging.judge import Judge
from spendgauge.streams.preparing import prepare_topics
from spendgauge.streams.reading.polling import Chunking
from spendgauge.streams.reading.readings import Delivery, Reading
from spendgauge.streams.running import run_app
from spendgauge.streams.watching.agent import WatchAgent
from spendgauge.streams.watching.asking import RatesStanding
from spendgauge.streams.watching.bench import Bench
from spendgauge.streams.watching.files import ConfigurationFiles
from spendgauge.streams.watching.hearing import Hearing
from spendgauge.streams.watching.horizon import Rated
from spendgauge.streams.watching.judges import make_judges
from spendgauge.streams.watching.keeping import Keeper
from spendgauge.streams.watching.metrics import WatcherMetrics
from spendgauge.streams.watching.settings import WatcherSettings
from spendgauge.streams.watching.telling import Herald

__all__ = ["WatcherApp", "create_watcher", "run_watcher"]

_COMMIT_SECONDS: Final = 1.0
_ASK_SECONDS: Final = 1.0
_READ_SECONDS: Final = 2.0
_LAST_SECONDS: Final = 5.0


class WatcherApp(GroupApp):
    """A Faust app that knows its judges."""

    def __init__(self, settings: WatcherSettings, judges: Sequence[Judge]) -> None:
        chunking = Chunking(
            settings,
            block_offsets={},
            positions={},
            max_bytes=settings.chunk_bytes,
            linger_seconds=settings.linger_seconds,
        )
        super().__init__(settings.watch_group, settings, chunking, commit_seconds=_COMMIT_SECONDS)
        self.settings = settings
        self.files = ConfigurationFiles(budgets=settings.budgets, rules=settings.rules)
        self.metrics = WatcherMetrics(SystemClock(), self.files)
        self._judges = judges
        self._rated = Rated()
        self._standing = RatesStanding(settings, settings.rates_group)
        self._watching: WatchAgent | None = None

    @property
    def watching(self) -> WatchAgent:
        """The agent at work; there once the app was prepared."""
        if self._watching is None:
            raise RuntimeError("the app was not prepared: call prepare() before it starts")
        return self._watching

    @property
    def vitals(self) -> Vitals:
        """What can be said of this watcher at any time."""
        return Vitals(self.metrics.registry, self.heartbeat.silent_seconds, self._obstacles)

    @property
    def fault(self) -> str | None:
        """What is wrong with the files, while the old ones hold."""
        return self.files.error

    def _obstacles(self) -> list[str]:
        return ["it is stopping"] if self.should_stop else self.metrics.obstacles()

    def prepare(self) -> None:
        """Read the files, reach the broker and create missing topics; done once, whoever asks.

        Raises ``ConfigurationError`` or ``UnavailableError``, each with a sentence for the user.
        """
        if self._watching is not None:
            return
        settings, topics = self.settings, self.settings.topics
        bench = Bench(self._judges, self.files.read())
        partitions = prepare_topics(settings)
        emitter = Emitter(settings)
        hearing = Hearing(settings, partitions=partitions[topics.alerts])
        herald = Herald(
            emitter, Keeper(settings, emitter, SystemClock()), hearing, topics=topics, partitions=partitions
        )
        self._watching = WatchAgent(
            bench,
            herald,
            _Member(self),
            rated=self._rated,
            settings=settings,
            clock=SystemClock(),
            on_told=self.metrics.on_told,
        )

    def look(self) -> None:
        """See how the watcher stands."""
        if self._watching is not None:
            self.metrics.look(self._watching, self.member, rebalances=self.rebalancing_count)

    async def ask(self) -> None:
        """Learn how far the rates workers have come."""
        clock = SystemClock()
        asked_at_ms = clock.now_ms()
        standing = await asyncio.to_thread(self._standing.ask)
        if standing is not None:
            overtaken = self._standing.overtaken
            self._rated.look(standing, asked_at_ms=asked_at_ms, answered_at_ms=clock.now_ms(), overtaken=overtaken)


class _Member:
    """The transport, as the agent sees it."""

    def __init__(self, app: WatcherApp) -> None:
        self._app = app

    def open_readings(self) -> Mapping[int, tuple[Reading, End | None]]:
        """The open readings by partition, and where their logs ended when that was last told."""
        member = self._app.member
        ends = member.membership.ends
        return {tp.partition: (reading, ends.get(tp)) for tp, reading in member.readings.items()}

    async def still_reads_its_streams(self) -> bool:
        """Whether the partitions are ours and the topic is the same."""
        return await self._app.member.still_reads_its_streams()

    async def read_anew(self) -> None:
        """Begin all readings anew."""
        await self._app.member.perform_seek()


def create_watcher(settings: WatcherSettings, judges: Sequence[Judge] | None = None) -> WatcherApp:
    """Build the watcher's app; nothing is read, opened or connected before it starts.

    ``judges``: others than those of spendgauge. Raises ``ConfigurationError`` for settings that cannot work.
    """
    app = WatcherApp(settings, make_judges() if judges is None else judges)
    rates = app.topic(settings.topics.rates, schema=Chunks(), acks=False)

    @app.agent(rates, name="watch")
    async def watch(deliveries: StreamT[Delivery]) -> None:
        async for delivery in deliveries:
            await app.watching.on_chunk(delivery)

    @app.on_partitions_revoked.connect
    async def forget(*_: Any, **__: Any) -> None:
        app.watching.on_partitions_revoked()

    @app.on_before_shutdown.connect
    async def stop(*_: Any, **__: Any) -> None:
        await app.watching.on_stop(_LAST_SECONDS)

    @app.task  # type: ignore[untyped-decorator]  # as Faust has it
    async def tick() -> None:
        await regularly(app, settings.tick_seconds, app.watching.on_tick)

    @app.task  # type: ignore[untyped-decorator]  # as Faust has it
    async def ask() -> None:
        await regularly(app, _ASK_SECONDS, app.ask)

    @app.task  # type: ignore[untyped-decorator]  # as Faust has it
    async def recall() -> None:
        await regularly(app, settings.tick_seconds, app.watching.recall)

    @app.task  # type: ignore[untyped-decorator]  # as Faust has it
    async def read_files() -> None:
        await regularly(app, _READ_SECONDS, partial(app.watching.reload, app.files))

    return app


def run_watcher(settings: WatcherSettings) -> NoReturn:
    """Run a watcher until SIGTERM or SIGINT, then exit the process.

    Raises ``ConfigurationError`` for settings that cannot work.
    """
    run_app(create_watcher(settings))
