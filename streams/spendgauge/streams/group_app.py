"""What do the apps share that read a topic as members of a group? Faust with our transport, and little else."""

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
from faust.types import AppT, EventT, Message
from mode import Service

from spendgauge.schemas.clock import SystemClock
from spendgauge.schemas.errors import SpendgaugeError
from spendgauge.schemas.heartbeat import Heartbeat
from spendgauge.schemas.monitor import Vitals
from spendgauge.streams.reading.polling import SERVICE_LOG, Chunking
from spendgauge.streams.reading.readings import Delivery
from spendgauge.streams.reading.security import broker_credentials
from spendgauge.streams.reading.transport import Consumer
from spendgauge.streams.settings import MemberSettings

__all__ = ["Chunks", "GroupApp", "regularly"]

_BEAT_SECONDS: Final = 1.0
_HEARTBEAT_SECONDS: Final = 1.0
"""A worker hears with its next heartbeat that another came or went: until then nobody reads those partitions."""


class GroupApp(faust.App):
    """A Faust app that reads in chunks, watches itself, and can say why it ended."""

    logger = SERVICE_LOG

    def __init__(self, group: str, settings: MemberSettings, chunking: Chunking, *, commit_seconds: float) -> None:
        super().__init__(group, **_options(group, settings, commit_seconds))
        self.chunking = chunking
        self.member_settings = settings
        self.boot_strategy.enable_web = False
        self.heartbeat = Heartbeat(settings.heartbeat, SystemClock())
        self.failure: SpendgaugeError | None = None

    @property
    def vitals(self) -> Vitals:
        """What can be said of this process at any time."""
        raise NotImplementedError

    @property
    def member(self) -> Consumer:
        """The transport's side of this app."""
        return cast(Consumer, self.consumer)

    @property
    def fault(self) -> str | None:
        """What people should put right while this process works on; None: nothing."""
        return None

    def prepare(self) -> None:
        """Load what is needed and reach the broker; done once, whoever asks.

        Raises ``ConfigurationError`` or ``UnavailableError``, each with a sentence for the user.
        """
        raise NotImplementedError

    def look(self) -> None:
        """See how things stand, about once a second."""
        raise NotImplementedError

    def fail(self, error: SpendgaugeError) -> None:
        """Stop this process as a signal would, for a reason that the worker says when it ends."""
        if self.failure is None:
            self.failure = error
            os.kill(os.getpid(), signal.SIGTERM)

    async def on_start(self) -> None:
        """Prepare where nobody has, and tell the garbage collector what a worker is like."""
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
            self.heartbeat.beat(self.fault)
            self.look()
            with suppress(ConsumerNotStarted):
                await self.member.check()

        await regularly(self, _BEAT_SECONDS, look)

    def _create_directories(self) -> None:
        """Create none: nothing is kept on disk."""

    async def _on_agent_error(self, agent: Any, exc: BaseException) -> None:  # noqa: ARG002 - Faust calls it so
        """Crash: to go on with the next chunk, as Faust would, is to leave one out."""
        await self.crash(exc)


class Chunks(Schema[None, Delivery]):
    """Deliveries as they are: there is nothing to decode."""

    def compile(self, app: AppT, **_: Any) -> Any:
        """Build the function that makes a message an event."""

        async def decode(message: Message, **_: Any) -> EventT[Delivery]:
            return app.create_event(None, message.value, message.headers, message)

        return decode


async def regularly(app: GroupApp, seconds: float, work: Callable[[], Awaitable[None]]) -> None:
    """Work again and again until the app stops, or until it cannot be done."""
    while not app.should_stop:
        await app.sleep(seconds)
        try:
            await work()
        except SpendgaugeError as error:
            app.fail(error)
            return


def _options(group: str, settings: MemberSettings, commit_seconds: float) -> dict[str, Any]:
    """Say to Faust what differs from its defaults."""
    session = settings.session_timeout_seconds
    return {
        "broker": ";".join(f"chunked://{address.strip()}" for address in settings.kafka.split(",")),
        "broker_client_id": group,
        "broker_credentials": broker_credentials(settings.kafka_options),
        "broker_commit_interval": commit_seconds,
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
        "Worker": "spendgauge.streams.running:Worker",
    }
