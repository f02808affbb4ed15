"""Where does an event wait that is not in memory? Nowhere, unless the producer has a ``spool_dir``.

``Spools`` is the case without one; ``spool.DiskSpools`` is the other, and is imported only where it is wanted.
"""

from collections.abc import Sequence

from spendgauge.producers.lane import Record

__all__ = ["Spools"]


class Spools:
    """No disk: nothing is taken, nothing was left, nothing waits."""

    @property
    def written_bytes(self) -> int:
        """How much this process has written."""
        return 0

    @property
    def unread(self) -> bool:
        """Whether some of it was not handed out yet; while that is so, newer events must follow it."""
        return False

    @property
    def unread_events(self) -> int:
        """How many events that is, as far as they can be read now."""
        return 0

    @property
    def waiting_events(self) -> int:
        """How many events of this process are on disk and neither acknowledged nor refused."""
        return 0

    @property
    def damaged_events(self) -> int:
        """How many of this process's events the disk did not give back."""
        return 0

    @property
    def replaying(self) -> bool:
        """Whether something that a dead process left is still to be sent."""
        return False

    @property
    def trouble(self) -> str:
        """Why the last event was not taken."""
        return ""

    def reached(self, written: int) -> bool:  # noqa: ARG002 - the interface's signature
        """Say whether everything is settled that was written when ``written_bytes`` was this."""
        return True

    def append(self, record: Record) -> bool:  # noqa: ARG002 - the same
        """Write a record; say whether it is on disk."""
        return False

    def next_record(self) -> Record | None:
        """Take a record that is to be sent; None where there is none now."""
        return None

    def attend(self) -> None:
        """Do what is due."""

    def keep(self, records: Sequence[Record]) -> int:
        """Write what is not acknowledged at the end, in order; return how many events could not be kept."""
        return sum(record.events for record in records)

    def close(self) -> None:
        """Leave to the next process what is not sent."""

    def abandon(self) -> None:
        """Let go of everything, and change nothing: it is the parent's, and this is a child of a fork."""
