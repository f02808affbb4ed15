"""Where does each source stand, and which of its events are missing? What is on ``usage.gaps``, ``usage.positions``.

A source counts its events from 0 without a hole, and all of them lie in one partition of ``usage.events``. So a
``seq`` below the next one is a repeat, unless it lies in a gap; a jump opens a gap, and so does an end that is one.

``usage.gaps`` says it to readers: one line whenever a source's gaps or repeats changed; of the lines of one
(stream, partition, source) the highest version counts.

``usage.positions`` (compacted) says it to the workers. Partition p of it belongs to partition p of ``usage.events``.
A key is compact JSON, and there are two kinds of entries:

* ``["<stream>", <block>, "<source>"]``: a ``SourcePosition``, the source's state where that block begins. It is a
  function of the log before the block, so whoever writes it writes the same.
* ``["<stream>", "book", <edition>]``: a ``PriceEdition``, the price book of that edition's contributions.
"""

import re
from typing import Annotated, Final, NamedTuple

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from spendgauge.schemas.fields import Total
from spendgauge.schemas.wire import WireModel, compact_json

__all__ = [
    "GAPS_SCHEMA",
    "MAX_EDITION",
    "MAX_GAPS",
    "POSITIONS_SCHEMA",
    "EditionKey",
    "PositionKey",
    "PriceEdition",
    "SeqGap",
    "SourceGaps",
    "SourcePosition",
    "read_key",
]

GAPS_SCHEMA: Final = "spendgauge.gaps/1"
POSITIONS_SCHEMA: Final = "spendgauge.positions/1"

MAX_GAPS: Final = 1_024
"""A source with more open gaps is no longer held to its sequence: its events are told apart by ``event_id``."""

MAX_EDITION: Final = 2**16 - 1
"""Edition and version are compared as one 64-bit number: 16 bits of edition, 48 of version."""

_Seq = Annotated[int, Field(ge=0, le=2**62)]
_Offset = Annotated[int, Field(ge=0, le=2**63 - 1)]


class SeqGap(WireModel):
    """Events of a source that were sent, or will be, and have not come: [first_seq, last_seq]."""

    first_seq: _Seq = Field(description="The first missing sequence number.")
    last_seq: _Seq = Field(description="The last missing one; equal to first_seq where one event is missing.")
    opened_offset: _Offset = Field(
        description="The offset of the event that jumped over them, or of the source's end. Parts of one gap share it, "
        "so it names the gap."
    )
    opened_at_ms: Total = Field(description="That record's broker timestamp, milliseconds since 1970 UTC.")


class SourceGaps(WireModel):
    """One line of ``usage.gaps``: where one source stands after the log up to ``version``."""

    source: str = Field(min_length=1, description="As in a usage event.")
    stream: str = Field(min_length=1, description="As in a contribution: topic id and block size.")
    partition: int = Field(ge=0, le=2**31 - 1, description="Of usage.events.")
    version: _Offset = Field(description="The last offset included; the highest version wins.")
    next_seq: int = Field(ge=0, le=2**62 + 1, description="The number that is expected next.")
    gaps: tuple[SeqGap, ...] = Field(max_length=MAX_GAPS, description="What is missing now, in order of first_seq.")
    repeats: _Offset = Field(description="How many events came again and were not counted again.")
    shared: bool = Field(
        description="Whether the sequence cannot be trusted: two producers use the name, or it has more than "
        "1,024 gaps. All its events are then counted, and gaps are not claimed."
    )


class SourcePosition(WireModel):
    """Where one source stands: the value of an entry of ``usage.positions``."""

    next_seq: int = Field(ge=0, le=2**62 + 1, description="The number that is expected next.")
    gaps: tuple[SeqGap, ...] = Field(default=(), description="What is missing, in order of first_seq.")
    unverified: tuple[tuple[_Seq, _Seq], ...] = Field(
        default=(),
        description="Ranges [first, last] of which nobody knows whether they were counted: what comes is counted, "
        "and what does not come is not called missing.",
    )
    passed: tuple[tuple[_Seq, _Seq], ...] = Field(
        default=(),
        description="Ranges [first, last] of numbers of rejected lines, some perhaps beyond next_seq: neither counted "
        "nor missing.",
    )
    unsure: bool = Field(
        default=False,
        description="Whether events may have come since that this state does not know: the next jump opens an "
        "unverified range instead of a gap.",
    )
    repeats: _Offset = Field(default=0, description="How many events came again and were not counted again.")
    shared: bool = Field(default=False, description="As in a line of usage.gaps.")
    first_offset: int = Field(ge=-1, le=2**63 - 1, description="Of the source's first event; -1: in an older stream.")
    last_at_ms: Total = Field(description="The broker timestamp of its last event, milliseconds since 1970 UTC.")


class PriceEdition(WireModel):
    """Which price book an edition of contributions was priced with: the value of the other kind of entry."""

    price_version: str = Field(description="As in usage_events.price_version.")
    begun_at: _Offset = Field(
        default=0,
        description="The committed offset when it was begun. While nothing beyond is committed, its first worker may "
        "have died before it wrote all of the block again.",
    )
    unverified: bool = Field(
        default=False,
        description="Whether the stream was begun without knowing what came before: a source without an entry may "
        "have sent events that nobody remembers.",
    )


class PositionKey(NamedTuple):
    """The key of a ``SourcePosition``."""

    stream: str
    block: int
    """The state holds where this block begins."""
    source: str

    def encode(self) -> bytes:
        """Write the key."""
        return compact_json(self).encode()


class EditionKey(NamedTuple):
    """The key of a ``PriceEdition``."""

    stream: str
    edition: int

    def encode(self) -> bytes:
        """Write the key."""
        return compact_json([self.stream, "book", self.edition]).encode()


_STREAM: Final = re.compile(r"[^:]+:[1-9][0-9]{0,8}")
_KEY: Final[TypeAdapter[tuple[str, int, str] | tuple[str, str, int]]] = TypeAdapter(
    tuple[str, int, str] | tuple[str, str, int], config=ConfigDict(strict=True)
)


def read_key(key: bytes | None) -> PositionKey | EditionKey | None:
    """Read a key of ``usage.positions``; None for what is none: it was written by nobody that this version knows."""
    try:
        stream, second, third = _KEY.validate_json(key or b"")
    except ValidationError:
        return None
    if not _STREAM.fullmatch(stream):
        return None
    if isinstance(second, int):
        return PositionKey(stream, second, str(third))
    return EditionKey(stream, int(third)) if second == "book" else None
