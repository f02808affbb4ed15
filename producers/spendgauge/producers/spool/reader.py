"""What of a spool is still to be sent, and what of it may be forgotten?

Read by the producer's thread: a chunk of bytes at a time, packed into records. A chunk is done when all its records are
settled; the mark moves on over chunks that are done, in order, so it never leads. Of a dead process that could not say
itself how far its sources got, it says how far its log proves it.
"""

import errno
from collections import deque
from dataclasses import dataclass, field
from typing import Final

from spendgauge.producers.lane import Record, end_line
from spendgauge.producers.spool.directory import Mark
from spendgauge.producers.spool.frames import Origin, origin, unframe
from spendgauge.producers.spool.log import Log
from spendgauge.producers.spool.segment import Segment
from spendgauge.schemas import Clock

__all__ = ["Reader"]

_CHUNK_BYTES: Final = 256 * 1024

_MAY_PASS: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EACCES})
"""Why a file may be unreadable now and readable later; for other reasons it is given up."""


@dataclass(slots=True)
class _Chunk:
    end: Mark
    end_bytes: int
    open_records: int


@dataclass(slots=True)
class _Parcel:
    """Lines of one source that will share a record: events, or its end alone."""

    source: bytes
    is_end: bool = False
    lines: list[bytes] = field(default_factory=list)
    seqs: list[int] = field(default_factory=list)
    size_bytes: int = 0


class Reader:
    """Hands out a log's events as records, each source in the order of its ``seq``."""

    def __init__(self, log: Log, *, adopted: bool, max_events: int, max_bytes: int, clock: Clock) -> None:
        self.log = log
        self.mark = self._end = log.start
        self.handed_events = self.settled_events = self.damaged = self.untold = 0
        self.done_bytes = self._read_bytes = 0
        self.trouble = ""
        self.stuck = False
        self._adopted = adopted
        self._max_events = max_events
        self._max_bytes = max_bytes
        self._clock = clock
        self._reached: dict[bytes, int] = {}
        self._ended: dict[bytes, int] = {}
        self._segment: Segment | None = None
        self._offset = 0
        self._ready: deque[Record] = deque()
        self._chunks: deque[_Chunk] = deque()

    def next(self) -> Record | None:
        """Take the next record; None where all that was written is handed out."""
        while not self._ready:
            if not self._load():
                return None
        record = self._ready.popleft()
        self.handed_events += record.events
        return record

    @property
    def finished(self) -> bool:
        """Whether everything that was written is settled."""
        return not (self._ready or self._chunks or self._load() or self.stuck)

    def behind(self, written_bytes: int) -> bool:
        """Say whether some of what was written is not handed out."""
        return bool(self._ready) or self._read_bytes < written_bytes

    def _load(self) -> bool:
        """Read the next chunk; say whether there was one."""
        segment = self._present()
        if segment is None:
            return False
        try:
            data, self.stuck = segment.read(self._offset, _CHUNK_BYTES), False
        except OSError as error:
            data, self.stuck, self.trouble = b"", error.errno in _MAY_PASS, str(error)
        if self.stuck:
            return False
        if not data:  # the disk does not give back what is there
            self._move(segment, segment.size)
            self._keep([], 1)
            return True
        lines = unframe(data, final=self._offset + len(data) >= segment.size)
        self._move(segment, self._offset + lines.used)
        self._keep(lines.whole, lines.damaged)
        return True

    def _move(self, segment: Segment, offset: int) -> None:
        self._read_bytes += offset - self._offset
        self._offset = offset
        self._end = Mark(segment.number, offset)

    def _present(self) -> Segment | None:
        """Find the segment that has something to read, passing over those that end here."""
        if self._segment is None:
            if not self.log.segments:
                return None
            self._enter(self.log.segments[0])
        while self._segment is not None:
            sealed = self._segment is not self.log.segments[-1]  # asked first: it may be written to until it is
            if self._offset < self._segment.size:
                return self._segment
            if not sealed:
                return None
            number = self._segment.number
            self._segment.leave()
            self._enter(next(segment for segment in tuple(self.log.segments) if segment.number > number))
        return None

    def _enter(self, segment: Segment) -> None:
        self._segment = segment
        self._offset = self.log.start.offset if segment.number == self.log.start.number else 0

    def _keep(self, lines: list[bytes], damaged: int) -> None:
        parcels: dict[bytes, _Parcel] = {}
        packed: list[_Parcel] = []
        for line in lines:
            found = origin(line)
            if found is None:
                damaged += 1
                continue
            parcel = parcels.get(found.source)
            if parcel is None or found.is_end or self._full(parcel):
                parcel = parcels[found.source] = _Parcel(found.source, found.is_end)
                packed.append(parcel)
            parcel.lines.append(line)
            parcel.seqs.append(found.seq)
            parcel.size_bytes += len(line) + 1
            if self._adopted:
                self._follow(found)
        self.damaged += damaged
        self.untold += damaged
        if self._adopted and self._present() is None:
            packed += self._ends()
        chunk = _Chunk(self._end, self._read_bytes, len(packed))
        self._chunks.append(chunk)
        self._ready.extend(self._record(parcel, chunk) for parcel in packed)
        self._advance()

    def _full(self, parcel: _Parcel) -> bool:
        return parcel.is_end or len(parcel.lines) >= self._max_events or parcel.size_bytes >= self._max_bytes

    def _follow(self, found: Origin) -> None:
        if found.is_end:
            self._ended[found.source] = found.seq
        else:
            self._reached[found.source] = max(found.seq + 1, self._reached.get(found.source, 0))

    def _ends(self) -> list[_Parcel]:
        """End each source that its process did not end; what it used beyond the log nobody knows any more."""
        now_ms = self._clock.now_ms()
        open_ = {name: seq for name, seq in self._reached.items() if seq > self._ended.get(name, 0)}
        return [_Parcel(name, True, [end_line(name, seq, now_ms=now_ms)], [seq]) for name, seq in open_.items()]

    def _record(self, parcel: _Parcel, chunk: _Chunk) -> Record:
        events = 0 if parcel.is_end else len(parcel.lines)

        def on_settled() -> None:
            self.settled_events += events
            chunk.open_records -= 1
            self._advance()

        return Record(
            parcel.source,
            parcel.seqs[0],
            parcel.seqs[-1],
            events,
            b"\n".join(parcel.lines),
            on_settled=on_settled,
            adopted=self._adopted,
        )

    def _advance(self) -> None:
        while self._chunks and not self._chunks[0].open_records:
            chunk = self._chunks.popleft()
            self.mark = chunk.end
            self.done_bytes = chunk.end_bytes
            self.log.forget_before(chunk.end.number)
