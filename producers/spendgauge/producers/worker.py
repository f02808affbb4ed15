"""What happens to an event after emit()? A thread looks after it until the broker has acknowledged it.

The caller only appends to ``queue``; what costs time is here: ``Intake`` numbers and packs, ``Sender`` sends. The
first event after a pause leaves at once; after a record has left, events are collected for the linger. Callers wake the
thread only when it is idle.
"""

import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Final

from spendgauge.producers.forks import ForkGate
from spendgauge.producers.identity import EventIds
from spendgauge.producers.intake import Barrier, Intake
from spendgauge.producers.notices import Notices
from spendgauge.producers.tally import Tally
from spendgauge.schemas import Clock

__all__ = ["Worker"]

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


class Worker:
    """The thread behind a producer, its queue and its counts."""

    def __init__(
        self,
        intake: Intake,
        *,
        clock: Clock,
        notices: Notices,
        linger_seconds: float,
        on_turn: Callable[[], None] | None = None,
    ) -> None:
        self.queue = intake.queue
        self.journal = intake.journal
        self.sender = intake.sender
        self.spools = intake.spools
        self.intake = intake
        self.idle = True
        self.ids = EventIds()
        self.dropped = intake.dropped
        self.refused = Tally()
        self.notices = notices
        self._clock = clock
        self._linger_seconds = linger_seconds
        self._on_turn = on_turn
        self._wake: SimpleQueue[None] = SimpleQueue()
        self._gate = ForkGate()
        self._only_one = threading.Lock()
        self._thread: threading.Thread | None = None
        self._ended = threading.Event()
        self.stopped = False
        self._refusals_seen = self._passes_seen = 0
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

    @property
    def barriers(self) -> int:
        """How many of those who flush stand in the queue."""
        return sum(isinstance(one, Barrier) for one in tuple(self.queue))

    def hold(self) -> bool:
        """Have the thread let go of its client and wait for ``release``: somebody forks.

        Says no where there is no client that may be connecting.
        """
        if self._ended.is_set() or not self.started or self.sender.may_stay or (self.sender.idle and not self.queue):
            return False
        if threading.current_thread() is self._thread:  # a log's handler that forks
            self.sender.disconnect()
            return False
        self._gate.shut()
        self.rouse()
        return True

    def await_hold(self, seconds: float) -> None:
        """Wait until the thread has done so."""
        self._gate.wait(seconds)

    def release(self) -> None:
        """Let it go on."""
        self._gate.open()

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
        if self._urgent or self.intake.pressed or self.intake.plenty or self._linger_left() <= 0:
            self._urgent, before = False, self.sender.next_ticket
            self._take_in()
            self.intake.pull()
            if self.sender.next_ticket > before:
                self._sent_at = self._clock.monotonic()
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
        self._gate.heed(self.sender.disconnect)

    def _finish(self) -> None:
        self.intake.ending = True
        self._take_in()
        self._count_misses()
        self.intake.end()
        self.intake.answer()
        self.notices.say_all()

    def _take_in(self) -> None:
        while self.intake.take_in():
            self._attend()

    def _attend(self) -> None:
        """Do what must not wait until the queue is empty; polling also lets go of the GIL, for the callers."""
        self._gate.heed(self.sender.disconnect)
        self.sender.turn(0)
        self.spools.attend()
        self._count_misses()
        self.intake.answer()
        self.notices.say_due()
        if self._on_turn is not None:
            self._on_turn()

    def _count_misses(self) -> None:
        self.intake.count_drops()
        refusals = self.refused.read()
        if refusals > self._refusals_seen:
            self.notices.report("events not sent: emit() met an error", refusals - self._refusals_seen)
            self._refusals_seen = refusals
        passes = self.journal.passed.read() if self.journal is not None else 0
        if passes > self._passes_seen:
            new, self._passes_seen = passes - self._passes_seen, passes
            self.notices.report("events wait in memory: the spool does not take them", new, reason=self.spools.trouble)

    def _rest(self) -> None:
        if self.intake.pressed or self.sender.backlogged or self.intake.plenty:
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
