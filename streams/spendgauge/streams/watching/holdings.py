"""What does a watcher hold of each partition that it has taken over, and what of it may be committed?"""

from collections import deque
from dataclasses import dataclass, field

from spendgauge.streams.reading.readings import Reading, Receipt
from spendgauge.streams.watching.horizon import Horizon

__all__ = ["Holding"]


@dataclass(eq=False)
class Holding:
    """One partition of ``cost.rates`` from the moment it was taken over until its reading is closed."""

    partition: int
    reading: Reading
    horizon: Horizon
    closed: int | None = None
    """The last minute that was judged."""
    _receipts: deque[tuple[int | None, Receipt]] = field(default_factory=deque)

    @property
    def is_ours(self) -> bool:
        """Whether it was not taken away."""
        return not self.reading.closed

    def on_chunk(self, receipt: Receipt, *, lines: int, newest: int | None) -> None:
        """Remember a chunk whose lines were absorbed; ``newest``: the newest minute that they are about."""
        self.horizon.on_lines(receipt.next_offset, lines, newest)
        self._receipts.append((newest, receipt))

    def close(self, until: int) -> int:
        """Remember that all minutes up to this one are judged; say how many of them were not before."""
        minutes = 0 if self.closed is None else until - self.closed
        self.closed = until
        return minutes

    def settle(self, read_from: int | None, *, up_to: int) -> None:
        """Let the chunks be committed whose lines are all of minutes before this one; None: none of them.

        ``up_to``: the offset up to which lines were absorbed when that was said.
        """
        while self._receipts and self._receipts[0][1].next_offset <= up_to:
            if not _is_before(self._receipts[0][0], read_from):
                return
            self._receipts.popleft()[1].settle()


def _is_before(newest: int | None, read_from: int | None) -> bool:
    return newest is None or (read_from is not None and newest < read_from)
