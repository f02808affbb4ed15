"""How do chunks become contributions on ``cost.rates``? The rates agent: absorb, write, settle, in that order.

1. A chunk is decoded, priced and added up in a thread, so that the event loop answers the broker meanwhile.
2. At each flush what changed is taken, written, and acknowledged by the broker.
3. Then, and only then, the receipts of the chunks that are in it are settled: their offsets may be committed.

A kill between any two steps loses nothing: what was not committed is read again, and what is written twice replaces
itself. Absorbing goes on while a flush waits for the broker, up to a limit.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from functools import partial
from typing import Final, ParamSpec, TypeVar

import structlog

from spendgauge.schemas.clock import Clock
from spendgauge.schemas.rates import RATES_SCHEMA, SeriesSpec
from spendgauge.schemas.rejects import REJECTED_SCHEMA
from spendgauge.schemas.topics import TopicNames
from spendgauge.streams.emitter import Emitter
from spendgauge.streams.pipeline import Changes, Pipeline
from spendgauge.streams.rates import rate_records, reject_records
from spendgauge.streams.reading import Delivery

__all__ = ["RatesAgent"]

P = ParamSpec("P")
T = TypeVar("T")

_log = structlog.get_logger(__name__)

_SLOW_FLUSH_SECONDS: Final = 10.0
"""A flush that takes longer holds absorbing back: what ended blocks have to say would pile up."""

_REPORT_SECONDS: Final = 60.0


class RatesAgent:
    """One worker's rates; lives in one event loop."""

    def __init__(
        self,
        pipeline: Pipeline,
        emitter: Emitter,
        *,
        topics: TopicNames,
        partitions: dict[str, int],
        specs: tuple[SeriesSpec, ...],
        clock: Clock,
    ) -> None:
        self._pipeline = pipeline
        self._emitter = emitter
        self._topics = topics
        self._partitions = partitions
        self._specs = specs
        self._clock = clock
        # One thread each: the pipeline is no place for two at once, and every thread more keeps memory of its own.
        self._adding = ThreadPoolExecutor(1, "rates-add")
        self._writing = ThreadPoolExecutor(1, "rates-write")
        self._flushing = asyncio.Lock()
        self._flush_began = 0.0
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
            if await self._in(self._writing, self._write, changes):
                for receipt in changes.receipts:
                    receipt.settle()
        self._report()

    async def on_stop(self, patience_seconds: float) -> None:
        """Flush a last time, and give up what the broker does not take in time: it will be read again."""
        hopeless = asyncio.get_running_loop().call_later(patience_seconds, self._emitter.stop)
        try:
            await self.on_flush()
        finally:
            hopeless.cancel()
        _log.info("stopped", live_keys=self._pipeline.live_keys, **vars(self._pipeline.counts))

    def on_partitions_revoked(self) -> None:
        """Forget at once what belongs to other workers now."""
        self._pipeline.forget_closed()

    async def _in(self, executor: Executor, work: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
        return await asyncio.get_running_loop().run_in_executor(executor, partial(work, *arguments, **named))

    def _write(self, changes: Changes) -> bool:
        """Write contributions and rejects; say whether all is acknowledged."""
        rates, rejected = self._topics.rates, self._topics.rejected
        written = rate_records(changes.contributions, specs=self._specs, partitions=self._partitions[rates])
        if not all(self._emitter.emit(rates, RATES_SCHEMA, records) for records in written):
            return False
        rejects = reject_records(changes.rejects, partitions=self._partitions[rejected])
        return self._emitter.emit(rejected, REJECTED_SCHEMA, rejects)

    def _report(self) -> None:
        if self._clock.monotonic() - self._reported_at >= _REPORT_SECONDS:
            self._reported_at = self._clock.monotonic()
            _log.info("rated so far", live_keys=self._pipeline.live_keys, **vars(self._pipeline.counts))
