"""How does one request become one reply? Everything here runs in a worker thread; the server only passes bytes on."""

from collections.abc import Iterator
from itertools import chain
from typing import Final

from spendgauge.deploy.store.encoding import pack
from spendgauge.deploy.store.engine import Engine
from spendgauge.deploy.store.protocol import StoreError, StoreQuery, error_text

__all__ = ["Reply"]

_HOLD_BYTES: Final = 1 << 20
"""So much of a result is made before the status is sent: an error until then still gets a status of its own."""

_PACK_FROM_BYTES: Final = 512


class Reply:
    """The reply to one statement: whole where it is small or asked for whole, else in pieces."""

    def __init__(self, engine: Engine, query: StoreQuery, *, encoding: str, tag: str) -> None:
        """Run the statement until it is done or ``_HOLD_BYTES`` are made. Raises ``StoreError``."""
        self._tag = tag
        self._version = engine.version
        answer = engine.run(query)
        self.format = answer.format
        self.summary = answer.summary
        self.failed = False
        self._source = answer.chunks
        held, self.whole = self._hold()
        self.encoding = encoding if not self.whole or sum(map(len, held)) >= _PACK_FROM_BYTES else ""
        self._pieces = pack(held if self.whole else chain(held, self._rest()), self.encoding)

    def body(self) -> bytes:
        """Give the whole reply."""
        return b"".join(self._pieces)

    def next_piece(self) -> bytes | None:
        """Give the next piece, None after the last. An error in the middle is written into the reply's end."""
        return next(self._pieces, None)

    def close(self) -> None:
        """Stop the statement if it still runs, and free its handle."""
        close = getattr(self._source, "close", None)
        if close is not None:
            close()

    def _hold(self) -> tuple[list[bytes], bool]:
        held: list[bytes] = []
        size = 0
        for chunk in self._source:
            held.append(chunk)
            size += len(chunk)
            if size > _HOLD_BYTES:
                return held, False
        return held, True

    def _rest(self) -> Iterator[bytes]:
        """Give what follows; say an error as ClickHouse does since 25.11: between tags, at the very end."""
        try:
            yield from self._source
        except StoreError as error:
            self.failed = True
            text = error_text(error, self._version).encode()
            tag = self._tag.encode()
            yield b"\r\n__exception__\r\n%b\r\n%b\n%d %b\r\n__exception__\r\n" % (tag, text, len(text) + 1, tag)
