"""Who is a source, and what is an event's id?

A source is one producer instance in one process: ``service@host#boot``, and ``/lane`` after it where there are several
lanes. A process that starts again, or forks, is another source, so no ``seq`` is ever used twice.
"""

import os

__all__ = ["boot_id", "event_id", "source_names"]


def event_id(now_ms: int) -> str:
    """Make a UUIDv7: 48 bits of time in milliseconds, 74 random bits.

    The random bits come from the kernel each time: two processes that forked from one parent share no generator.

    *Source*: RFC 9562, section 5.7.
    """
    time = f"{now_ms & 0xFFFFFFFFFFFF:012x}"
    noise = os.urandom(10).hex()
    variant = "89ab"[int(noise[3], 16) & 3]
    return f"{time[:8]}-{time[8:]}-7{noise[:3]}-{variant}{noise[4:7]}-{noise[7:19]}"


def boot_id(now_ms: int) -> str:
    """Make the id of one run of one process: its time in milliseconds and 32 random bits, 20 hex digits."""
    return f"{now_ms & 0xFFFFFFFFFFFF:012x}{os.urandom(4).hex()}"


def source_names(service: str, host: str, boot: str, *, lanes: int = 1) -> tuple[str, ...]:
    """Name the sources of a producer, one for each lane."""
    name = f"{service}@{host}#{boot}"
    return (name,) if lanes == 1 else tuple(f"{name}/{lane}" for lane in range(lanes))
