"""Does a thread let go of a client that connects while somebody forks, and go on after?"""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest
from tests.producers import CALL, FakeBroker, FakeClock, positions

from spendgauge.producers import UsageProducer
from spendgauge.producers.forks import Connection, ForkGate


def wait_for(event: threading.Event) -> None:
    """Hang until it is set, for half a minute at most."""
    assert event.wait(30)


class Thread:
    """One with a client: counts its turns, and how often it let go."""

    def __init__(self, gate: ForkGate) -> None:
        self.gate, self.let_go, self.turns = gate, 0, 0
        self.ending, self.turned = threading.Event(), threading.Condition()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while not self.ending.wait(0.001):
            self.gate.heed(self._let_go)
            with self.turned:
                self.turns += 1
                self.turned.notify_all()

    def _let_go(self) -> None:
        self.let_go += 1

    def goes_on(self) -> bool:
        """Say whether it makes another turn within ten seconds."""
        with self.turned:
            before = self.turns
            return self.turned.wait_for(lambda: self.turns > before + 1, 10)

    def end(self) -> None:
        """End it."""
        self.ending.set()
        self._thread.join(10)
        assert not self._thread.is_alive()


@pytest.fixture
def thread() -> Iterator[Thread]:
    """A thread behind a gate."""
    thread = Thread(ForkGate())
    yield thread
    thread.end()


def test_it_lets_go_and_goes_on(thread: Thread) -> None:
    """Once a fork; it stands still from the wait to the opening."""
    for forks in (1, 2):
        thread.gate.shut()
        thread.gate.wait(10)
        assert thread.let_go == forks
        turns = thread.turns
        assert not threading.Event().wait(0.02)
        assert thread.turns == turns
        thread.gate.open()
        assert thread.goes_on()


def test_two_may_fork_at_once(thread: Thread) -> None:
    """It goes on when both are done."""
    thread.gate.shut()
    thread.gate.shut()
    thread.gate.wait(10)
    thread.gate.wait(10)
    turns = thread.turns
    thread.gate.open()
    assert not threading.Event().wait(0.02)
    assert thread.turns == turns
    thread.gate.open()
    assert thread.goes_on()


def test_opening_what_nobody_shut_is_harmless(thread: Thread) -> None:
    """A fork that was interrupted before the gate was shut opens it all the same."""
    thread.gate.open()
    assert thread.goes_on()
    thread.gate.shut()
    thread.gate.wait(10)
    assert thread.let_go == 1
    thread.gate.open()
    assert thread.goes_on()


def test_a_thread_that_cannot_let_go_is_not_waited_for() -> None:
    """A fork goes on without it after its patience."""
    gate, hangs = ForkGate(), threading.Event()
    gate.shut()
    with ThreadPoolExecutor(1) as pool:
        ended = pool.submit(gate.heed, partial(wait_for, hangs))
        gate.wait(0.05)
        gate.open()
        assert not ended.done()
        hangs.set()
        assert ended.result(10) is None


def test_a_client_that_may_be_connecting_stays_in_no_fork() -> None:
    """Unless forks that follow each other have kept it from connecting for a second; then it is left alone for ten."""
    clock = FakeClock()
    connection = Connection(clock.monotonic)
    let_go = []
    for eighth in range(8 * 30):
        clock.seconds = eighth / 8
        if not connection.may_stay:
            connection.let_go()
            let_go.append(eighth)
    assert let_go == [*range(9), *range(89, 98), *range(178, 187)]


def test_a_client_that_works_stays_until_it_fails() -> None:
    """What the broker has answered resolves no name any more, but where it meets an error."""
    connection = Connection(FakeClock().monotonic)
    connection.works()
    assert connection.may_stay
    connection.fails()
    assert not connection.may_stay


def test_a_held_producer_takes_events_and_sends_them_after(broker: FakeBroker) -> None:
    """Around a fork nothing is lost: what was under way is sent again by another client, what comes meanwhile waits."""
    broker.up = False
    emitter = UsageProducer(connect=broker.connect, service="api", host="h", linger_ms=0)
    for _ in range(5):
        emitter.emit(**CALL)
    assert emitter.before_fork()
    emitter.await_fork(10)
    broker.up = True
    for _ in range(5):
        emitter.emit(**CALL)
    assert broker.records == []
    emitter.after_fork()
    assert emitter.flush(10)
    assert not emitter.before_fork()  # it works
    assert emitter.close(10)
    assert len(broker.clients) == 2
    assert list(positions(broker.records).values()) == [list(range(10))]


def test_nobody_waits_for_a_producer_that_is_closed_or_rests(broker: FakeBroker) -> None:
    """Nothing connects where the thread has ended, or has neither a client nor anything to send."""
    emitter = UsageProducer(connect=broker.connect, service="api", host="h")
    assert emitter.before_fork()
    emitter.await_fork(10)
    emitter.after_fork()
    assert not emitter.before_fork()
    assert emitter.close(10)
    assert not emitter.before_fork()
    assert len(broker.clients) == 1
