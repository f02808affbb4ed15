"""What does a service's process do with a producer? Run by the tests beside it: one mode, then the end."""

import multiprocessing
import os
import signal
import sys
import threading
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any

from spendgauge.producers import ProducerSettings, UsageProducer
from spendgauge.producers.quotas import create_guard
from spendgauge.schemas import SystemClock

CALL: dict[str, Any] = {"provider": "anthropic", "model": "claude-haiku-4-5", "input_tokens": 10}


def emit(producer: UsageProducer, events: int) -> None:
    """Emit so many events."""
    for _ in range(events):
        producer.emit(**CALL)


def forget_to_close(producer: UsageProducer) -> None:
    """Emit, and end."""
    emit(producer, 50)


def fork(producer: UsageProducer) -> None:
    """Emit in the parent, fork with events under way, and emit in both."""
    emit(producer, 20)
    child = os.fork()
    emit(producer, 30)
    if child:
        assert os.waitpid(child, 0)[1] == 0


def fork_in_vain(producer: UsageProducer) -> None:
    """Fork a child that has nothing to say."""
    emit(producer, 20)
    child = os.fork()
    if child:
        assert os.waitpid(child, 0)[1] == 0


def fork_with_clients(producer: UsageProducer) -> None:
    """Fork while clients connect, and when one works; write whether librdkafka had threads before and in it."""
    with create_guard():
        for works in (False, True):
            emit(producer, 20)
            if works:
                assert producer.flush()
            before = _client_threads()
            child = os.fork()
            emit(producer, 30)
            if not child:
                return
            assert os.waitpid(child, 0)[1] == 0
            print(before > 0, _client_threads_when_forked.pop() > 0, flush=True)


def fork_often(producer: UsageProducer) -> None:
    """Fork from two threads again and again, and send meanwhile; write whether all was acknowledged while they did."""
    ending = threading.Event()

    def forks() -> None:
        while not ending.wait(0.02):
            child = os.fork()
            if not child:
                os._exit(0)
            os.waitpid(child, 0)

    threads = [threading.Thread(target=forks) for _ in range(2)]
    for thread in threads:
        thread.start()
    SystemClock().sleep(0.3)
    emit(producer, 50)
    print(producer.flush(20), flush=True)
    ending.set()
    for thread in threads:
        thread.join()


_client_threads_when_forked: list[int] = []


def _client_threads() -> int:
    found = 0
    for task in Path("/proc/self/task").iterdir():
        with suppress(OSError):  # it has ended meanwhile
            found += (task / "comm").read_text().startswith("rdk:")
    return found


def multiprocess(producer: UsageProducer) -> None:
    """Emit in a child of multiprocessing, which ends without atexit."""
    child = multiprocessing.get_context("fork").Process(target=emit, args=(producer, 30))
    child.start()
    child.join()
    assert child.exitcode == 0
    emit(producer, 20)


def interrupt(producer: UsageProducer) -> None:
    """Emit from a signal handler that interrupts the emitting; print how many events were delivered."""
    left = 200

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        nonlocal left
        if not left:
            return  # it came while the last one was handled
        left -= 1
        producer.emit(**CALL, feature="signal")
        if left == 0:
            signal.setitimer(signal.ITIMER_REAL, 0)

    signal.signal(signal.SIGALRM, on_signal)
    signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
    while left:
        for _ in range(20):
            producer.emit(**CALL, feature="main")
        SystemClock().sleep(0.0002)
    assert producer.close(20)
    print(producer.stats().delivered)


def until_killed(producer: UsageProducer) -> None:
    """Emit a thousand times a second for ever; write each id as soon as ``emit`` has returned it."""
    while True:
        SystemClock().sleep(0.001)
        event_id = producer.emit(**CALL)
        if event_id is not None:
            os.write(1, event_id.encode() + b"\n")


def both_until_killed(producer: UsageProducer) -> None:
    """The same in a parent and its child, which has the parent's files open when it begins."""
    emit(producer, 20)
    os.fork()
    until_killed(producer)


def prefork(producer: UsageProducer) -> None:
    """Be a server as gunicorn is, with the producer made before the fork: three workers, of which one is asked to end,
    one is told to at once, and one is killed and replaced. Write the ids that each of them had."""
    _write_ids(producer, 10)
    asked, told, killed = (_fork_worker(producer) for _ in range(3))
    for worker, number in ((asked, signal.SIGTERM), (told, signal.SIGQUIT), (killed, signal.SIGKILL)):
        os.kill(worker, number)
    assert [os.waitpid(worker, 0)[1] for worker in (asked, told, killed)] == [0, 0, signal.SIGKILL]
    successor = _fork_worker(producer)
    _write_ids(producer, 10)
    os.kill(successor, signal.SIGTERM)
    assert os.waitpid(successor, 0)[1] == 0


def _fork_worker(producer: UsageProducer) -> int:
    """Fork a worker with gunicorn's handlers; return when it has emitted something."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        _work(producer, writing)
    os.read(reading, 1)
    os.close(reading)
    os.close(writing)
    return child


def _work(producer: UsageProducer, ready: int) -> None:
    alive = True

    def on_term(_number: int, _frame: FrameType | None) -> None:
        nonlocal alive
        alive = False

    signal.signal(signal.SIGTERM, on_term)
    signal.signal(signal.SIGQUIT, lambda *_: sys.exit(0))
    _write_ids(producer, 20)
    os.write(ready, b".")
    while alive:
        SystemClock().sleep(0.001)
        _write_ids(producer, 1)
    sys.exit(0)


def _write_ids(producer: UsageProducer, events: int) -> None:
    for _ in range(events):
        os.write(1, f"{producer.emit(**CALL)}\n".encode())


MODES = {
    run.__name__: run
    for run in (
        forget_to_close,
        fork,
        fork_in_vain,
        fork_often,
        fork_with_clients,
        multiprocess,
        interrupt,
        until_killed,
        both_until_killed,
        prefork,
    )
}

if __name__ == "__main__":
    # hooks run last first: this one looks after the producer's, which is set later
    os.register_at_fork(before=lambda: _client_threads_when_forked.append(_client_threads()))
    MODES[sys.argv[1]](UsageProducer(ProducerSettings.from_environment()))
