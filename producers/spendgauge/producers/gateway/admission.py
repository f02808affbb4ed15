"""Who is turned away before a body is read? Who shows no key, sends too much, too fast, or comes when all is busy.

A no is one answer made of headers alone. The body that follows it is thrown away unread (``protocol`` bounds how much
and how long), so that a sender hears the answer instead of a broken connection.
"""

from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from spendgauge.producers.gateway.buckets import Buckets
from spendgauge.producers.gateway.figures import Figures
from spendgauge.producers.gateway.keys import Key, KeyFile
from spendgauge.producers.gateway.replies import RETRY_SECONDS, RefusedError, refusal_reply
from spendgauge.producers.gateway.settings import LOOPBACK, GatewaySettings
from spendgauge.schemas import Clock

__all__ = ["KEY", "Admission"]

KEY: Final = "spendgauge.key"
"""Where a request's scope holds its key; None where the gateway is open."""

_GUARDED: Final = ("/v1/", "/metrics")
_ROUTES: Final = ("/v1/usage", "/v1/traces", "/v1/quota/check", "/metrics", "/healthz", "/readyz", "/openapi.json")
_BEARER: Final = b"bearer "

_Headers = dict[bytes, bytes]


class Admission:
    """Stands before the application."""

    def __init__(
        self, app: ASGIApp, settings: GatewaySettings, *, keys: KeyFile | None, figures: Figures, clock: Clock
    ) -> None:
        self._app = app
        self._settings = settings
        self._keys = keys
        self._figures = figures
        self._requests = Buckets(settings.gateway_requests_per_second, clock.monotonic)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or answer it here."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        figures, path = self._figures, scope["path"]

        async def counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                figures.on_reply(path if path in _ROUTES else "other", message["status"])
            await send(message)

        headers: _Headers = dict(scope["headers"])
        try:
            if path.startswith(_GUARDED):
                scope[KEY] = self._admit(headers)
        except RefusedError as refusal:
            content_type = headers.get(b"content-type", b"").decode("latin-1")
            await refusal_reply(refusal, content_type)(scope, receive, counted)
            return
        figures.active += 1
        try:
            await self._app(scope, receive, counted)
        finally:
            figures.active -= 1

    def _admit(self, headers: _Headers) -> Key | None:
        """Give the sender's key. Raises ``RefusedError``."""
        key = self._key(headers)
        length = headers.get(b"content-length", b"0")
        if not length.isdigit() or int(length) > self._settings.gateway_body_bytes:
            raise RefusedError(
                413, f"a body may have {self._settings.gateway_body_bytes} bytes; send fewer events at a time"
            )
        wait = self._requests.take(key.name if key else None)
        if wait:
            raise RefusedError(429, "too many requests; put more events into each", retry_seconds=wait)
        if self._figures.active >= self._settings.gateway_concurrency:
            raise RefusedError(503, "too many requests are under way", retry_seconds=RETRY_SECONDS)
        return key

    def _key(self, headers: _Headers) -> Key | None:
        if self._keys is None:
            self._check_origin(headers)
            return None
        given = headers.get(b"authorization", b"")
        key = None
        if given[: len(_BEARER)].lower() == _BEARER:
            key = self._keys.ring.find(given[len(_BEARER) :].strip().decode("latin-1"))
        if key is None:
            raise RefusedError(401, "send a key of this gateway: Authorization: Bearer sg_...")
        return key

    def _check_origin(self, headers: _Headers) -> None:
        """Refuse web pages: without keys, any page in a browser on this machine could send."""
        host = headers.get(b"host", b"").decode("latin-1").rpartition(":")
        name = (host[0] if host[1] and not host[2].endswith("]") else "".join(host)).strip("[]")
        if name not in (*LOOPBACK, "") or headers.get(b"sec-fetch-site", b"none") not in (b"none", b"same-origin"):
            raise RefusedError(
                403, "a gateway without keys takes events from programs of this machine, by its own name"
            )
