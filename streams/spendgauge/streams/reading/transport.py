"""How does Faust read a partition chunk by chunk, from the start of the block it must rebuild?

Faust hands its agents one record at a time, which costs more than all the work done with it. This transport (its
aiokafka transport, under the scheme ``chunked://``) delivers all that was fetched of a partition as one message whose
value is a ``Delivery``. One rule for all topics but the tables' changelogs, which Faust reads itself:

* A partition is read from the start of the block that holds its committed offset (``origins``). Topics that are not
  listed with a block size have blocks of one offset, so they are read from the committed offset as usual.
* A chunk's offsets are committed when its receipt is settled, in order. Faust's own acknowledgements are given for
  messages as well that a rebalance or a shutdown throws away unread; so such topics are declared with
  ``acks=False``, and the receipts decide alone.
* Each seek begins a new reading. What a reading does not expect (a chunk from before the seek, an offset that jumped
  because the log was cut or recreated) is never delivered.
"""

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar, Final, cast

import structlog
from aiokafka.errors import KafkaError
from aiokafka.structs import OffsetAndMetadata
from confluent_kafka.admin import AdminClient
from faust.transport.drivers import aiokafka as driver
from faust.types import TP, ConsumerMessage

from spendgauge.schemas.errors import ConfigurationError, UnavailableError
from spendgauge.schemas.kafka import connect_admin, stream_ids
from spendgauge.streams.accounting.entries import NOTHING_KNOWN, Start, begin
from spendgauge.streams.accounting.origins import Origin, resume
from spendgauge.streams.reading.fetching import Fetched
from spendgauge.streams.reading.loading import load_entries
from spendgauge.streams.reading.polling import (
    ANSWER_SECONDS,
    SERVICE_LOG,
    ChunkedApp,
    Chunking,
    ConsumerThread,
    Membership,
    Standing,
    reads_chunks,
)
from spendgauge.streams.reading.readings import Reading

__all__ = ["Consumer", "Transport"]

_log = structlog.get_logger(__name__)

_RETRY_SECONDS: Final = 1.0


