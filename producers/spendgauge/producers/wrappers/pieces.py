"""How is the body of an answer seen as it passes, without being held up, changed or kept?

Between the HTTP library's own stream and its response stands one that hands on each piece as it comes. A response takes
only streams of its own library's kind, so the class is made for the library that the client has.
"""

import sys
from collections.abc import AsyncIterator, Iterator
from functools import cache
from typing import Any

from spendgauge.producers.wrappers.attempts import Attempt

__all__ = ["see_pieces"]


def see_pieces(response: Any, attempt: Attempt, *, library: str, asynchronous: bool) -> None:
    """Let an attempt see the body of a response that was not read yet."""
    response.stream = _kind(library, asynchronous)(response.stream, attempt, _decoder(response))


class _Seen:
    """A stream within a stream; what it is asked beyond being one is the inner one's affair."""

    def __init__(self, inner: Any, attempt: Attempt, decoder: Any) -> None:
        self._inner = inner
        self._attempt = attempt
        self._decoder = decoder

    def __getattr__(self, name: str) -> Any:
        """Ask the inner stream, as the library does for the time that has passed."""
        if name in ("_inner", "_attempt", "_decoder"):
            raise AttributeError(name)  # half made: there is nobody to ask
        return getattr(self._inner, name)

    def __del__(self) -> None:
        """Note that nobody reads on: an answer that was dropped is never closed."""
        if "_attempt" in self.__dict__:
            self._attempt.broke(None)

    def _see(self, piece: bytes) -> None:
        if self._decoder is None:
            self._attempt.saw(piece)
            return
        try:
            decoded = self._decoder.decode(piece)
            for part in (decoded,) if isinstance(decoded, bytes) else decoded:  # httpx; httpx2
                self._attempt.saw(part)
        except Exception as error:  # noqa: BLE001 - the caller hears of it when it decodes the piece itself
            self._attempt.lost_sight(error)


class _SeenPieces(_Seen):
    def __iter__(self) -> Iterator[bytes]:
        try:
            for piece in self._inner:
                self._see(piece)
                yield piece
        except BaseException as error:
            self._attempt.broke(error)
            raise
        self._attempt.ended()

    def close(self) -> None:
        """Close the inner stream; what was not read by now never will be."""
        try:
            self._inner.close()
        finally:
            self._attempt.broke(None)


class _SeenPiecesAsync(_Seen):
    async def __aiter__(self) -> AsyncIterator[bytes]:
        pieces = self._inner.__aiter__()
        try:
            async for piece in pieces:
                self._see(piece)
                yield piece
        except BaseException as error:
            self._attempt.broke(error)
            raise
        finally:
            close = getattr(pieces, "aclose", None)
            if close is not None:
                await close()
        self._attempt.ended()

    async def aclose(self) -> None:
        """Close the inner stream; what was not read by now never will be."""
        try:
            await self._inner.aclose()
        finally:
            self._attempt.broke(None)


@cache
def _kind(library: str, asynchronous: bool) -> type[_Seen]:
    """Make the class for one HTTP library (httpx or httpx2)."""
    base = getattr(sys.modules[library], "AsyncByteStream" if asynchronous else "SyncByteStream")
    seen = _SeenPiecesAsync if asynchronous else _SeenPieces
    return type(seen.__name__, (seen, base), {})


def _decoder(response: Any) -> Any:
    """Get what undoes the compression of a response; None where there is none.

    The library keeps its decoders to itself but for this method, and the response needs its own one.
    """
    encodings = response.headers.get("content-encoding", "identity")
    if encodings == "identity":
        return None
    return type(response)(200, headers={"content-encoding": encodings})._get_content_decoder()
