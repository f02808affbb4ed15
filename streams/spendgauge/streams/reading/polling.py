"""How does the consumer's thread talk to the broker? It fetches chunks, seeks, and commits with metadata.

This is Faust's aiokafka thread, with its own event loop; ``transport`` is the side in the main thread.
"""

import asyncio
import logging
from collections.abc import Iterator, Mapping, Set
from contextlib import suppress
from dataclasses import dataclass
from time import monotonic
from typing import Any, Final, Protocol, cast

import structlog
from aiokafka.consumer.fetcher import FetchResult
from aiokafka.errors import CommitFailedError, ConsumerStoppedError, IllegalStateError, KafkaError
from aiokafka.structs import OffsetAndMetadata, TopicPartition
from faust.transport.consumer import ensure_TP
from faust.transport.drivers import aiokafka as driver
from faust.types import TP

from spendgauge.schemas.progress import End
from spendgauge.schemas.settings import KafkaSettings
from spendgauge.streams.reading.fetching import take_records

__all__ = [
    "ANSWER_SECONDS",
    "SERVICE_LOG",
    "ChunkedApp",
    "Chunking",
    "ConsumerThread",
    "Membership",
    "Standing",
    "reads_chunks",
]

_log = structlog.get_logger(__name__)

SERVICE_LOG: Final = logging.getLogger("faust.chunked")
"""Where Faust's own words about our services go: among Faust's, of which only warnings are shown."""

ANSWER_SECONDS: Final = 5.0
"""How long the broker may take to answer; then it is asked again later."""

_BUSY_WAIT_MS: Final = 10
"""How long a fetch may wait at the broker while there is work. aiokafka has one fetch on its way to a broker, for the
partitions of which nothing is left to take: while those are at their end the broker holds it back, and the others
starve."""

_SMALL_BYTES: Final = 256 * 1024
"""A fetch below this size waits for company: each chunk costs some milliseconds, however small."""


@dataclass(frozen=True)
class Chunking:
    """How topics are read in chunks."""

    kafka: KafkaSettings
    block_offsets: Mapping[str, int]
    """The block size of each topic that has one."""
    positions: Mapping[str, str]
    """The topic in which is kept where the sources of a topic stand."""
    max_bytes: int
    """How much of one partition makes a chunk."""
    linger_seconds: float
    """How long a small fetch waits."""


class ChunkedApp(Protocol):
    """What the transport needs of a Faust app, besides that it is one."""

    chunking: Chunking


@dataclass(frozen=True)
class Standing:
    """Where a partition stands on the broker."""

    committed: int | None
    metadata: str
    log_start: int


@dataclass(frozen=True)
class Membership:
    """What a member knows of its group without asking."""

    answered: bool
    """The group's coordinator is known, and has not been lost."""
    settled: bool
    """The partitions are shared out; this member may have none."""
    assigned: Set[TP]
    ends: Mapping[TP, End]
    """Where each partition ended when the last fetch told of it."""


