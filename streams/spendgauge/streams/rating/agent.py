"""How do chunks become contributions on ``cost.rates``? The rates agent: absorb, write, settle, in that order.

1. A chunk is decoded, priced and added up in a thread, so that the event loop answers the broker meanwhile.
2. At each flush what changed is taken, written, and acknowledged by the broker. Before it is written the broker is
   asked whether the topics are still those that were sought: nothing else tells of a topic that was deleted and created
   again under the same name, and what was read of it bears the wrong stream's name.
3. Then, and only then, the receipts of the chunks that are in it are settled: their offsets may be committed.

A kill between any two steps loses nothing: what was not committed is read again, and what is written twice replaces
itself. Absorbing goes on while a flush waits for the broker, up to a limit.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from functools import partial
from typing import Final, ParamSpec, TypeVar

import structlog

from spendgauge.schemas.clock import Clock
from spendgauge.schemas.errors import UnavailableError
from spendgauge.streams.rating.pipeline import Changes, Pipeline
from spendgauge.streams.rating.writing import Writer
from spendgauge.streams.reading.readings import Delivery

__all__ = ["Guard", "RatesAgent"]

Guard = Callable[[], Awaitable[bool]]
"""Says whether what was read so far is still what it was taken for; ``UnavailableError``: ask again."""

P = ParamSpec("P")
T = TypeVar("T")

_log = structlog.get_logger(__name__)

_SLOW_FLUSH_SECONDS: Final = 10.0
"""A flush that takes longer holds absorbing back: what ended blocks have to say would pile up."""

_GUARD_SECONDS: Final = 10.0
"""How often the guard is asked where nothing changes: a recreated topic may have nothing to read at its old offsets."""

_RETRY_SECONDS: Final = 1.0
_REPORT_SECONDS: Final = 60.0


class RatesAgent:
    """One worker's rates; lives in one event loop."""

    def __init__(
        self,
        pipeline: Pipeline,
        writer: Writer,
        *,
        guard: Guard,
        clock: Clock,
        on_flushed: Callable[[float], None] = lambda _: None,
    ) -> None:
        """``on_flushed`` hears how many seconds each flush took that wrote something."""
        self.counts = pipeline.counts
        self._pipeline = pipeline
        self._writer = writer
        self._guard = guard
        self._clock = clock
        self._on_flushed = on_flushed
        # One thread each: the pipeline is no place for two at once, and every thread more keeps memory of its own.
        self._adding = ThreadPoolExecutor(1, "rates-add")
        self._writing = ThreadPoolExecutor(1, "rates-write")
        self._flushing = asyncio.Lock()
        self._flush_began = 0.0
        self._guarded_at = clock.monotonic()
        self._reported_at = clock.monotonic()

    async def on_chunk(self, delivery: Delivery) -> None:
        """Add a chunk up."""
        if self._flushing.locked() and self._clock.monotonic() - self._flush_began > _SLOW_FLUSH_SECONDS:
            async with self._flushing:
                pass
        await self._in(self._adding, self._pipeline.absorb, delivery)
        delivery.release()

    async def on_flush(self) -> None:
        """Write what changed and settle it."""
        async with self._flushing:
            self._flush_began = self._clock.monotonic()
            changes = await self._in(self._adding, self._pipeline.take)
            if (changes or self._guard_is_due()) and await self._is_genuine():
                await self._write(changes)
        self._report()

    async def _is_genuine(self) -> bool:
        """Ask until the broker answers whether what was read belongs to the streams that it was taken for."""
        while not self._writer.stopped:
            try:
                genuine = await self._guard()
            except UnavailableError as error:
                _log.warning("cannot ask whether the topics are still the same, will try again", error=str(error))
                await asyncio.sleep(_RETRY_SECONDS)
            else:
                self._guarded_at = self._clock.monotonic()
                return genuine
        return False

    async def _write(self, changes: Sequence[Changes]) -> None:
        """Write and settle what belongs to readings that are still open: those alone were guarded."""
        wanted = [one for one in changes if not one.reading.closed]
        if await self._in(self._writing, self._writer.write, wanted) and wanted:
            for one in wanted:
                one.settle()
            self._on_flushed(self._clock.monotonic() - self._flush_began)

    def _guard_is_due(self) -> bool:
        return self._clock.monotonic() - self._guarded_at >= _GUARD_SECONDS

    async def on_stop(self, patience_seconds: float) -> None:
        """Flush a last time, and give up what the broker does not take in time: it will be read again."""
        hopeless = asyncio.get_running_loop().call_later(patience_seconds, self._writer.stop)
        try:
            await self.on_flush()
        finally:
            hopeless.cancel()
        _log.info("stopped", live_keys=self._pipeline.live_keys, **vars(self._pipeline.counts))

    @property
    def live_keys(self) -> int:
        """How many totals are held."""
        return self._pipeline.live_keys

    @property
    def missing(self) -> tuple[int, int]:
        """How many gaps are open, and how many events they lack."""
        return self._pipeline.missing

    def on_partitions_revoked(self) -> None:
        """Forget at once what belongs to other workers now."""
        self._pipeline.forget_closed()

    async def _in(self, executor: Executor, work: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
        return await asyncio.get_running_loop().run_in_executor(executor, partial(work, *arguments, **named))

    def _report(self) -> None:
        if self._clock.monotonic() - self._reported_at >= _REPORT_SECONDS:
            self._reported_at = self._clock.monotonic()
            _log.info("rated so far", live_keys=self._pipeline.live_keys, **vars(self._pipeline.counts))
