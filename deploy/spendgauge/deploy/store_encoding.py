"""How are bodies packed and unpacked? The content encodings that ClickHouse's HTTP interface knows."""

import bz2
import lzma
import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final, Protocol

import cramjam
import lz4.frame
from backports import zstd

from spendgauge.deploy.store_protocol import StoreError

__all__ = ["Unpacker", "negotiate", "pack"]

_STEP: Final = 1 << 16


class _Whole:
    """Unpacks at the end; for brotli, which has no incremental reader here."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self.eof = False

    def decompress(self, data: bytes) -> bytes:
        self._parts.append(data)
        return b""

    def finish(self) -> bytes:
        return bytes(cramjam.brotli.decompress(b"".join(self._parts)))


_READERS: Final[dict[str, Callable[[], Any]]] = {
    "gzip": lambda: zlib.decompressobj(wbits=zlib.MAX_WBITS | 16),
    "x-gzip": lambda: zlib.decompressobj(wbits=zlib.MAX_WBITS | 16),
    "deflate": zlib.decompressobj,
    "lz4": lz4.frame.LZ4FrameDecompressor,
    "zstd": zstd.ZstdDecompressor,
    "xz": lzma.LZMADecompressor,
    "bz2": bz2.BZ2Decompressor,
    "br": _Whole,
}


class Unpacker:
    """Unpacks one body, piece by piece, and refuses to grow beyond a limit."""

    def __init__(self, encoding: str, *, limit_bytes: int) -> None:
        self._encoding = encoding
        self._make = None if encoding in ("", "identity") else _READERS.get(encoding)
        if self._make is None and encoding not in ("", "identity"):
            raise StoreError(48, f"the Content-Encoding {encoding!r} is not known; use one of {', '.join(_READERS)}")
        self._reader = self._make() if self._make else None
        self._limit_bytes = limit_bytes
        self._size = 0

    def feed(self, data: bytes) -> bytes:
        """Give what this piece unpacks to."""
        if self._reader is None:
            return self._counted(data)
        return b"".join(self._unpacked(data[at : at + _STEP]) for at in range(0, len(data), _STEP))

    def finish(self) -> bytes:
        """Give what is left. Raises ``StoreError`` where the body ends in the middle."""
        if self._reader is None:
            return b""
        if isinstance(self._reader, _Whole):
            return self._counted(self._guarded(self._reader.finish))
        if not self._reader.eof and self._size:
            raise StoreError(271, f"the body ends in the middle of its {self._encoding} stream")
        return b""

    def _unpacked(self, data: bytes) -> bytes:
        out = []
        while data:
            if self._reader.eof and self._make:
                self._reader = self._make()  # a stream may be several, one behind the other
            out.append(self._counted(self._guarded(self._reader.decompress, data)))
            data = (
                (self._reader.unused_data or b"") if self._reader.eof and not isinstance(self._reader, _Whole) else b""
            )
        return b"".join(out)

    def _guarded(self, step: Callable[..., bytes], *data: bytes) -> bytes:
        try:
            return step(*data)
        except (
            zlib.error,
            lzma.LZMAError,
            zstd.ZstdError,
            OSError,
            RuntimeError,
            EOFError,
            cramjam.DecompressionError,
        ) as error:
            raise StoreError(271, f"the body is not valid {self._encoding}: {error}") from None

    def _counted(self, data: bytes) -> bytes:
        self._size += len(data)
        if self._size > self._limit_bytes:
            raise StoreError(307, f"the body is larger than {self._limit_bytes} bytes; send it in several requests")
        return data


def negotiate(accepted: str) -> str:
    """Choose the response's encoding from ``Accept-Encoding``: the cheapest that is accepted, or none."""
    names = {
        part.split(";")[0].strip().lower()
        for part in accepted.split(",")
        if "q=0" not in part.replace(" ", "").split(";")[1:]
    }
    return next((name for name in _WRITERS if name in names), "")


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


class _Writer(Protocol):
    def compress(self, data: bytes) -> bytes: ...

    def flush(self) -> bytes: ...


class _Lz4Writer:
    """Begins its frame with the first piece."""

    def __init__(self) -> None:
        self._compressor = lz4.frame.LZ4FrameCompressor()
        self._begun = False

    def compress(self, data: bytes) -> bytes:
        begin = b"" if self._begun else self._compressor.begin()
        self._begun = True
        return bytes(begin + self._compressor.compress(data))

    def flush(self) -> bytes:
        return bytes(self.compress(b"") + self._compressor.flush())


class _BrotliWriter:
    def __init__(self) -> None:
        self._compressor = cramjam.brotli.Compressor(4)

    def compress(self, data: bytes) -> bytes:
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
