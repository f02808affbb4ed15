"""What happens to an event after emit()? A thread validates it, numbers it, packs it and sends it.

The caller only appends to ``queue``; everything that costs time is here. The first event after a pause leaves at once;
after a record has left, events are collected for the linger. Callers wake the thread only when it is idle.

With a spool, records go there while half of what may wait in memory waits for the broker, and come back in order. With
a journal the callers have validated, numbered and written their events, and only what it did not take is in ``queue``.
"""

import threading
from collections import deque
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from itertools import cycle
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Final

from spendgauge.producers.identity import EventIds
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

__all__ = ["Barrier", "Worker"]

_TICK_SECONDS: Final = 0.1
"""How often an idle thread looks after events that wait for the broker."""

_IDLE_SECONDS: Final = 10.0
"""How often it looks at all: librdkafka keeps what it has to tell until somebody does."""

_BUSY_SECONDS: Final = 0.05
"""How long it waits for a report while somebody flushes or more waits than librdkafka's window takes."""

_LOOK_SECONDS: Final = 0.05
"""How often it looks, while it lingers, whether a record is full."""

_GRACE_SECONDS: Final = 1.0
"""How long the thread may take to count what it gives up."""

_PULLED_BYTES: Final = 4 * 1024 * 1024
"""How much is taken out of the spool before the broker has acknowledged it: what a ``kill -9`` sends again."""


@dataclass
class Barrier:
    """Stands in the queue for a flush: done when everything before it is settled."""

    done: threading.Event = field(default_factory=threading.Event)
    ticket: int = 0
    written: int = 0


