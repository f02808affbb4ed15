"""What did the body of an answer say that it used? Read while it passes to the caller, streamed or whole."""

import json
from dataclasses import dataclass
from typing import Any, Protocol

from spendgauge.producers.adapters import EventFields
from spendgauge.producers.adapters.leaves import who
from spendgauge.producers.adapters.reading import field, identifier
from spendgauge.producers.wrappers.calls import Api, Stream
from spendgauge.producers.wrappers.characters import characters_in
from spendgauge.producers.wrappers.lines import MAX_BYTES, EventFrames, EventLines

__all__ = ["BodyReader", "Reader", "Reading", "StreamReader"]


@dataclass(frozen=True, slots=True)
class Reading:
    """What a body said, so far."""

    events: list[EventFields]
    about: EventFields
    """Who answered, for an event that has to be estimated."""
    characters: int
    """How much text came, where there is no event that counts it."""
    complete: bool
    error_type: str = ""


class Reader(Protocol):
    """Takes the pieces of a body."""

    @property
    def characters(self) -> int:
        """How much text has come, as far as that is known before the end."""

    def feed(self, piece: bytes) -> None:
        """Take a piece."""

    def reading(self) -> Reading:
        """Say what came."""


class StreamReader:
    """Reads the events of a stream; no text is kept beyond the event that is being read."""

    def __init__(self, stream: Stream, lines: EventLines | EventFrames) -> None:
        self._stream = stream
        self._lines = lines

    @property
    def characters(self) -> int:
        """How many characters the model has said."""
        return self._stream.characters

    def feed(self, piece: bytes) -> None:
        """Take a piece; raises ``ValueError`` where it is no stream of JSON events."""
        for event in self._lines.feed(piece):
            self._stream.add(event)

    def reading(self) -> Reading:
        """Say what came."""
        stream = self._stream
        return Reading(stream.events(), stream.about, stream.characters, stream.complete)


class BodyReader:
    """Reads a whole answer, when all of it has come."""

    characters = 0

    def __init__(self, api: Api, *, provider: str, request_model: str) -> None:
        self._api = api
        self._named = {"provider": provider, "request_model": request_model}
        self._pieces: list[bytes] = []
        self._size = 0

    def feed(self, piece: bytes) -> None:
        """Take a piece; raises ``ValueError`` where it is too much."""
        self._size += len(piece)
        if self._size > MAX_BYTES:
            self._pieces.clear()
            raise ValueError(f"a body has more than {MAX_BYTES} bytes; it is not read")
        self._pieces.append(piece)

    def reading(self) -> Reading:
        """Say what came; JSON that was cut counts by its length."""
        content = b"".join(self._pieces)
        body = _parsed(content)
        named = who(self._named["provider"], field(body, "model"), self._named["request_model"])
        about = named | {"response_id": identifier(field(body, "id"))}
        events = self._api.read(body, **self._named)
        error_type = identifier(field(body, "error", "code")) or identifier(field(body, "error", "type"))
        if body is None:
            return Reading(events, about, len(content) if content.startswith(b"{") else 0, complete=False)
        return Reading(events, about, 0 if events else characters_in(body), complete=True, error_type=error_type)


def _parsed(content: bytes) -> Any:
    """Parse a body; None where it is no JSON object."""
    try:
        body = json.loads(_without_array(content))
    except (ValueError, RecursionError):
        return None
    return body if isinstance(body, dict) else None


def _without_array(content: bytes) -> bytes:
    """Leave the vectors out of a list of embeddings, which are all of it but a few bytes."""
    head, found, rest = content.partition(b"[")
    if found and b'"list"' in head and b'"data"' in head:
        return head + b"[]" + rest[rest.rfind(b"]") + 1 :]
    return content
