"""What happens to an event after emit()? A thread validates it, numbers it, packs it and sends it.

The caller only appends to ``queue``; everything that costs time is here. The first event after a pause leaves at once;
after a record has left, events are collected for the linger. Callers wake the thread only when it is idle.
"""

import threading
from collections import deque
from dataclasses import dataclass, field
from itertools import cycle
from queue import Empty, SimpleQueue
from typing import Final

from spendgauge.producers.identity import EventIds
from spendgauge.producers.invalid import InvalidEventError
from spendgauge.producers.lane import Draft, Lane
from spendgauge.producers.notices import Notices
from spendgauge.producers.sender import Sender
from spendgauge.producers.tally import Tally
from spendgauge.schemas import Clock

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


@dataclass
class Barrier:
    """Stands in the queue for a flush: done when everything before it is settled."""

    done: threading.Event = field(default_factory=threading.Event)
    ticket: int = 0


class Worker:
    """The thread behind a producer, its queue and its counts."""

    def __init__(
        self,
        lanes: tuple[Lane, ...],
        sender: Sender,
        *,
        clock: Clock,
        notices: Notices,
        linger_seconds: float,
        full_at: int,
    ) -> None:
        self.queue: deque[Draft | Barrier] = deque()
        self.idle = True
        self.ids = EventIds()
        self.dropped = Tally()
        self.refused = Tally()
        self.lanes = lanes
        self.sender = sender
        self.accepted = self.invalid = 0
        self._clock = clock
        self.notices = notices
        self._linger_seconds = linger_seconds
        self._full_at = full_at
        self._wake: SimpleQueue[None] = SimpleQueue()
        self._only_one = threading.Lock()
        self._thread: threading.Thread | None = None
        self._ended = threading.Event()
        self.stopped = False
        self._turns = cycle(lanes)
        self._lane = next(self._turns)
        self._barriers: list[Barrier] = []
        self._drops_seen = self._refusals_seen = 0
        self._sent_at: float | None = None
        self._urgent = False

    @property
    def started(self) -> bool:
        """Whether its thread runs or has run."""
        return self._thread is not None

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
        """End the thread; what is not acknowledged by now is given up, counted and logged. Say whether it has ended."""
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
        if self._urgent or len(self.queue) >= self._full_at or self._linger_left() <= 0:
            self._urgent = False
            self._take_in()
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
        self.sender.give_up()
        self._answer()
        self.notices.say_all()

    def _take_in(self) -> None:
        queue = self.queue
        while queue:
            item = queue.popleft()
            if isinstance(item, Barrier):
                self._dispatch()
                item.ticket = self.sender.next_ticket
                self._barriers.append(item)
                continue
            self._accept(item)
            if self._lane.full:
                self._dispatch()
                self._attend()
        self._dispatch()

    def _accept(self, draft: Draft) -> None:
        try:
            self._lane.add(draft)
            self.accepted += 1
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
            self.sender.add(record)
            self._lane = next(self._turns)
            self._sent_at = self._clock.monotonic()

    def _attend(self) -> None:
        """Do what must not wait until the queue is empty; polling also lets go of the GIL, for the callers."""
        self.sender.turn(0)
        self._count_drops()
        self._answer()
        self.notices.say_due()

    def _count_drops(self) -> None:
        drops = self.dropped.read()
        if drops > self._drops_seen:
            new, self._drops_seen = drops - self._drops_seen, drops
            self._lane.skip(new)
            self.notices.report("events dropped: the queue is full", new, waiting=self.sender.pending_events)
        refusals = self.refused.read()
        if refusals > self._refusals_seen:
            self.notices.report("events not sent: emit() met an error", refusals - self._refusals_seen)
            self._refusals_seen = refusals

    def _answer(self) -> None:
        settled = [barrier for barrier in self._barriers if self.sender.settled(barrier.ticket)]
        for barrier in settled:
            self._barriers.remove(barrier)
            barrier.done.set()

    def _rest(self) -> None:
        if self._barriers or self.sender.backlogged:
            self.sender.turn(_BUSY_SECONDS)
            return
        linger = self._linger_left()
        if linger > 0:
            self._wait(min(linger, _LOOK_SECONDS))
            return
        self.idle = True
        if not self.queue and not self.stopped:
            self._wait(self._patience())
        self.idle = False

    def _linger_left(self) -> float:
        if self._sent_at is None:
            return 0.0
        left = self._sent_at + self._linger_seconds - self._clock.monotonic()
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