class Worker:
    """The thread behind a producer, its queue and its counts."""

    def __init__(
        self,
        lanes: tuple[Lane, ...],
        sender: Sender,
        settings: ProducerSettings,
        *,
        clock: Clock,
        notices: Notices,
        spools: Spools,
        journal: "Journal | None" = None,
    ) -> None:
        self.queue: deque[Draft | Barrier] = deque()
        self.idle = True
        self.ids = EventIds()
        self.dropped = Tally()
        self.refused = Tally()
        self.lanes = lanes
        self.sender = sender
        self.spools = spools
        self.journal = journal
        self.numbered = self.invalid = self.lost = 0
        self.notices = notices
        self._clock = clock
        self._settings = settings
        self._wake: SimpleQueue[None] = SimpleQueue()
        self._only_one = threading.Lock()
        self._thread: threading.Thread | None = None
        self._ended = threading.Event()
        self.stopped = False
        self._turns = cycle(lanes)
        self._lane = next(self._turns)
        self._held: Record | None = None
        self._barriers: list[Barrier] = []
        self._drops_seen = self._refusals_seen = self._passes_seen = 0
        self._sent_at: float | None = None
        self._urgent = False

    @property
    def started(self) -> bool:
        """Whether its thread runs or has run."""
        return self._thread is not None

    @property
    def accepted(self) -> int:
        """How many events have a ``seq`` and were not dropped."""
        return self.numbered + (self.journal.accepted if self.journal is not None else 0)

    def rouse(self) -> None:
        """Wake the thread, and start it where it does not run yet. Never blocks."""
        self.idle = False
        if self._thread is None and self._only_one.acquire(blocking=False):
            self._start()
        self._wake.put(None)

    def put(self, barrier: Barrier) -> None:
        """Have everything before now sent without lingering; ``barrier.done`` is set when it is settled."""
        self.queue.append(barrier)
        self._urgent = True
        self.rouse()

    def stop(self) -> bool:
        """End the thread; what is not acknowledged by now is left in the spool, or lost, counted and logged.

        Says whether it has ended.
        """
        self.stopped = True
        if self._only_one.acquire(blocking=False):
            self._finish()
            return True
        self.rouse()
        ended = self._ended.wait(_GRACE_SECONDS)
        if ended and self._thread is not None:
            self._thread.join(_GRACE_SECONDS)
        return ended

    def step(self) -> None:
        """Send what has come, answer those who flush, and rest until there is more to do."""
        if self._urgent or self._barriers or self._plenty or self._linger_left() <= 0:
            self._urgent = False
            self._take_in()
            self._pull()
        self._attend()
        self._rest()

    def _start(self) -> None:
        thread = threading.Thread(target=self._run, name="spendgauge-producer", daemon=True)
        try:
            thread.start()
            self._thread = thread
        except RuntimeError:  # no more threads now; the event waits, and the next one tries again
            self.idle = True
            self._only_one.release()

    def _run(self) -> None:
        while not self.stopped:
            try:
                self.step()
            except Exception as error:  # noqa: BLE001 - the thread's outermost edge: it must not die
                self.notices.report("the producer's thread met an error and goes on", error=repr(error)[:400])
                self._clock.sleep(_TICK_SECONDS)
        self._finish()
        self._ended.set()

    def _finish(self) -> None:
        self._take_in()
        self._count_drops()
        lost = self.spools.keep(self.sender.give_up())
        if lost:
            self._lose(lost)
        with self._numbering():
            self.spools.close()
        self._answer()
        self.notices.say_all()

    def _take_in(self) -> None:
        while self.queue and not self._choked():
            with self._numbering():
                self._fill()
            self._attend()

    def _fill(self) -> None:
        """Make one record of what is in the queue, up to a barrier."""
        while self.queue and not self._lane.full:
            item = self.queue.popleft()
            if isinstance(item, Barrier):
                self._dispatch()
                if self._held is not None:
                    self.queue.appendleft(item)
                    return
                item.ticket, item.written = self.sender.next_ticket, self.spools.written_bytes
                self._barriers.append(item)
            else:
                self._accept(item)
        self._dispatch()

    def _numbering(self) -> AbstractContextManager[None]:
        return nullcontext() if self.journal is None else self.journal.turn()

    def _accept(self, draft: Draft) -> None:
        try:
            self._lane.add(draft)
            self.numbered += 1
        except InvalidEventError as error:
            self._refuse(str(error))
        except Exception as error:  # noqa: BLE001 - a value whose own methods raise must not harm its neighbours
            self._refuse(f"a value raised {type(error).__name__} when it was looked at")

    def _refuse(self, reason: str) -> None:
        self.invalid += 1
        self.notices.report("events not sent: invalid", reason=reason)

    def _dispatch(self) -> None:
        record = self._lane.take()
        if record is not None:
            self._lane = next(self._turns)
            self._hold(None if self._hand_on(record) else record)

    def _hold(self, record: Record | None) -> None:
        """Keep a numbered record that nobody takes; until it is gone, callers may not write later ones down."""
        self._held = record
        if self.journal is not None:
            self.journal.blocked = record is not None

    def _hand_on(self, record: Record) -> bool:
        """Give a record to the sender, or to the spool where it must wait; say no where neither may have it now."""
        spools = self.spools
        if (spools.unread or self._crowded()) and spools.append(record):
            return True
        if spools.unread:
            if self.stopped:
                self._lose(record.events)
            return self.stopped
        self.sender.add(record)
        self._sent_at = self._clock.monotonic()
        return True

    def _choked(self) -> bool:
        """Say whether a record waits for the spool, which is full; then the queue fills too."""
        if self._held is not None:
            with self._numbering():
                self._hold(None if self._hand_on(self._held) else self._held)
        return self._held is not None

    def _pull(self) -> None:
        """Send what waits on disk, as much as may be under way."""
        while not self._crowded(_PULLED_BYTES) and (record := self.spools.next_record()) is not None:
            self.sender.add(record)
            self._sent_at = self._clock.monotonic()

    def _crowded(self, max_bytes: int | None = None) -> bool:
        """Say whether half of what may wait in memory waits for the broker, or ``max_bytes``."""
        sender, settings = self.sender, self._settings
        bound = settings.queue_bytes // 2 if max_bytes is None else min(max_bytes, settings.queue_bytes // 2)
        return sender.pending_events * 2 >= settings.queue_events or sender.pending_bytes >= max(bound, 1)

    @property
    def _plenty(self) -> bool:
        """Whether more waits than a record takes."""
        return len(self.queue) + self.spools.unread_events >= self._settings.coalesce_events or self.spools.replaying

    def _lose(self, events: int) -> None:
        self.lost += events
        self.notices.report("events lost: closed before the broker had acknowledged them", events)

    def _attend(self) -> None:
        """Do what must not wait until the queue is empty; polling also lets go of the GIL, for the callers."""
        self.sender.turn(0)
        self.spools.attend()
        self._count_drops()
        self._answer()
        self.notices.say_due()

    def _count_drops(self) -> None:
        drops = self.dropped.read()
        if drops > self._drops_seen:
            new, self._drops_seen = drops - self._drops_seen, drops
            with self._numbering():
                self._lane.skip(new)
            self.notices.report("events dropped: the queue is full", new, waiting=self.sender.pending_events)
        refusals = self.refused.read()
        if refusals > self._refusals_seen:
            self.notices.report("events not sent: emit() met an error", refusals - self._refusals_seen)
            self._refusals_seen = refusals
        passes = self.journal.passed.read() if self.journal is not None else 0
        if passes > self._passes_seen:
            new, self._passes_seen = passes - self._passes_seen, passes
            self.notices.report("events wait in memory: the spool does not take them", new, reason=self.spools.trouble)

    def _answer(self) -> None:
        settled = [
            barrier
            for barrier in self._barriers
            if self.sender.settled(barrier.ticket) and self.spools.reached(barrier.written)
        ]
        for barrier in settled:
            self._barriers.remove(barrier)
            barrier.done.set()

    def _rest(self) -> None:
        if self._barriers or self.sender.backlogged or self._plenty:
            self.sender.turn(_BUSY_SECONDS)
            return
        linger = self._linger_left()
        if linger > 0:
            self._wait(min(linger, _LOOK_SECONDS))
            return
        self.idle = True
        if not (self.queue or self.spools.unread_events or self.stopped):
            self._wait(self._patience())
        self.idle = False

    def _linger_left(self) -> float:
        if self._sent_at is None:
            return 0.0
        left = self._sent_at + self._settings.linger_ms / 1000 - self._clock.monotonic()
        if left <= 0:
            self._sent_at = None
        return left

    def _patience(self) -> float:
        if self.sender.pending_events:
            return _TICK_SECONDS
        return min(_IDLE_SECONDS, self.notices.seconds_until_due or _IDLE_SECONDS)

    def _wait(self, seconds: float) -> None:
        try:
            self._wake.get(timeout=seconds)
            while True:
                self._wake.get_nowait()
        except Empty:
            return
