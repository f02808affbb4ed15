"""What does Ctrl-C do? It interrupts once; more of them do not disturb the cleaning up."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["interrupted_once"]


@contextmanager
def interrupted_once(*others: signal.Signals) -> Iterator[None]:
    """Raise ``KeyboardInterrupt`` at the first Ctrl-C (or one of ``others``) and ignore what comes after it.

    Where Ctrl-C is ignored already, as in a shell's background, it stays so. After an interruption the signals stay
    ignored: the process is about to end.
    """
    numbers = [number for number in (signal.SIGINT, *others) if signal.getsignal(number) is not signal.SIG_IGN]

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        for number in numbers:
            signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt

    before = {number: signal.signal(number, on_signal) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            if signal.getsignal(number) is on_signal:
                signal.signal(number, handler)