class ConsumerThread(driver.AIOKafkaConsumerThread):
    """Faust's aiokafka thread, taking whole fetches."""

    logger = SERVICE_LOG
    _epoch = 0
    _taken_at = 0.0

    @property
    def _chunking(self) -> Chunking:
        return cast(ChunkedApp, self.app).chunking

    def _create_worker_consumer(self, transport: Any) -> Any:
        """Let a fetch wait at the broker no longer than a small one lingers here; Faust says 1.5 s."""
        consumer: Any = super()._create_worker_consumer(transport)
        consumer._fetch_max_wait_ms = self._idle_wait_ms
        return consumer

    @property
    def _idle_wait_ms(self) -> int:
        return int(self._chunking.linger_seconds * 1000)

    async def on_thread_stop(self) -> None:
        """Leave the group."""
        with suppress(asyncio.CancelledError):  # without a broker aiokafka stumbles over its own cancelled fetch
            await super().on_thread_stop()

    async def check(self) -> None:
        """Raise the ``KafkaError`` that keeps this consumer out of its group, if there is one.

        Nobody else asks: Faust goes by the fetcher, which does not run before a first assignment.
        """
        await self.call_thread(self._check)

    async def _check(self) -> None:
        consumer = self._ensure_consumer()
        consumer._coordinator.check_errors()
        if consumer._fetcher.error_future.done():
            consumer._fetcher.error_future.result()

    async def standings(self, tps: list[TP]) -> dict[TP, Standing]:
        """Ask the broker where partitions stand."""
        return cast(dict[TP, Standing], await self.call_thread(self._standings, tps))

    async def _standings(self, tps: list[TP]) -> dict[TP, Standing]:
        consumer = self._ensure_consumer()
        asked = [TopicPartition(*tp) for tp in tps]
        committed = await consumer._coordinator.fetch_committed_offsets(asked)
        starts = await consumer.beginning_offsets(asked)
        return {TP(*tp): _standing(committed.get(tp), starts[tp]) for tp in asked}

    async def seek_all(self, bases: Mapping[TP, int], epoch: int) -> None:
        """Seek; what is fetched from now on carries the epoch."""
        await self.call_thread(self._seek_all, bases, epoch)

    async def _seek_all(self, bases: Mapping[TP, int], epoch: int) -> None:
        consumer = self._ensure_consumer()
        for tp, base in bases.items():
            consumer.seek(TopicPartition(*tp), base)
        self._epoch = epoch

    @property
    def membership(self) -> Membership:
        """What this member knows of its group; read from another thread as it is, nothing is asked."""
        consumer: Any = self._consumer
        subscription = consumer and consumer._subscription.subscription
        assignment = subscription and subscription.assignment  # once: the other thread may put a new one in its place
        if not assignment:
            return Membership(answered=False, settled=False, assigned=set(), ends={})
        states = {TP(*tp): assignment.state_value(tp) for tp in assignment.tps}
        told = {tp: state for tp, state in states.items() if state.highwater is not None}
        return Membership(
            answered=consumer._coordinator.coordinator_id is not None,
            settled=not subscription._reassignment_in_progress,
            assigned=states.keys(),
            ends={tp: End(state.highwater, state.timestamp) for tp, state in told.items()},
        )

    async def commit_with(self, offsets: Mapping[TP, OffsetAndMetadata]) -> bool:
        """Commit all of it, or nothing where any is no longer held; say whether it was done.

        What was not is tried again with the next commit.
        """
        return cast(bool, await self.call_thread(self._commit_with, offsets))

    async def _commit_with(self, offsets: Mapping[TP, OffsetAndMetadata]) -> bool:
        held = self.assignment()
        if not offsets.keys() <= held:
            return False
        wanted = {TopicPartition(*tp): offset for tp, offset in offsets.items()}
        try:
            await asyncio.wait_for(self._ensure_consumer().commit(wanted), ANSWER_SECONDS)
        except (CommitFailedError, IllegalStateError) as error:
            _log.info("offsets not committed: the partitions have moved on", error=str(error))
            return False
        except (KafkaError, TimeoutError) as error:
            _log.warning("offsets not committed, will try again", error=repr(error))
            return False
        self.tp_last_committed_at.update(dict.fromkeys(offsets, monotonic()))
        return True

    async def _fetch_records(
        self, consumer: Any, active_partitions: set[TP], timeout: float | None = None, max_records: int | None = None
    ) -> Mapping[TP, list[Any]]:
        """Wait for records and take all that are there, those of a partition as one."""
        if not self.consumer.flow_active:
            return {}
        fetcher = consumer._fetcher
        if consumer._closed or fetcher._closed:
            raise ConsumerStoppedError
        with fetcher._subscriptions.fetch_context():
            await self._wait_for_records(fetcher, active_partitions, timeout or 0.0)
            if fetcher._subscriptions.reassignment_in_progress or not self.consumer.flow_active:
                return {}
            return dict(self._take(fetcher, active_partitions, max_records))

    async def _wait_for_records(self, fetcher: Any, active: set[TP], timeout: float) -> None:
        """Wait until anything was fetched; where that is little, give it a moment to become more."""
        busy = any(tp in active for tp in fetcher._records)
        fetcher._fetch_max_wait_ms = _BUSY_WAIT_MS if busy else self._idle_wait_ms
        if not busy:
            waiter = fetcher._create_fetch_waiter()
            done, _ = await asyncio.wait([waiter], timeout=timeout)
            if not done:
                waiter.cancel()
                return
            waiter.result()
        small = sum(_size(result) for result in fetcher._records.values()) < _SMALL_BYTES
        linger = self._taken_at + self._chunking.linger_seconds - monotonic()
        if small and linger > 0:
            await asyncio.sleep(linger)
        self._taken_at = monotonic()

    def _take(self, fetcher: Any, active: set[TP], max_records: int | None) -> Iterator[tuple[TP, list[Any]]]:
        """Take what was fetched of the active partitions, up to two full chunks; the rest comes first next time."""
        room = 2 * self._chunking.max_bytes
        for tp, result in list(fetcher._records.items()):
            if tp not in active:
                if not fetcher._subscriptions.is_assigned(tp):
                    del fetcher._records[tp]
                continue
            if room <= 0:
                return
            taken = self._take_one(result, tp, max_records)
            if not isinstance(result, FetchResult) or not result.has_more():
                del fetcher._records[tp]
                fetcher._notify(fetcher._wait_consume_future)
            if not isinstance(result, FetchResult):
                result.check_raise()
            if taken:
                room -= getattr(taken[0], "value_bytes", 0)
                yield ensure_TP(tp), taken

    def _take_one(self, result: Any, tp: TopicPartition, max_records: int | None) -> list[Any]:
        """Take the records of one fetch: a single ``Fetched`` where the topic is read in chunks, or none."""
        if not isinstance(result, FetchResult):
            return []
        if not reads_chunks(self.app, tp):
            return cast(list[Any], result.getall(max_records))
        state = result._assignment.state_value(tp)
        fetched = take_records(result, state, epoch=self._epoch, max_bytes=self._chunking.max_bytes)
        return [fetched] if fetched and fetched.next_offset > fetched.begins_at else []


def reads_chunks(app: Any, tp: TopicPartition) -> bool:
    """Say whether a partition is delivered in chunks: all are, but those of the tables' changelogs."""
    return tp.topic not in app.tables.changelog_topics


def _standing(found: OffsetAndMetadata | None, log_start: int) -> Standing:
    if found is None or found.offset < 0:
        return Standing(None, "", log_start)
    return Standing(found.offset, found.metadata or "", log_start)


def _size(result: Any) -> int:
    pending = getattr(result, "_partition_records", None)
    return pending._records.size_in_bytes() if pending is not None else 0
