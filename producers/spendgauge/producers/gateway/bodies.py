"""How is a body read? Within limits: of its bytes as sent, and of those that it unpacks to."""

import zlib
from typing import Final

from starlette.requests import ClientDisconnect, Request

from spendgauge.producers.gateway.replies import RefusedError

__all__ = ["read_body"]

_GZIP: Final = 16 + zlib.MAX_WBITS


async def read_body(request: Request, *, most: int, most_unpacked: int) -> bytes:
    """Read a body, plain or gzip. Raises ``RefusedError`` as soon as it is known to be too large, or is no gzip."""
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("identity", "gzip"):
        raise RefusedError(415, "the content-encoding must be gzip, or left out")
    body = await _read(request, most)
    return body if encoding == "identity" else _unpacked(body, most_unpacked)


async def _read(request: Request, most: int) -> bytes:
    parts, size = [], 0
    try:
        async for part in request.stream():
            size += len(part)
            if size > most:
                raise RefusedError(413, f"a body may have {most} bytes; send fewer events at a time")
            parts.append(part)
    except ClientDisconnect:
        raise RefusedError(400, "the connection ended before the body did") from None
    return b"".join(parts)


def _unpacked(body: bytes, most: int) -> bytes:
    """Unpack one gzip member, no further than the limit."""
    unpacker = zlib.decompressobj(_GZIP)
    try:
        plain = unpacker.decompress(body, most + 1)
    except zlib.error:
        raise RefusedError(400, "the body is not gzip, though its content-encoding says so") from None
    if len(plain) > most:
        raise RefusedError(413, f"a body may have {most} bytes when it is unpacked; send fewer events at a time")
    if not unpacker.eof or unpacker.unused_data:
        raise RefusedError(400, "the gzip of the body ends too early, or something follows it")
    return plain
