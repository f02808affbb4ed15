"""What do the bytes of a streamed answer say, piece by piece? Server-sent events, and the frames that AWS puts them in.

Only what is not complete yet is kept.

*Source*: WHATWG HTML, "Server-sent events" (a blank line ends an event; data lines are joined by newlines; of the line
ends that it allows, CR LF and LF are read, and nobody sends a lone CR); Amazon Transcribe's developer guide, "Event
stream encoding" (a frame: its length, the length of its headers, a checksum, headers, payload, a checksum).
"""

import json
from base64 import b64decode
from collections.abc import Iterator
from typing import Any, Final

__all__ = ["MAX_BYTES", "EventFrames", "EventLines"]

MAX_BYTES: Final = 64 * 1024 * 1024
"""More than this of one event, or of one body, is not waited for."""

_PRELUDE: Final = 12
_CHECKSUM: Final = 4


class EventLines:
    """Takes the pieces of an event stream and gives the JSON objects in it."""

    def __init__(self) -> None:
        self._begun: list[bytes] = []
        self._size = 0
        self._data: list[bytes] = []

    def feed(self, piece: bytes) -> Iterator[Any]:
        """Take a piece; give the data of each event that it completes.

        Raises ``ValueError`` where an event is no JSON, or far too long.
        """
        self._size += len(piece)
        if self._size > MAX_BYTES:
            raise ValueError(f"an event of a stream has more than {MAX_BYTES} bytes; it is not read")
        if b"\n" not in piece:
            self._begun.append(piece)
            return
        *lines, rest = b"".join((*self._begun, piece)).split(b"\n")
        self._begun, self._size = [rest], len(rest)
        for line in lines:
            yield from self._line(line.removesuffix(b"\r"))
        self._size += sum(map(len, self._data))

    def _line(self, line: bytes) -> Iterator[Any]:
        if line.startswith(b"data:"):
            self._data.append(line[5:].strip())
        elif not line and self._data:
            text = b"\n".join(self._data).decode()
            self._data = []
            if text.startswith("{"):
                yield json.loads(text)


class EventFrames:
    """Takes the pieces of an AWS event stream and gives the JSON objects in it."""

    def __init__(self) -> None:
        self._bytes = bytearray()

    def feed(self, piece: bytes) -> Iterator[Any]:
        """Take a piece; give the event of each frame that it completes.

        Raises ``ValueError`` where a frame holds no such event, or is far too long.
        """
        self._bytes += piece
        while len(self._bytes) >= _PRELUDE:
            length = int.from_bytes(self._bytes[:4])
            begin = _PRELUDE + int.from_bytes(self._bytes[4:8])
            if not begin + _CHECKSUM <= length <= MAX_BYTES:
                raise ValueError(f"a frame of {length} bytes cannot be one of an event stream")
            if len(self._bytes) < length:
                return
            payload = json.loads(self._bytes[begin : length - _CHECKSUM])
            del self._bytes[:length]
            if "bytes" in payload:
                yield json.loads(b64decode(payload["bytes"]))
