"""What was delivered of one partition since it was last sought, and how far of that may be committed?"""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from spendgauge.schemas.records import RecordChunk
from spendgauge.streams.accounting.entries import NOTHING_KNOWN, Start, carry_over
from spendgauge.streams.accounting.origins import Origin
from spendgauge.streams.accounting.sources import SourceState
from spendgauge.streams.reading.fetching import Fetched

__all__ = ["Delivery", "Reading", "Receipt"]


@dataclass(eq=False)
class Receipt:
    """Says of one chunk whether all that follows from it is acknowledged by the broker."""

    next_offset: int
    settled: bool = False

    def settle(self) -> None:
        """Let the offsets be committed."""
        self.settled = True


class Reading:
    """One partition from the moment it was sought until it is sought again or taken away."""

    def __init__(self, origin: Origin, epoch: int, start: Start = NOTHING_KNOWN) -> None:
        self.origin = origin
        self.start = start
        self.committed: int | None = None
        """The offset that was committed last in this reading."""
        self._settled: dict[str, SourceState] | None = None
        self.epoch = epoch
        self.next_offset = origin.base
        self.closed = False
        self._outstanding: deque[Receipt] = deque()
        self._committable: int | None = None

    def deliver(self, fetched: Fetched, *, topic: str, partition: int) -> "Delivery":
        """Make the next chunk of what was fetched."""
        receipt = Receipt(fetched.next_offset)
        self._outstanding.append(receipt)
        self.next_offset = fetched.next_offset
        return Delivery(
            self.origin.stream,
            topic,
            partition,
            fetched.offsets,
            fetched.timestamps_ms,
            fetched.keys,
            fetched.values,
            fetched.headers,
            reading=self,
            begins_at=fetched.begins_at,
            receipt=receipt,
        )

    def committable(self) -> int | None:
        """Return the offset before which all is settled; None where nothing is."""
        while self._outstanding and self._outstanding[0].settled:
            self._committable = self._outstanding.popleft().next_offset
        return self._committable

    def settle_sources(self, moved: Mapping[str, SourceState]) -> None:
        """Remember where sources stand now that what they sent is acknowledged."""
        self._settled = dict(self.start.known) if self._settled is None else self._settled
        self._settled.update(moved)

    @property
    def has_settled(self) -> bool:
        """Whether anything that was read is acknowledged."""
        return self._settled is not None

    def carried_over(self) -> Start:
        """Say what the reading of the next stream under the same name begins with, where this one has settled."""
        return carry_over(self._settled or {}, unverified=self.start.unverified)

    def close(self) -> None:
        """Say that what was delivered is no longer wanted."""
        self.closed = True


@dataclass(frozen=True, eq=False)
class Delivery(RecordChunk):
    """A chunk as an agent gets it: the value of one Faust message.

    Whoever keeps state of a partition keeps it for one ``reading``: another one says that the partition was sought,
    and that the state begins again, empty, at its origin's ``base``. Within one reading the chunks join without a
    gap: each ``begins_at`` is the ``next_offset`` before.
    """

    reading: Reading
    begins_at: int
    receipt: Receipt

    @property
    def next_offset(self) -> int:
        """The offset that follows the chunk."""
        return self.receipt.next_offset

    def release(self) -> None:
        """Empty the chunk: Faust and asyncio hold on to a message for some time after it was handled."""
        for column in (self.offsets, self.timestamps_ms, self.keys, self.values, self.headers):
            cast(list[object], column).clear()
