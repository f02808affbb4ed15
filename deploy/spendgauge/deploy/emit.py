"""How do events get in from a pipe? JSON lines on standard input, each the fields of one event."""

from collections.abc import Iterator
from io import BufferedReader
from typing import Any, Final

import orjson

from spendgauge.deploy.replay_batches import Problem
from spendgauge.producers import BulkSource

__all__ = ["send_lines"]

_BLOCK_BYTES: Final = 256 * 1024


def send_lines(stream: BufferedReader, source: BulkSource) -> Iterator[Problem]:
    """Send each line as soon as it has come; yield those that are no events."""
    before = 0
    for lines in _arriving(stream):
        read = {number: _object(line) for number, line in enumerate(lines, start=before + 1) if line.strip()}
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


def _object(line: bytes) -> dict[str, Any] | str:
    """Read a JSON object, or say why it is none."""
    try:
        value = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        return f"it is not JSON: {error}"
    return value if isinstance(value, dict) else "it is not a JSON object"
