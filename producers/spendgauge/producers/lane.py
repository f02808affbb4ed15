"""How do events become records? One by one: validated, numbered, written as lines, packed.

Pure: no clock, no thread, no broker. An invalid event uses up no ``seq``; a lost one does, so that the gap shows it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from json import dumps
from typing import Any, Final

from pydantic import ValidationError

from spendgauge.producers.invalid import InvalidEventError, reason_for
from spendgauge.producers.pseudonyms import Pseudonyms
from spendgauge.producers.shorthand import Shorthand
from spendgauge.schemas import UsageEvent
from spendgauge.schemas.ends import END_SCHEMA, SourceEnd
from spendgauge.schemas.events import MAX_EVENT_BYTES
from spendgauge.schemas.fields import EARLIEST, LATEST
from spendgauge.schemas.lines import event_line
from spendgauge.schemas.moments import milliseconds_of, utc_time

__all__ = ["Draft", "Lane", "Record", "end_line"]

_EARLIEST_MS: Final = milliseconds_of(EARLIEST)
_LATEST_MS: Final = milliseconds_of(LATEST) - 1
_validate: Final[Callable[[dict[str, Any]], UsageEvent]] = UsageEvent.__pydantic_validator__.validate_python


@dataclass(frozen=True, slots=True)
class Record:
    """Consecutive events of one source, ready for Kafka; or its end, which is no event."""

    source: bytes
    first_seq: int
    last_seq: int
    events: int
    value: bytes
    on_settled: Callable[[], None] | None = None
    """Called when it is acknowledged or refused, where a spool holds it."""
    adopted: bool = False
    """Whether another process has emitted it."""


Draft = tuple[str, int, Mapping[str, Any]]
"""An event as the caller gave it: its id, when it came (ms since 1970 UTC), its fields."""


class Lane:
    """Numbers the events of one source and packs them, in order; ``on_line`` is told each line that was accepted."""

    def __init__(
        self,
        source: str,
        *,
        defaults: Mapping[str, Any],
        max_events: int,
        max_bytes: int,
        pseudonyms: Pseudonyms | None = None,
        on_line: Callable[[bytes], None] | None = None,
    ) -> None:
        self.source = source
        self.on_line = on_line or _nobody_counts
        self.next_seq = 0
        self._defaults = dict(defaults)
        self._pseudonyms = pseudonyms
        self._max_events = max_events
        self._max_bytes = max_bytes
        self._source_bytes = source.encode()
        self._source_text = dumps(source, ensure_ascii=False)
        self._source_json = self._source_text.encode()
        self._shorthand = Shorthand(frozenset(self._defaults))
        self._lines: list[bytes] = []
        self._bytes = 0
        self._first_seq = self._last_seq = self._told = 0

    @property
    def full(self) -> bool:
        """Whether the open record should leave before another event is added."""
        return len(self._lines) >= self._max_events or self._bytes >= self._max_bytes

    def event(self, draft: Draft) -> UsageEvent:
        """Validate a draft as the source's next event, without adding it.

        A field that is None counts as not given, as SDKs report counts they do not know.
        Raises ``InvalidEventError``.
        """
        event_id, now_ms, fields = draft
        if "source" in fields or "seq" in fields:
            raise InvalidEventError("source and seq are given by the producer; leave them out")
        values = self._defaults | {name: value for name, value in fields.items() if value is not None}
        values.setdefault("event_id", event_id)
        if "occurred_at" not in values:
            values["occurred_at"] = utc_time(now_ms)
        values["source"] = self.source
        values["seq"] = self.next_seq
        if self._pseudonyms is not None:
            self._pseudonyms.replace(values)
        try:
            return _validate(values)
        except ValidationError as error:
            raise InvalidEventError(reason_for(error)) from None

    def keep(self, draft: Draft) -> UsageEvent:
        """Validate a draft as the source's next event and use up its ``seq``, for those who do not send it.

        Raises ``InvalidEventError``; then nothing has changed.
        """
        event = self.event(draft)
        _line(event)
        self.skip(1)
        return event

    def add(self, draft: Draft) -> None:
        """Validate a draft, give it the next ``seq`` and put it into the open record.

        Raises ``InvalidEventError``; then nothing has changed.
        """
        self._append(self.line(draft))

    def line(self, draft: Draft) -> bytes:
        """Write a draft as the source's next event; ``skip(1)`` then makes its ``seq`` used.

        Raises ``InvalidEventError``.
        """
        event_id, now_ms, fields = draft
        values = {**self._defaults, **fields}
        if self._pseudonyms is not None:
            self._pseudonyms.replace(values)
        line = self._shorthand.line(
            values, event_id=event_id, source_json=self._source_text, seq=self.next_seq, now_ms=now_ms
        )
        return _line(self.event(draft)) if line is None else line

    def add_line(self, line: bytes) -> None:
        """Give a JSON object that the caller vouches for its ``source`` and ``seq``, and put it into the open record.

        Raises ``InvalidEventError`` where it cannot be one line of a record.
        """
        if not line.startswith(b'{"') or b"\n" in line:
            raise InvalidEventError(f'{line[:40]!r} is not one line that begins with {{"')
        whole = b'{"source":%b,"seq":%d,%b' % (self._source_json, self.next_seq, line[1:])
        if len(whole) > MAX_EVENT_BYTES:
            raise InvalidEventError(f"the event has {len(whole)} bytes, and at most {MAX_EVENT_BYTES} are accepted")
        self._append(whole)

    def skip(self, count: int) -> None:
        """Use up numbers for events that are lost or went another way."""
        self.next_seq += count

    def take(self) -> Record | None:
        """Close the open record and hand it over; None where it has no events."""
        lines = self._lines
        if not lines:
            return None
        record = Record(self._source_bytes, self._first_seq, self._last_seq, len(lines), b"\n".join(lines))
        self._lines = []
        self._bytes = 0
        return record

    def end(self, now_ms: int) -> Record | None:
        """Say which number comes next, to be sent behind all events; None where nobody needs to be told (again)."""
        if self._told == self.next_seq:
            return None
        self._told = self.next_seq
        line = end_line(self._source_bytes, self.next_seq, now_ms=now_ms)
        return Record(self._source_bytes, self.next_seq, self.next_seq, 0, line)

    def _append(self, line: bytes) -> None:
        if not self._lines:
            self._first_seq = self.next_seq
        self._lines.append(line)
        self._bytes += len(line) + 1
        self._last_seq = self.next_seq
        self.next_seq += 1
        self.on_line(line)


def end_line(source: bytes, next_seq: int, *, now_ms: int) -> bytes:
    """Write the end of a source that has used all numbers below ``next_seq``, as one line.

    A clock beyond what the schema holds must not cost the end: the nearest time that it holds stands in it.
    """
    closed_at = utc_time(min(max(now_ms, _EARLIEST_MS), _LATEST_MS))
    end = SourceEnd(schema=END_SCHEMA, source=source.decode(), next_seq=next_seq, closed_at=closed_at)
    return end.model_dump_json().encode()


def _nobody_counts(line: bytes) -> None:
    """Where nobody asks for totals."""


def _line(event: UsageEvent) -> bytes:
    try:
        return event_line(event)
    except ValueError as error:
        raise InvalidEventError(str(error)) from None
