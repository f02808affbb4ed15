"""What is kept of a partition, of all that its log holds? The last value of each key, written by who owned it then.

Whoever takes a partition of ``cost.watch`` over writes an *owner* record, whose term is one above the last. Each other
record bears its writer's term as a header; one that follows the owner record of a higher term was written by somebody
who slept and does not know it yet, and is **void**. So the order of the log alone decides who owns a partition, not
clocks or time-outs, and all who read it agree.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from spendgauge.streams.judging.judge import Entry
from spendgauge.streams.reading.loading import LogRecord

__all__ = ["TERM_HEADER", "Kept", "owner_entry", "read_log"]

TERM_HEADER: Final = "spendgauge-term"

_OWNER: Final = b'["owner"]'


@dataclass
class Kept:
    """What one partition holds."""

    term: int = 0
    """The last owner's; 0: there was none yet."""
    entries: dict[bytes, bytes] = field(default_factory=dict)
    spoiled: set[bytes] = field(default_factory=set)
    """The keys whose last record is void: compaction would keep that one alone."""

    @property
    def repairs(self) -> list[Entry]:
        """Say what must be written again before compaction removes it."""
        return [(key, self.entries.get(key)) for key in sorted(self.spoiled)]


def owner_entry(term: int) -> Entry:
    """Write that somebody takes a partition over."""
    return _OWNER, json.dumps({"term": term}).encode()


def read_log(records: Iterable[LogRecord]) -> Kept:
    """Read a partition's records, in the order of the log."""
    kept = Kept()
    for record in records:
        term = _term(record)
        if record.key == _OWNER:
            kept.term = max(kept.term, term)
        elif record.key is not None:
            _take_in(kept, record.key, record.value, void=term < kept.term)
    return kept


def _take_in(kept: Kept, key: bytes, value: bytes | None, *, void: bool) -> None:
    if void:
        kept.spoiled.add(key)
        return
    kept.spoiled.discard(key)
    if value is None:
        kept.entries.pop(key, None)
    else:
        kept.entries[key] = value


def _term(record: LogRecord) -> int:
    """Read a record's term; one without was written by nobody of ours."""
    text = dict(record.headers).get(TERM_HEADER) or b""
    return int(text) if text.isdigit() else -1
