"""How fast does a process work, seen from outside? Its output is watched as it grows; starting up does not count."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from spendgauge.schemas import SystemClock

__all__ = ["Pace", "cpu_seconds", "megabytes", "watch"]

_clock: Final = SystemClock()
_EVERY_SECONDS: Final = 0.05


@dataclass(frozen=True)
class Pace:
    """How many were done in how long, between the first output and the last, and at what cost."""

    events: int
    seconds: float
    cpu_seconds: float
    """What the process itself took of its processor; steadier than the time on the wall where others want it too."""

    @property
    def per_second(self) -> float:
        """Events a second."""
        return self.events / self.seconds

    @property
    def per_cpu_second(self) -> float:
        """Events a second of the processor's time."""
        return self.events / self.cpu_seconds


def watch(done: Callable[[], int], *processes: int, events: int, limit_seconds: float = 300) -> Pace:
    """Ask how many are done until all ``events`` are; measure the processes from the first answer that is not zero.

    Raises ``TimeoutError`` where they are not all done within ``limit_seconds``.
    """
    deadline = _clock.monotonic() + limit_seconds
    first: tuple[int, float, float] | None = None
    while True:
        count, now, used = done(), _clock.monotonic(), sum(map(cpu_seconds, processes))
        if count and first is None:
            first = count, now, used
        if first and count >= events:
            if count == first[0]:
                raise RuntimeError("all was done at once: measure more events")
            return Pace(count - first[0], now - first[1], used - first[2])
        if now > deadline:
            raise TimeoutError(f"{count} of {events} events were done within {limit_seconds} s")
        _clock.sleep(_EVERY_SECONDS)


def cpu_seconds(process: int) -> float:
    """Read how much processor time a process has used; raise ``RuntimeError`` where it has ended."""
    fields = Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    if fields[0] == "Z":
        raise RuntimeError(f"the process {process} ended while it was measured")
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def megabytes(process: int, *, most: bool = True) -> float:
    """Read how much memory a process has held at most, or holds now."""
    status = Path(f"/proc/{process}/status").read_text(encoding="utf-8")
    return int(status.partition("VmHWM:" if most else "VmRSS:")[2].split()[0]) / 1024
