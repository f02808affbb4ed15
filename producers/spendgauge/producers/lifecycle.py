"""What happens to producers when their process forks or ends?

Before a fork each lets go of a client that may be connecting (``forks`` says why). After it the child has the objects
but not their threads: each producer becomes a new source with an empty queue (what waited belongs to the parent, which
still sends it). When the interpreter ends, what waits is sent, within each producer's ``exit_seconds``.
"""

import atexit
import os
import sys
import threading
from typing import Protocol

from spendgauge.producers.forks import PATIENCE_SECONDS
from spendgauge.schemas import SystemClock

__all__ = ["Living", "unwatch", "watch"]


class Living(Protocol):
    """A producer with a thread of its own."""

    def before_fork(self) -> bool:
        """Begin to let go of a client that may be connecting, for a fork is about to happen; say no where none is."""

    def await_fork(self, seconds: float) -> None:
        """Wait until it is let go of, where ``before_fork`` said yes."""

    def after_fork(self) -> None:
        """Go on, where it did: this process is the parent."""

    def on_fork(self) -> None:
        """Begin anew: this process is the child."""

    def on_exit(self) -> None:
        """Send what waits."""


class _Held(threading.local):
    """What the forks that this thread has begun hold, the newest last."""

    def __init__(self) -> None:
        self.forks: list[list[Living]] = []


class _Watch:
    """Which producers live in this process, and which of its hooks are set."""

    def __init__(self) -> None:
        self.living: set[Living] = set()
        self.held = _Held()
        self.hooked = False
        self.finalizing_pid: int | None = None

    def before_fork(self) -> None:
        held: list[Living] = []
        self.held.forks.append(held)
        held += [producer for producer in list(self.living) if producer.before_fork()]
        clock = SystemClock()
        deadline = clock.monotonic() + PATIENCE_SECONDS
        for producer in held:
            producer.await_fork(max(0.0, deadline - clock.monotonic()))

    def after_fork(self) -> None:
        if self.held.forks:  # none where the hooks were set during the fork
            for producer in self.held.forks.pop():
                producer.after_fork()

    def on_fork(self) -> None:
        self.held.forks.clear()
        for producer in list(self.living):
            producer.on_fork()

    def on_exit(self) -> None:
        for producer in list(self.living):
            producer.on_exit()


_watch = _Watch()


def watch(producer: Living) -> None:
    """Tell the producer of forks and of the end of the process until ``unwatch``; safe to repeat.

    It is kept alive: a service may let go of a producer that still holds events.
    """
    _watch.living.add(producer)
    if not _watch.hooked:
        _watch.hooked = True
        os.register_at_fork(before=_watch.before_fork, after_in_parent=_watch.after_fork, after_in_child=_watch.on_fork)
        atexit.register(_watch.on_exit)
    if _in_multiprocessing_child() and _watch.finalizing_pid != os.getpid():
        from multiprocessing.util import Finalize  # its children end without atexit

        _watch.finalizing_pid = os.getpid()
        Finalize(None, _watch.on_exit, exitpriority=0)


def unwatch(producer: Living) -> None:
    """Forget a producer that is closed."""
    _watch.living.discard(producer)


def _in_multiprocessing_child() -> bool:
    multiprocessing = sys.modules.get("multiprocessing.process")
    return multiprocessing is not None and multiprocessing.parent_process() is not None
