"""What happens to one chunk? It is decoded, priced and added to its partition's block; a flush takes what changed.

No I/O and no event loop: the agent calls this from a thread, one call at a time.
"""

from collections import Counter
from dataclasses import dataclass, field

from spendgauge.schemas.chunks import DecodedChunk, decode_chunk
from spendgauge.schemas.prices import PriceBook
from spendgauge.schemas.rejects import RejectedEvent
from spendgauge.streams.accounting.accounts import Accounts, SourceWords
from spendgauge.streams.accounting.runs import Remark
from spendgauge.streams.rating.blocks import BlockAggregator, Contributions
from spendgauge.streams.rating.series import SeriesPlan
from spendgauge.streams.reading.readings import Delivery, Reading, Receipt

__all__ = ["Changes", "Counts", "Pipeline"]


@dataclass
class Counts:
    """What was done since the worker started; what is read again after a rebalance counts again."""

    chunks: int = 0
    records: int = 0
    events: int = 0
    duplicates: int = 0
    rejects: Counter[str] = field(default_factory=Counter)
    """By reason."""
    ends: int = 0
    contributions: int = 0


@dataclass
class Changes:
    """What a flush must write of one reading, and the receipts to settle once it is acknowledged."""

    reading: Reading
    partition: int
    contributions: list[Contributions] = field(default_factory=list)
    rejects: list[RejectedEvent] = field(default_factory=list)
    receipts: list[Receipt] = field(default_factory=list)
    sources: SourceWords = field(default_factory=SourceWords)

    def settle(self) -> None:
        """Say that all of it is acknowledged: its offsets may be committed."""
        self.reading.settle_sources(self.sources.moved)
        for receipt in self.receipts:
            receipt.settle()


@dataclass
class _Partition:
    """What one reading has come to."""

    blocks: BlockAggregator
    accounts: Accounts
    changes: Changes

    def take(self) -> Changes:
        """Take what changed since the last time."""
        taken, self.changes = self.changes, Changes(self.changes.reading, self.changes.partition)
        taken.contributions = self.blocks.take()
        committed = taken.reading.committed
        taken.sources = self.accounts.take(
            version=self.blocks.next_offset - 1,
            committed_block=None if committed is None else committed // self.blocks.origin.block_offsets,
        )
        return taken


class Pipeline:
    """Adds up all partitions that this worker reads."""

    def __init__(self, plan: SeriesPlan, book: PriceBook) -> None:
        self.counts = Counts()
        self._plan = plan
        self._book = book
        self._partitions: dict[Reading, _Partition] = {}

    def absorb(self, delivery: Delivery) -> None:
        """Add a chunk to its partition's block; one whose reading was closed meanwhile is left.

        Raises ``RuntimeError`` for a chunk that does not join the one before: totals would be wrong in silence.
        """
        if delivery.reading.closed:
            return
        partition = self._partition(delivery)
        if partition.blocks.next_offset != delivery.begins_at:
            raise RuntimeError(
                f"the chunk of {delivery.topic}/{delivery.partition} begins at offset {delivery.begins_at}, "
                f"and {partition.blocks.next_offset} was expected"
            )
        decoded = decode_chunk(delivery)
        duplicates = partition.blocks.add(
            self._book.price(decoded.frame), next_offset=delivery.next_offset, remarks=_remarks(decoded)
        )
        acknowledged = delivery.reading.origin.acknowledged
        rejects = [reject for reject in decoded.rejects if reject.offset >= acknowledged]
        partition.changes.rejects += rejects
        partition.changes.receipts.append(delivery.receipt)
        self.counts.chunks += 1
        self.counts.records += len(delivery)
        self.counts.events += len(decoded.frame)
        self.counts.duplicates += duplicates
        self.counts.rejects.update(reject.reason for reject in rejects)
        self.counts.ends += len(decoded.ends)

    def take(self) -> list[Changes]:
        """Take what changed since the last time, reading by reading, of those that are still open."""
        self.forget_closed()
        changes = [partition.take() for partition in list(self._partitions.values()) if partition.changes.receipts]
        self.counts.contributions += sum(len(one.totals) for taken in changes for one in taken.contributions)
        return changes

    def forget_closed(self) -> None:
        """Drop the state of readings that are closed; safe while another thread absorbs or takes."""
        for reading in [held for held in list(self._partitions) if held.closed]:
            self._partitions.pop(reading, None)

    @property
    def live_keys(self) -> int:
        """How many totals are held."""
        return sum(partition.blocks.live_keys for partition in list(self._partitions.values()))

    @property
    def missing(self) -> tuple[int, int]:
        """How many gaps are open, and how many events they lack."""
        found = [partition.accounts.missing for partition in list(self._partitions.values())]
        return sum(gaps for gaps, _ in found), sum(events for _, events in found)

    def _partition(self, delivery: Delivery) -> _Partition:
        reading = delivery.reading
        if reading not in self._partitions:
            self.forget_closed()
            origin, partition = reading.origin, delivery.partition
            accounts = Accounts(reading.start, origin, partition=partition, price_version=self._book.version)
            blocks = BlockAggregator(origin, partition=partition, plan=self._plan, accounts=accounts)
            self._partitions[reading] = _Partition(blocks, accounts, Changes(reading, partition))
        return self._partitions[reading]


def _remarks(decoded: DecodedChunk) -> list[Remark]:
    """List what the lines that are no events say of their sources' numbers, in the order of the log."""
    passed = [
        Remark(reject.offset, reject.line, *number, reject.received_at_ms)
        for reject in decoded.rejects
        if (number := reject.number)
    ]
    ends = [Remark(offset, line, source, seq, at_ms, True) for source, seq, offset, line, at_ms in decoded.ends]
    return sorted(passed + ends)