class Consumer(driver.Consumer):
    """Faust's side of the consumer, in the main thread."""

    logger = SERVICE_LOG
    _thread: ConsumerThread

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._readings: dict[TP, Reading] = {}
        self._epoch = 0
        self._seeking = asyncio.Lock()
        self._void: set[TP] = set()
        """Partitions whose committed offset means nothing any more."""
        self._before: dict[TP, Reading] = {}
        """The last reading of each partition that has come to anything, for one whose topic is created again."""
        self._admin: AdminClient | None = None
        self.bytes_read = 0

    def _new_consumer_thread(self) -> ConsumerThread:
        return ConsumerThread(self, loop=self.loop, beacon=self.beacon)

    @property
    def _chunking(self) -> Chunking:
        return cast(ChunkedApp, self.app).chunking

    def _assigned(self) -> list[TP]:
        return [tp for tp in self.assignment() if reads_chunks(self.app, tp)]

    @property
    def readings(self) -> Mapping[TP, Reading]:
        """The open readings by partition."""
        return dict(self._readings)

    @property
    def membership(self) -> Membership:
        """What this worker knows of its group without asking."""
        return self._thread.membership

    def committed(self, tp: TP) -> int:
        """Return the offset that was committed last; 0 where none was."""
        return self._committed_offset.get(tp) or 0

    async def check(self) -> None:
        """Raise ``ConfigurationError`` where the broker does not let this worker into its group."""
        try:
            await self._thread.check()
        except KafkaError as error:
            raise ConfigurationError(
                f"the broker at {self._chunking.kafka.kafka} does not let this worker work in group "
                f"{self.app.conf.id} with a session timeout of {self.app.conf.broker_session_timeout} s: {error}"
            ) from None

    def on_buffer_full(self, tp: TP) -> None:
        """Do nothing: a full queue holds the fetcher back by itself.

        Faust's own stops fetching the partition, and sleeps for a second once all are stopped.
        """

    async def perform_seek(self) -> None:
        """Begin to read all assigned partitions anew, each from its origin.

        Where the broker does not answer the partitions stay unread, and are sought again with the next fetch.
        """
        await self._seek_again(())

    async def _seek_again(self, void: Iterable[TP]) -> None:
        """Seek all; the committed offsets of ``void`` partitions mean nothing any more."""
        async with self._seeking:
            self._void |= set(void)
            self._close(list(self._readings))
            try:
                async with asyncio.timeout(2 * ANSWER_SECONDS):
                    origins = await self._origins(self._assigned())
                await self._begin_readings(origins, await asyncio.to_thread(self._starts, origins))
            except (KafkaError, UnavailableError, TimeoutError) as error:
                self._close(list(self._readings))
                _log.warning("cannot learn where to read on, will try again", error=str(error) or repr(error))

    async def _begin_readings(self, origins: Mapping[TP, Origin], starts: Mapping[TP, Start]) -> None:
        self._epoch += 1
        for tp, origin in origins.items():
            self._readings[tp] = Reading(origin, self._epoch, starts[tp])
            self._read_offset[tp] = None
            self._committed_offset[tp] = origin.acknowledged
        await self._thread.seek_all({tp: origin.base for tp, origin in origins.items()}, self._epoch)
        self._void = set()
        self._before = {tp: self._before[tp] for tp in origins if self._is_recreated(tp, origins[tp])}

    async def _origins(self, tps: list[TP]) -> dict[TP, Origin]:
        if not tps:
            return {}
        standings = await self._thread.standings(tps)
        sizes = {tp.topic: self._chunking.block_offsets.get(tp.topic, 1) for tp in tps}
        streams = await asyncio.to_thread(self._streams, sizes)
        _warn_of_losses(standings)
        return {
            tp: resume(
                stream=streams[tp.topic],
                block_offsets=sizes[tp.topic],
                committed=None if tp in self._void else standing.committed,
                metadata=standing.metadata,
                log_start=standing.log_start,
            )
            for tp, standing in standings.items()
        }

    def _starts(self, origins: Mapping[TP, Origin]) -> dict[TP, Start]:
        """Read what is known where the readings begin; after the offsets, so that nothing that counts is missed."""
        starts: dict[TP, Start] = dict.fromkeys(origins, NOTHING_KNOWN)
        for topic, kept in self._chunking.positions.items():
            tps = [tp for tp in origins if tp.topic == topic]
            entries = load_entries(self._chunking.kafka, kept, {tp.partition for tp in tps})
            starts |= {
                tp: begin(entries[tp.partition], origins[tp], carried=self._carried(tp, origins[tp])) for tp in tps
            }
        return starts

    def _carried(self, tp: TP, origin: Origin) -> Start | None:
        """Say where the sources stood in the topic that had the name until this one was created."""
        return self._before[tp].carried_over() if self._is_recreated(tp, origin) else None

    def _is_recreated(self, tp: TP, origin: Origin) -> bool:
        return tp in self._before and self._before[tp].origin.topic_id != origin.topic_id

    def _streams(self, sizes: Mapping[str, int]) -> dict[str, str]:
        """Ask how the topics' streams are named now; sizes: each topic's block size."""
        kafka = self._chunking.kafka
        self._admin = self._admin or connect_admin(kafka, timeout_seconds=ANSWER_SECONDS)
        named: dict[str, str] = {}
        for size in set(sizes.values()):
            topics = [topic for topic in sizes if sizes[topic] == size]
            named |= stream_ids(kafka, topics, block_offsets=size, admin=self._admin)
        return named

    async def still_reads_its_streams(self) -> bool:
        """Say whether the topics are those that were sought; read those anew that were deleted and created again.

        What was read so far is what it was taken for where the answer is yes. Raises ``UnavailableError`` where the
        broker does not answer, or does not take this worker for the owner of its partitions.
        """
        origins = {tp: reading.origin for tp, reading in self._readings.items()}
        streams = await asyncio.to_thread(self._streams, {tp.topic: o.block_offsets for tp, o in origins.items()})
        gone = {tp for tp, origin in origins.items() if streams[tp.topic] != origin.stream}
        if gone:
            _log.warning("topics were deleted and created again: reading anew", partitions=sorted(gone))
            await self._seek_again(gone)
            return False
        await self._prove_ownership()
        return True

    async def _prove_ownership(self) -> None:
        """Commit once, before anything is written of a reading, the offset that it was begun after.

        The group refuses that to a zombie: one that slept since it was assigned must not write a new edition, which
        would win over what the owner writes.
        """
        unproven = {tp: reading for tp, reading in self._readings.items() if reading.committed is None}
        offsets = {tp: self._annotated(tp, reading.origin.acknowledged) for tp, reading in unproven.items()}
        if offsets and not await self._thread.commit_with(offsets):
            raise UnavailableError("the group has not confirmed that this worker owns its partitions")
        for reading in unproven.values():
            reading.committed = reading.origin.acknowledged

    async def _getmany(self, active_partitions: set[TP] | None, timeout: float) -> Mapping[TP, list[Any]]:
        if not self._readings.keys() >= set(self._assigned()):
            await self.perform_seek()
            if not self._readings.keys() >= set(self._assigned()):
                await self.sleep(_RETRY_SECONDS)
                return {}
        taken = await super()._getmany(active_partitions, timeout)
        wanted = {tp: found for tp, found in taken.items() if self._is_wanted(tp, found[0])}
        jumps = {tp: self._jump(tp, found[0]) for tp, found in wanted.items()}
        if any(jumps.values()):
            _log.warning(
                "the log was cut or recreated: reading anew", partitions=sorted(tp for tp in jumps if jumps[tp])
            )
            await self._seek_again(tp for tp, jump in jumps.items() if jump < 0)
            return {}
        return wanted

    def _is_wanted(self, tp: TP, taken: Any) -> bool:
        """Say whether what was taken belongs to the present reading."""
        if not isinstance(taken, Fetched):
            return True
        reading = self._readings.get(tp)
        return reading is not None and reading.epoch == taken.epoch

    def _jump(self, tp: TP, taken: Any) -> int:
        """Say how far from the expected offset a chunk begins."""
        return taken.begins_at - self._readings[tp].next_offset if isinstance(taken, Fetched) else 0

    def _to_message(self, tp: TP, record: Any) -> ConsumerMessage:
        if not isinstance(record, Fetched):
            return super()._to_message(tp, record)
        self.bytes_read += record.value_bytes
        delivery = self._readings[tp].deliver(record, topic=tp.topic, partition=tp.partition)
        return ConsumerMessage(
            tp.topic,
            tp.partition,
            delivery.next_offset - 1,
            timestamp=0.0,
            timestamp_type=0,
            headers=[],
            key=None,
            value=cast(bytes, delivery),
            checksum=None,
            tp=tp,
            generation_id=self.app.consumer_generation_id,
        )

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Close the readings first: nothing of them may be committed any more."""
        self._close(revoked)
        self._void -= revoked
        await super().on_partitions_revoked(revoked)

    async def on_partitions_assigned(self, assigned: set[TP], generation_id: int = 0) -> None:
        """Forget what went to other workers: they know more of it now."""
        self._before = {tp: before for tp, before in self._before.items() if tp in assigned}
        await super().on_partitions_assigned(assigned, generation_id)

    def _close(self, tps: Iterable[TP]) -> None:
        for tp in tps:
            if tp in self._readings:
                reading = self._readings.pop(tp)
                reading.close()
                if reading.has_settled:
                    self._before[tp] = reading

    def _filter_tps_with_pending_acks(self, topics: Any = None) -> Iterator[TP]:
        yield from super()._filter_tps_with_pending_acks(topics)
        yield from (tp for tp in self._readings if topics is None or tp in topics or tp.topic in topics)

    def _new_offset(self, tp: TP) -> int | None:
        reading = self._readings.get(tp)
        return reading.committable() if reading else super()._new_offset(tp)

    async def _commit_offsets(self, offsets: Mapping[TP, int], start_new_transaction: bool = True) -> bool:  # noqa: ARG002 - Faust calls it so
        """Commit what is still ours. Unlike Faust's own, this remembers as committed only what was."""
        held = self.assignment()
        wanted = {tp: offset for tp, offset in offsets.items() if tp in held}
        if not wanted:
            return False
        readings = {tp: self._readings[tp] for tp in wanted if tp in self._readings}
        await self.app.producer.flush()
        if not await self._thread.commit_with({tp: self._annotated(tp, offset) for tp, offset in wanted.items()}):
            return False
        self.app.tables.on_commit(wanted)
        self._committed_offset.update(wanted)
        for tp, reading in readings.items():
            reading.committed = wanted[tp]
        self.app.monitor.on_tp_commit(wanted)
        return True

    def _annotated(self, tp: TP, offset: int) -> OffsetAndMetadata:
        reading = self._readings.get(tp)
        return OffsetAndMetadata(offset, reading.origin.metadata(offset) if reading else "")


class Transport(driver.Transport):
    """Faust's aiokafka transport, in chunks."""

    Consumer: ClassVar[type[Consumer]] = Consumer


def _warn_of_losses(standings: Mapping[TP, Standing]) -> None:
    for tp, standing in standings.items():
        if standing.committed is not None and standing.committed < standing.log_start:
            _log.error(
                "records were removed from the log before they were rated; reconcile shows them",
                topic=tp.topic,
                partition=tp.partition,
                first_lost=standing.committed,
                first_left=standing.log_start,
            )
