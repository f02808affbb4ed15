"""How do events get in from a pipe? JSON lines on standard input, each the fields of one event."""

from collections.abc import Callable, Iterator
from io import BufferedReader
from typing import Any, Final

import orjson

from spendgauge.deploy.replay.batches import Problem
from spendgauge.producers import BulkSource
from spendgauge.producers.timely import untimely

__all__ = ["send_lines"]

_BLOCK_BYTES: Final = 256 * 1024


def send_lines(stream: BufferedReader, source: BulkSource, *, now_ms: Callable[[], int]) -> Iterator[Problem]:
    """Send each line as soon as it has come; yield those that are no events, or would be rejected for their time."""
    before = 0
    for lines in _arriving(stream):
        read = {number: _object(line, now_ms()) for number, line in enumerate(lines, start=before + 1) if line.strip()}
        rows = {number: row for number, row in read.items() if isinstance(row, dict)}
        refused = source.write(rows.values())
        numbers = list(rows)
        problems = {number: why for number, why in read.items() if isinstance(why, str)}
        problems |= {numbers[row.index]: row.reason for row in refused}
        yield from (Problem(number, problems[number]) for number in sorted(problems))
        before += len(lines)


def _arriving(stream: BufferedReader) -> Iterator[list[bytes]]:
    """Yield the whole lines that are there, as often as there are any."""
    rest = b""
    while block := stream.read1(_BLOCK_BYTES):
        *lines, rest = (rest + block).split(b"\n")
        if lines:
            yield lines
    if rest:
        yield [rest]


def _object(line: bytes, now_ms: int) -> dict[str, Any] | str:
    """Read a JSON object, or say why it is none."""
    try:
        value = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        return f"it is not JSON: {error}"
    if not isinstance(value, dict):
        return "it is not a JSON object"
    return untimely(value.get("occurred_at"), now_ms) or value
