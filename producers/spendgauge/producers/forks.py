"""How does a fork find a process without the threads of a Kafka client?

A child gets its parent's memory as it is, and none of its threads. A lock that a thread holds in that moment stays held
in the child for ever; glibc's ``getaddrinfo`` has one that a fork does not free, and librdkafka takes it whenever it
connects. So the thread that owns a client lets go of it before a fork (that takes well under a millisecond), and makes
another one when it needs one.
"""

import threading
from collections.abc import Callable
from typing import Final

__all__ = ["ForkGate"]

_PATIENCE_SECONDS: Final = 1.0
"""How long a fork waits: a client that asks a slow name server cannot be let go of."""


class ForkGate:
    """Stands between those who fork and one thread with a client: it waits while a fork is under way."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._forks = 0
        self._free = False

    def shut(self) -> None:
        """Have the thread stop at its next turn; ``open`` must follow."""
        with self._changed:
            self._forks += 1

    def wait(self) -> None:
        """Wait until it has let go of its client."""
        with self._changed:
            self._changed.wait_for(lambda: self._free, _PATIENCE_SECONDS)

    def open(self) -> None:
        """Let the thread go on, unless somebody else forks. Harmless where nobody has shut it."""
        with self._changed:
            self._forks = max(0, self._forks - 1)
            self._changed.notify_all()

    def heed(self, let_go: Callable[[], None]) -> None:
        """Let go of the client and wait, where somebody forks: the thread asks at every turn."""
        if not self._forks:
            return
        let_go()
        with self._changed:
            self._free = True
            self._changed.notify_all()
            self._changed.wait_for(lambda: not self._forks)
            self._free = False
