"""How does a gateway run as a process: how does it start, look after itself, and stop?

SIGTERM: it takes no further connections, answers what it has read (``gateway_stop_seconds``), gives the producer
``exit_seconds`` to hand its events to the broker, and leaves the rest in the spool for the next one.
"""

import asyncio
import os
import signal
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Final

import structlog
import uvicorn
from fastapi import FastAPI

from spendgauge.producers.gateway.admission import Admission
from spendgauge.producers.gateway.buckets import Buckets
from spendgauge.producers.gateway.figures import Figures
from spendgauge.producers.gateway.keys import KeyFile
from spendgauge.producers.gateway.protocol import bounded_protocol
from spendgauge.producers.gateway.routes import Gateway, create_app
from spendgauge.producers.gateway.settings import GatewaySettings
from spendgauge.producers.gateway.taking import Taker, judge_like
from spendgauge.producers.producer import UsageProducer
from spendgauge.producers.quotas import QuotaGuard
from spendgauge.schemas import Clock, ConfigurationError, SystemClock
from spendgauge.schemas.heartbeat import Heartbeat
from spendgauge.schemas.monitor import Vitals, monitoring

__all__ = ["run_gateway"]

_BEAT_SECONDS: Final = 0.5
_KEEP_ALIVE_SECONDS: Final = 75
"""Longer than proxies keep idle connections (usually 60 s): otherwise they send on one that is just being closed."""

_log = structlog.get_logger(__name__)


def run_gateway(settings: GatewaySettings, clock: Clock | None = None) -> None:
    """Serve until SIGTERM or SIGINT.

    Raises ``ConfigurationError`` where the port, the keys or the spool cannot be had.
    """
    clock = clock or SystemClock()
    keys = KeyFile(settings.gateway_keys) if settings.gateway_keys is not None else None
    with (
        _listening(settings) as listener,
        UsageProducer(settings, clock=clock) as producer,
        QuotaGuard(settings, clock=clock) as quotas,
    ):
        gateway = _Process(settings, (producer, quotas), keys, clock)
        try:
            gateway.run(listener)
        finally:
            quotas.close(settings.exit_seconds)
            if not producer.close(settings.exit_seconds):
                _log.warning("not all events were handed over; they are in the spool, and sent by the next gateway")


class _Process:
    """The gateway's parts, put together."""

    def __init__(
        self, settings: GatewaySettings, behind: tuple[UsageProducer, QuotaGuard], keys: KeyFile | None, clock: Clock
    ) -> None:
        producer, quotas = behind
        self._settings = settings
        self._keys = keys
        self._heartbeat = Heartbeat(settings.heartbeat, clock)
        self._stopping = False
        self._taker = Taker(producer, clock=clock, judge=judge_like(producer))
        figures = Figures(producer.stats, self._obstacles)
        self._vitals = Vitals(figures.registry, self._heartbeat.silent_seconds, self._obstacles)
        app = create_app(
            Gateway(
                settings,
                self._taker,
                Buckets(settings.gateway_events_per_second, clock.monotonic),
                figures,
                self._vitals,
                quotas,
                clock,
            )
        )
        app.router.lifespan_context = self._living
        self._app = Admission(app, settings, keys=keys, figures=figures, clock=clock)

    def run(self, listener: socket.socket) -> None:
        """Serve until a signal."""
        settings = self._settings
        server = uvicorn.Server(
            uvicorn.Config(
                self._app,
                http=bounded_protocol(settings),
                ws="none",
                lifespan="on",
                log_config=None,
                log_level="error",  # whoever sends rubbish must not fill the log
                access_log=False,
                proxy_headers=False,
                server_header=False,
                timeout_keep_alive=_KEEP_ALIVE_SECONDS,
                timeout_graceful_shutdown=max(1, round(settings.gateway_stop_seconds)),
            )
        )
        for number in (signal.SIGTERM, signal.SIGINT):
            # uvicorn hears them while it serves; this is for before, and for after, when it raises them once more
            signal.signal(number, lambda *_: setattr(server, "should_exit", True))
        host, port = listener.getsockname()[:2]
        _log.info("the gateway listens", host=host, port=port, keys=len(self._keys.ring) if self._keys else "none")
        with monitoring(settings, self._vitals):
            server.run(sockets=[listener])

    @asynccontextmanager
    async def _living(self, _app: FastAPI) -> AsyncIterator[None]:
        """Beat while the server runs."""
        beat = asyncio.create_task(self._beat())
        try:
            yield
        finally:
            self._stopping = True
            beat.cancel()
            with suppress(asyncio.CancelledError):
                await beat

    async def _beat(self) -> None:
        while True:
            self._heartbeat.beat()
            self._refresh_keys()
            await asyncio.sleep(_BEAT_SECONDS)

    def _refresh_keys(self) -> None:
        if self._keys is None:
            return
        try:
            if self._keys.refresh():
                _log.info("the keys were read again", keys=len(self._keys.ring))
        except ConfigurationError as error:
            _log.error("the keys stay as they were", reason=str(error))

    def _obstacles(self) -> list[str]:
        reasons = ["it is stopping"] if self._stopping else []
        return reasons + (["events cannot be stored safely"] if self._taker.troubled else [])


@contextmanager
def _listening(settings: GatewaySettings) -> Iterator[socket.socket]:
    host, port = settings.gateway_host, settings.gateway_port
    try:
        listener = socket.create_server(
            (host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET, backlog=1024
        )
    except (OSError, UnicodeError) as error:
        raise ConfigurationError(
            f"the gateway cannot listen on {host} port {port} ({os.strerror(getattr(error, 'errno', 0) or 0)}); "
            "choose others with --host and --port"
        ) from None
    with listener:
        yield listener
