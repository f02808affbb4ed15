"""Who is a source, and what is an event's id?

A source is one producer instance in one process: ``service@host#boot``, and ``/lane`` after it where there are several
lanes. A process that starts again, or forks, is another source, so no ``seq`` is ever used twice.
"""

import os
from itertools import count

__all__ = ["EventIds", "boot_id", "source_names"]

_VARIANT = 0b10 << 62
_COUNTER_BITS = 34
_NODE_BITS = 40


class EventIds:
    """Makes UUIDv7s: 48 bits of time, a counter of 34 bits, 40 random bits.

    The random bits are drawn once, so that the ids of one maker lie together where ids are sorted. ClickHouse sorts
    UUIDs by their second half; there an event takes half the room that it takes with ids random through and through
    (docs/tables.md). ``take`` may be called by any thread. A process that forks must begin another, or parent and
    child would make the same ids.

    *Source*: RFC 9562, sections 5.7, 6.2 (a counter in ``rand_a`` and on) and 6.4 (a random node).
    """

    def __init__(self) -> None:
        self._count = count()  # next() is atomic
        self._node = _VARIANT | (int.from_bytes(os.urandom(_NODE_BITS // 8)) << (_COUNTER_BITS - 12))
        self._low = (-1, "")

    def take(self, now_ms: int) -> str:
        """Make an event id. No two are the same before 2**34 were made, whatever the clock does."""
        number = next(self._count)
        block, low = self._low
        if block != number >> 12:
            low = self._begin(number >> 12)
        time = f"{now_ms & 0xFFFFFFFFFFFF:012x}"
        return f"{time[:8]}-{time[8:]}-7{number & 0xFFF:03x}{low}"

    def _begin(self, block: int) -> str:
        """Write the low half of the next 4,096 ids, and keep it."""
        text = f"{self._node | block & 0x3FFFFF:016x}"
        low = f"-{text[:4]}-{text[4:]}"
        self._low = (block, low)
        return low


def boot_id(now_ms: int) -> str:
    """Make the id of one run of one process: its time in milliseconds and 32 random bits, 20 hex digits."""
    return f"{now_ms & 0xFFFFFFFFFFFF:012x}{os.urandom(4).hex()}"


def source_names(service: str, host: str, boot: str, *, lanes: int = 1) -> tuple[str, ...]:
    """Name the sources of a producer, one for each lane."""
    name = f"{service}@{host}#{boot}"
    return (name,) if lanes == 1 else tuple(f"{name}/{lane}" for lane in range(lanes))
