"""How is an event written to disk, so that one that was torn or changed is never taken for an event?

One line each: the CRC-32 of the event's JSON in eight hexadecimal digits, a blank, the JSON. ``cut -c10-`` shows the
events. A damaged line costs itself, and at most its neighbour: the next newline begins anew.
"""

import json
import re
from typing import Final, NamedTuple
from zlib import crc32

__all__ = ["Lines", "Origin", "frame", "origin", "unframe"]

_HEAD: Final = 9

_ORIGIN: Final = re.compile(
    rb'\{(?:"event_id":"[0-9a-f-]{36}",|"schema":"spendgauge\.end/1",)?'
    rb'"source":("(?:[^"\\]|\\.)*"),"(next_)?seq":([0-9]+)'
)
"""How a line begins that ``Lane`` has written."""


class Lines(NamedTuple):
    """What some bytes of a segment hold."""

    whole: list[bytes]
    """The lines whose sum is right, in order."""
    damaged: int
    """How many are not."""
    used: int
    """How many bytes they take; what follows is the beginning of a line that goes on."""


class Origin(NamedTuple):
    """Where a line comes from."""

    source: bytes
    seq: int
    """The event's, or the one that would follow a source's end."""
    is_end: bool


def frame(line: bytes) -> bytes:
    """Write a line of JSON with its sum before and a newline after."""
    return b"%08x %b\n" % (crc32(line), line)


def unframe(data: bytes, *, final: bool) -> Lines:
    """Read what ``frame`` wrote; ``final`` says that nothing follows, so that a last line without newline is torn.

    Data without any newline is one damaged line: no frame is as long as what is read at once.
    """
    used = len(data) if final or b"\n" not in data else data.rindex(b"\n") + 1
    pieces = data[:used].split(b"\n")
    if not pieces[-1]:
        pieces.pop()
    whole = [line for piece in pieces if piece[:_HEAD] == b"%08x " % crc32(line := piece[_HEAD:])]
    return Lines(whole, len(pieces) - len(whole), used)


def origin(line: bytes) -> Origin | None:
    """Say which source wrote a line; None where it is no producer's line."""
    found = _ORIGIN.match(line)
    return Origin(json.loads(found[1]).encode(), int(found[3]), found[2] is not None) if found else None
