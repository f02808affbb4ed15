"""How does a fork find a process without a Kafka client that connects?

A child gets its parent's memory as it is, and none of its threads. A lock that a thread holds in that moment stays held
in the child for ever; glibc's ``getaddrinfo`` has one that a fork does not free, and librdkafka takes it whenever it
connects. So the thread that owns a client which is not known to be connected lets go of it before a fork, and makes
another one after. A client that works is left alone, or a service that forks often would never send anything.
"""

import threading
from collections.abc import Callable
from typing import Final

__all__ = ["FORK_PAUSE_SECONDS", "PATIENCE_SECONDS", "Connection", "ForkGate"]

PATIENCE_SECONDS: Final = 1.0
"""How long a fork waits: a client that asks a slow name server cannot be let go of."""

FORK_PAUSE_SECONDS: Final = 0.05
"""How long after a fork no client is made: another fork may follow."""

_BURST_SECONDS: Final = 1.0
"""For how long forks that follow each other may keep a client from connecting."""

_SPARED_SECONDS: Final = 10.0
"""How long it is left alone after such a time, connected or not."""

_LONGEST_SECONDS: Final = 10.0
"""How long a thread believes that a fork is under way."""


class Connection:
    """Is a client connected, so that a fork may find its threads? Its owner tells; those who fork ask."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._works = False
        self._burst_at = self._let_go_at = float("-inf")

    def works(self) -> None:
        """Hear that the broker has answered it."""
        self._works = True

    def fails(self) -> None:
        """Hear of an error, or that it is gone."""
        self._works = False

    def let_go(self) -> None:
        """Hear that it is gone because of a fork."""
        self._works, self._let_go_at = False, self._monotonic()

    @property
    def may_stay(self) -> bool:
        """Whether it is known to work, or was kept from connecting for long enough."""
        now = self._monotonic()
        if now - self._let_go_at > _SPARED_SECONDS:
            self._burst_at = now
        return self._works or now - self._burst_at > _BURST_SECONDS


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

    def wait(self, seconds: float) -> None:
        """Wait until it has let go of its client."""
        with self._changed:
            self._changed.wait_for(lambda: self._free, seconds)

    def open(self) -> None:
        """Let the thread go on, unless somebody else forks."""
        with self._changed:
            self._forks = max(0, self._forks - 1)  # where the thread had believed in the fork for long enough
            self._changed.notify_all()

    def heed(self, let_go: Callable[[], None]) -> None:
        """Let go of the client and wait, where somebody forks: the thread asks at every turn.

        An exception of a signal's handler may cost an ``open``; so it does not wait for ever.
        """
        if not self._forks:
            return
        let_go()
        with self._changed:
            self._free = True
            self._changed.notify_all()
            if not self._changed.wait_for(lambda: not self._forks, _LONGEST_SECONDS):
                self._forks = 0
            self._free = False
