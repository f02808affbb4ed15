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
    numbered = 0
    for lines in _arriving(stream):
        rows: list[dict[str, Any]] = []
        numbers: list[int] = []
        for number, line in enumerate(lines, start=numbered + 1):
            if not line.strip():
                continue
            row = _object(line)
            if isinstance(row, str):
                yield Problem(number, row)
            else:
                rows.append(row)
                numbers.append(number)
        yield from (Problem(numbers[refused.index], refused.reason) for refused in source.write(rows))
        numbered += len(lines)


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
