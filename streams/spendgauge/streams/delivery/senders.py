"""How are messages sent without waiting for them? By a thread for each channel, which has one message at a time."""

from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread
from traceback import extract_tb
from typing import Final, Protocol

import structlog

from spendgauge.schemas.clock import Clock
from spendgauge.schemas.errors import ConfigurationError
from spendgauge.streams.delivery.desk import Order
from spendgauge.streams.delivery.messages import Message
from spendgauge.streams.delivery.targets import Target
from spendgauge.streams.delivery.tries import Outcome

__all__ = ["MakeSender", "Sender", "Senders", "make_sender"]

_log = structlog.get_logger(__name__)


class Sender(Protocol):
    """Sends messages to one place; used by one thread."""

    def send(self, message: Message) -> Outcome:
        """Try once, in a bounded time."""
        ...

    def close(self) -> None:
        """Let go of what it holds."""
        ...


MakeSender = Callable[[Target], Sender]


def make_sender(target: Target, clock: Clock) -> Sender:
    """Build what sends to a channel.

    Raises ``ConfigurationError`` where the URL or the install does not do.
    """
    try:
        if target.channel.kind == "webhook":
            from spendgauge.streams.delivery.webhooks import Webhook

            return Webhook(target, clock)
        from spendgauge.streams.delivery.services import Service

        return Service(target)
    except ImportError as error:
        raise ConfigurationError(
            f"channel {target.channel.name!r} needs {error.name}, which is not installed; "
            "install it with: pip install 'spendgauge[alerts]'"
        ) from None


class Senders:
    """One thread for each channel; outcomes come back in one queue. For one thread at a time."""

    def __init__(self, make: MakeSender) -> None:
        self._make = make
        self._threads: dict[str, _Thread] = {}
        self._outcomes: SimpleQueue[tuple[Order, Outcome]] = SimpleQueue()
        self._busy: set[str] = set()

    @property
    def idle(self) -> frozenset[str]:
        """The channels that have nothing to do."""
        return frozenset(self._threads.keys() - self._busy)

    def set(self, targets: Iterable[Target]) -> None:
        """Send to these from now on; a message that is on its way ends as it began.

        Raises ``ConfigurationError`` where one of them cannot be used; then all stays as it was.
        """
        wanted = {target.channel.name: target for target in targets}
        known = {name: thread.target for name, thread in self._threads.items()}
        made = {name: self._make(target) for name, target in wanted.items() if known.get(name) != target}
        for name in [name for name in known if known[name] != wanted.get(name)]:
            self._threads.pop(name).orders.put(None)
        for name, sender in made.items():
            self._threads[name] = _Thread(wanted[name], sender, self._outcomes)

    def send(self, order: Order) -> None:
        """Hand a message to its channel, which is idle."""
        self._busy.add(order.channel)
        self._threads[order.channel].orders.put(order)

    def outcomes(self, *, wait_seconds: float = 0) -> list[tuple[Order, Outcome]]:
        """Take what has ended, in this order; where nothing has, wait for something."""
        found = []
        with suppress(Empty):
            found.append(self._outcomes.get(timeout=wait_seconds) if wait_seconds else self._outcomes.get_nowait())
            while True:
                found.append(self._outcomes.get_nowait())
        self._busy -= {order.channel for order, _ in found}
        return found

    @property
    def busy(self) -> bool:
        """Whether a message is on its way."""
        return bool(self._busy)

    def close(self) -> None:
        """End the threads once their message has ended; nobody waits for them."""
        for thread in self._threads.values():
            thread.orders.put(None)
        self._threads.clear()


class _Thread(Thread):
    """Sends to one channel. It does not keep the process: what it was about to send is sent again."""

    def __init__(self, target: Target, sender: Sender, outcomes: SimpleQueue[tuple[Order, Outcome]]) -> None:
        super().__init__(name=f"channel {target.channel.name}", daemon=True)
        self.target: Final = target
        self.orders: Final[SimpleQueue[Order | None]] = SimpleQueue()
        self._sender = sender
        self._outcomes = outcomes
        self.start()

    def run(self) -> None:
        """Send what comes, until None comes."""
        while (order := self.orders.get()) is not None:
            self._outcomes.put((order, self._try(order)))
        self._sender.close()

    def _try(self, order: Order) -> Outcome:
        try:
            return self._sender.send(order.message)
        except Exception as error:  # noqa: BLE001 - the thread's outermost edge: it must answer whatever happens
            places = [f"{Path(frame.filename).name}:{frame.lineno}" for frame in extract_tb(error.__traceback__)]
            kind = type(error).__name__  # its text may show the address
            _log.error("a channel fails in an unexpected way", channel=order.channel, error=kind, places=places)
            return Outcome("failed", f"it fails in an unexpected way ({kind})", perhaps=True)
