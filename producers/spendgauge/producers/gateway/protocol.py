"""How long and how much may a connection send? uvicorn's HTTP protocol, with the limits that it lacks.

uvicorn has no deadline for headers or bodies: its keep-alive timeout stands between requests only, and starts anew with
each byte. So a sender that trickles would hold a connection for ever, and a middleware cannot help, since it runs when
the headers are complete. The laws here:

- whoever owes bytes of a request has ``read_seconds`` for all of them, from the first (or from connecting) on;
- headers that are not complete after ``_HEAD_BYTES`` are refused (431);
- a body that follows a refusal is read and thrown away up to ``body_bytes``, then the connection is cut;
- whoever does not read an answer for ``read_seconds`` is cut off;
- more than ``connections`` at a time are closed as they come.

Hypercorn and Granian were looked at: Granian bounds the headers only, Hypercorn each read but not the whole, and
neither lets these be added in so few lines.
"""

import asyncio
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from spendgauge.producers.gateway.settings import GatewaySettings

__all__ = ["bounded_protocol"]

_HEAD_BYTES: Final = 64 * 1024


def bounded_protocol(settings: GatewaySettings) -> type[asyncio.Protocol]:
    """Make the protocol class of a server with these limits."""

    class Bounded(_BoundedProtocol):
        limits = settings

    return Bounded


class _BoundedProtocol(HttpToolsProtocol):
    limits: GatewaySettings

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._deadline: asyncio.TimerHandle | None = None
        self._stuck: asyncio.TimerHandle | None = None
        self._head_bytes = self._discarded = 0
        self._in_head = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        if len(self.connections) > self.limits.gateway_connections:
            transport.abort()
        else:
            self._expect_more()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        self.resume_writing()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        if not self._answering:
            self._expect_more()
        was_in_head = self._in_head
        super().data_received(data)
        if was_in_head and self._in_head:
            self._head_bytes += len(data)
            if self._head_bytes > _HEAD_BYTES:
                self._refuse(b"431 Request Header Fields Too Large")

    def on_message_begin(self) -> None:
        self._head_bytes = self._discarded = 0
        self._in_head = True
        self._expect_more()
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._in_head = False
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        if self.cycle.response_complete:
            self._discarded += len(body)
            if self._discarded > self.limits.gateway_body_bytes:
                self.transport.abort()
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._stop_waiting()
        self._in_head = False
        super().on_message_complete()

    def pause_writing(self) -> None:
        if self._stuck is None:
            self._stuck = self.loop.call_later(self.limits.gateway_read_seconds, self.transport.abort)
        super().pause_writing()

    def resume_writing(self) -> None:
        if self._stuck is not None:
            self._stuck.cancel()
            self._stuck = None
        super().resume_writing()

    def timeout_keep_alive_handler(self) -> None:
        if self.transport.get_write_buffer_size():
            self.transport.abort()  # it would wait for ever for somebody to read the rest
        else:
            super().timeout_keep_alive_handler()

    @property
    def _answering(self) -> bool:
        """Whether a request came completely and is not answered yet."""
        return self.cycle is not None and not self.cycle.response_complete and not self.cycle.more_body

    def _expect_more(self) -> None:
        if self._deadline is None:
            self._deadline = self.loop.call_later(self.limits.gateway_read_seconds, self._on_deadline)

    def _stop_waiting(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _on_deadline(self) -> None:
        self._deadline = None
        if self._answering:  # a second request trickles in behind a first that is not answered yet
            self._expect_more()
        else:
            self._refuse(b"408 Request Timeout")

    def _refuse(self, status: bytes) -> None:
        """Say a last word, unless another answer has begun, and close."""
        self._stop_waiting()
        if self.transport.is_closing():
            return
        if self.cycle is None or self.cycle.response_complete or not self.cycle.response_started:
            self.transport.write(b"HTTP/1.1 %b\r\ncontent-length: 0\r\nconnection: close\r\n\r\n" % status)
        self.transport.close()
