"""Which way does an event go from the queue: to the broker, or to the disk first?

Events are validated, numbered and packed; a record goes to the sender. With a spool, records go there while half of
what may wait in memory waits for the broker, and come back in order. With a journal the callers have validated,
numbered and written their events themselves, and only what it did not take is in the queue. Used by the producer's
thread only.
"""

import threading
from collections import deque
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from itertools import cycle
from typing import TYPE_CHECKING, Final

from spendgauge.producers.invalid import InvalidEventError
from spendgauge.producers.lane import Draft, Lane, Record
from spendgauge.producers.notices import Notices
from spendgauge.producers.sender import Sender
from spendgauge.producers.settings import ProducerSettings
from spendgauge.producers.spools import Spools
from spendgauge.producers.tally import Tally
from spendgauge.schemas import Clock

if TYPE_CHECKING:
    from spendgauge.producers.spool import Journal

__all__ = ["Barrier", "Intake"]

_PULLED_BYTES: Final = 4 * 1024 * 1024
"""How much is taken out of the spool before the broker has acknowledged it: what a ``kill -9`` sends again."""


@dataclass
class Barrier:
    """Stands in the queue for a flush: done when everything before it is settled.

    The ``last`` one stands behind all events, and each source's end follows it.
    """

    last: bool = False
    done: threading.Event = field(default_factory=threading.Event)
    ticket: int = 0
    written: int = 0


class Intake:
    """The queue, the numbering, and the choice between memory and disk."""

    def __init__(
        self,
        lanes: tuple[Lane, ...],
        sender: Sender,
        settings: ProducerSettings,
        *,
        clock: Clock,
        notices: Notices,
        spools: Spools,
        journal: "Journal | None",
    ) -> None:
        self.queue: deque[Draft | Barrier] = deque()
        self.lanes = lanes
        self.sender = sender
        self.spools = spools
        self.journal = journal
        self.dropped = Tally()
        self.invalid = self.lost = 0
        self.ending = False
        self._barriers: list[Barrier] = []
        self._held: deque[Record] = deque()
        self._numbered = self._drops_seen = 0
        self._clock = clock
        self._notices = notices
        self._settings = settings
        self._turns = cycle(lanes)
        self._lane = next(self._turns)

    @property
    def accepted(self) -> int:
        """How many events have a ``seq`` and were not dropped."""
        return self._numbered + (self.journal.accepted if self.journal is not None else 0)

    @property
    def pressed(self) -> bool:
        """Whether somebody flushes, or a record waits for room."""
        return bool(self._barriers or self._held)

    @property
    def plenty(self) -> bool:
        """Whether more waits than a record takes."""
        return len(self.queue) + self.spools.unread_events >= self._settings.coalesce_events or self.spools.replaying

    def take_in(self) -> bool:
        """Hand on one record of what is in the queue; say whether there was one, and room for it."""
        if self._choked() or not self.queue:
            return False
        with self.numbering():
            self._fill()
        return True

    def pull(self) -> None:
        """Send what waits on disk, as much as may be under way."""
        while not self._crowded(_PULLED_BYTES) and (record := self.spools.next_record()) is not None:
            self.sender.add(record)

    def count_drops(self) -> None:
        """Use up numbers for events that were dropped."""
        if self.dropped.read() > self._drops_seen:
            with self.numbering():
                self._skip_dropped()

    def answer(self) -> None:
        """Tell those who flush that what they wait for is settled."""
        for barrier in tuple(self._barriers):
            if self.sender.settled(barrier.ticket) and self.spools.reached(barrier.written):
                self._barriers.remove(barrier)
                barrier.done.set()

    def end(self) -> None:
        """Leave what is not acknowledged on disk, behind it each source's end; what finds no room there is lost."""
        with self.numbering():
            self._end_sources()
        self._lose(self.spools.keep(self.sender.give_up()))
        with self.numbering():  # an emit that is under way is written before, or not at all
            self.spools.close()

    def numbering(self) -> AbstractContextManager[None]:
        """Keep callers from numbering events meanwhile."""
        return nullcontext() if self.journal is None else self.journal.turn()

    def _fill(self) -> None:
        """Make one record of what is in the queue, up to a barrier."""
        while self.queue and not self._lane.full:
            item = self.queue.popleft()
            if isinstance(item, Barrier):
                self._dispatch()
                if item.last:
                    self._end_sources()
                if self._held:
                    self.queue.appendleft(item)
                    return
                item.ticket, item.written = self.sender.next_ticket, self.spools.written_bytes
                self._barriers.append(item)
            else:
                self._accept(item)
        self._dispatch()

    def _accept(self, draft: Draft) -> None:
        try:
            self._lane.add(draft)
            self._numbered += 1
        except InvalidEventError as error:
            self._refuse(str(error))
        except Exception as error:  # noqa: BLE001 - a value whose own methods raise must not harm its neighbours
            self._refuse(f"a value raised {type(error).__name__} when it was looked at")

    def _refuse(self, reason: str) -> None:
        self.invalid += 1
        self._notices.report("events not sent: invalid", reason=reason)

    def _dispatch(self) -> None:
        record = self._lane.take()
        if record is not None:
            self._lane = next(self._turns)
            self._held.append(record)
            self._release()

    def _skip_dropped(self) -> None:
        drops = self.dropped.read()
        new, self._drops_seen = drops - self._drops_seen, drops
        if new:
            self._lane.skip(new)
            self._notices.report("events dropped: the queue is full", new, waiting=self.sender.pending_events)

    def _end_sources(self) -> None:
        """Say of each source which number comes next, in its place behind the events."""
        self._skip_dropped()
        ends = [lane.end(self._clock.now_ms()) for lane in self.lanes if lane.next_seq]
        self._held.extend(end for end in ends if end is not None)
        self._release()

    def _release(self) -> None:
        """Hand on the numbered records that wait for room; until all are gone, callers write down no later ones."""
        while self._held and self._hand_on(self._held[0]):
            self._held.popleft()
        if self.journal is not None:
            self.journal.blocked = bool(self._held)

    def _choked(self) -> bool:
        """Say whether a record waits for the spool, which is full; then the queue fills too."""
        if self._held:
            with self.numbering():
                self._release()
        return bool(self._held)

    def _hand_on(self, record: Record) -> bool:
        """Give a record to the sender, or to the spool where it must wait; say no where neither may have it now.

        With a journal the spool has a source's events, so its end goes there too.
        """
        spools = self.spools
        behind = spools.unread or self._crowded() or (self.journal is not None and not record.events)
        if behind and spools.append(record):
            return True
        if not spools.unread:
            self.sender.add(record)
            return True
        if self.ending:
            self._lose(record.events)
        return self.ending

    def _crowded(self, max_bytes: int | None = None) -> bool:
        """Say whether half of what may wait in memory waits for the broker, or ``max_bytes``."""
        sender, settings = self.sender, self._settings
        bound = settings.queue_bytes // 2 if max_bytes is None else min(max_bytes, settings.queue_bytes // 2)
        return sender.pending_events * 2 >= settings.queue_events or sender.pending_bytes >= max(bound, 1)

    def _lose(self, events: int) -> None:
        self.lost += events
        if events:
            self._notices.report("events lost: closed before the broker had acknowledged them", events)
