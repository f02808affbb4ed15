"""Was a stop asked for, and how urgently?"""

import signal
from types import FrameType

__all__ = ["StopRequest"]


class StopRequest:
    """Counts requests to stop: the first drains, the second stops at once."""

    def __init__(self) -> None:
        """Nothing is asked for yet."""
        self._count = 0

    def ask(self) -> None:
        """Ask once more."""
        self._count += 1

    def listen(self) -> None:
        """Take SIGINT (Ctrl-C), SIGTERM and SIGHUP (the terminal is gone) for requests."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._on_signal)

    @property
    def is_asked(self) -> bool:
        """Whether to drain and stop."""
        return self._count > 0

    @property
    def is_urgent(self) -> bool:
        """Whether to stop at once."""
        return self._count > 1

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self.ask()
