"""How are bodies packed and unpacked? The content encodings that ClickHouse's HTTP interface knows."""

import bz2
import lzma
import sys
import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final, Protocol

import cramjam
import lz4.frame  # type: ignore[import-untyped]  # publishes no types

from spendgauge.deploy.store.protocol import StoreError

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

__all__ = ["Unpacker", "negotiate", "pack"]

_STEP_BYTES: Final = 1 << 16
"""So much packed input is unpacked before the limit is checked again."""

_BAD_INPUT: Final = (zlib.error, lzma.LZMAError, zstd.ZstdError, OSError, RuntimeError, cramjam.DecompressionError)


class _Reader(Protocol):
    eof: bool
    unused_data: bytes | None

    def decompress(self, data: bytes) -> bytes: ...


class _Plain:
    """Passes on what comes."""

    eof = False
    unused_data = b""

    def decompress(self, data: bytes) -> bytes:
        return data


class _Brotli:
    """Keeps all until the end: there is no incremental reader here."""

    eof = False
    unused_data = b""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def decompress(self, data: bytes) -> bytes:
        self._parts.append(data)
        return b""

    def finish(self) -> bytes:
        return bytes(cramjam.brotli.decompress(b"".join(self._parts)))


def _gunzip() -> Any:
    return zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)


_READERS: Final[dict[str, Callable[[], Any]]] = {
    "": _Plain,
    "identity": _Plain,
    "gzip": _gunzip,
    "x-gzip": _gunzip,
    "deflate": zlib.decompressobj,
    "lz4": lz4.frame.LZ4FrameDecompressor,
    "zstd": zstd.ZstdDecompressor,
    "xz": lzma.LZMADecompressor,
    "bz2": bz2.BZ2Decompressor,
    "br": _Brotli,
}


class Unpacker:
    """Unpacks one body, piece by piece, and refuses to grow beyond a limit."""

    def __init__(self, encoding: str, *, limit_bytes: int) -> None:
        """Unpack a ``Content-Encoding``. Raises ``StoreError`` for one that is not known."""
        if encoding not in _READERS:
            known = ", ".join(name for name in _READERS if name)
            raise StoreError(48, f"the Content-Encoding {encoding!r} is not known; use one of {known}")
        self._encoding = encoding
        self._make = _READERS[encoding]
        self._reader: _Reader = self._make()
        self._limit_bytes = limit_bytes
        self._fed = self._size = 0

    def feed(self, data: bytes) -> bytes:
        """Give what this piece unpacks to. Raises ``StoreError`` where it is broken, or too much."""
        self._fed += len(data)
        return b"".join(self._unpack(data[at : at + _STEP_BYTES]) for at in range(0, len(data), _STEP_BYTES))

    def finish(self) -> bytes:
        """Give what is left. Raises ``StoreError`` where the body ends in the middle."""
        if isinstance(self._reader, _Brotli):
            return self._counted(self._guarded(self._reader.finish)) if self._fed else b""
        if self._fed and not self._reader.eof and not isinstance(self._reader, _Plain):
            raise StoreError(271, f"the body ends in the middle of its {self._encoding} stream")
        return b""

    def _unpack(self, data: bytes) -> bytes:
        out = []
        while data:
            if self._reader.eof:
                self._reader = self._make()  # a body may be several streams, one behind the other
            out.append(self._counted(self._guarded(self._reader.decompress, data)))
            data = (self._reader.unused_data or b"") if self._reader.eof else b""
        return b"".join(out)

    def _guarded(self, step: Callable[..., bytes], *data: bytes) -> bytes:
        try:
            return step(*data)
        except _BAD_INPUT as error:
            raise StoreError(271, f"the body is not valid {self._encoding}: {error}") from None

    def _counted(self, data: bytes) -> bytes:
        self._size += len(data)
        if self._size > self._limit_bytes:
            raise StoreError(307, f"the body is larger than {self._limit_bytes} bytes; send it in several requests")
        return data


def negotiate(accepted: str) -> str:
    """Choose the response's encoding from ``Accept-Encoding``: the cheapest that is accepted, or none."""
    wanted = {name.strip().lower() for name, _, q in _accepted(accepted) if q.replace(" ", "") not in ("q=0", "q=0.0")}
    return next((name for name in _WRITERS if name in wanted), "")


def pack(chunks: Iterable[bytes], encoding: str) -> Iterator[bytes]:
    """Pack pieces as they come; an empty encoding changes nothing."""
    if not encoding:
        yield from chunks
        return
    writer = _WRITERS[encoding]()
    for chunk in chunks:
        if packed := writer.compress(chunk):
            yield packed
    yield writer.flush()


def _accepted(header: str) -> Iterator[tuple[str, str, str]]:
    return (part.partition(";") for part in header.split(","))


class _Writer(Protocol):
    def compress(self, data: bytes, /) -> bytes: ...

    def flush(self) -> bytes: ...


class _Lz4Writer:
    """Begins its frame with the first piece."""

    def __init__(self) -> None:
        self._compressor = lz4.frame.LZ4FrameCompressor()
        self._begun = False

    def compress(self, data: bytes, /) -> bytes:
        begin = b"" if self._begun else self._compressor.begin()
        self._begun = True
        return bytes(begin + self._compressor.compress(data))

    def flush(self) -> bytes:
        return bytes(self.compress(b"") + self._compressor.flush())


class _BrotliWriter:
    def __init__(self) -> None:
        self._compressor = cramjam.brotli.Compressor(4)

    def compress(self, data: bytes, /) -> bytes:
        self._compressor.compress(data)
        return bytes(self._compressor.flush())

    def flush(self) -> bytes:
        return bytes(self._compressor.finish())


_WRITERS: Final[dict[str, Callable[[], _Writer]]] = {
    "lz4": _Lz4Writer,
    "zstd": lambda: zstd.ZstdCompressor(level=1),
    "gzip": lambda: zlib.compressobj(1, wbits=zlib.MAX_WBITS | 16),
    "deflate": lambda: zlib.compressobj(1),
    "br": _BrotliWriter,
}
