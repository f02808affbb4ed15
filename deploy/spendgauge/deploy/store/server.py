"""How does the store answer HTTP? One aiohttp application over one ``Engine``; engine calls run in threads.

Reading and writing statements have places of their own: slow SELECTs cannot keep an INSERT waiting, and ``/ping``
waits for neither.
"""

import asyncio
import hmac
import json
import secrets
import uuid
from collections.abc import Awaitable, Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from typing import Final, TypeVar

from aiohttp import web

from spendgauge.deploy.store.encoding import Unpacker, negotiate
from spendgauge.deploy.store.engine import Engine
from spendgauge.deploy.store.protocol import (
    StoreError,
    StoreQuery,
    error_text,
    is_foreign_page,
    read_credentials,
    read_query,
    status_of,
)
from spendgauge.deploy.store.reply import Reply

__all__ = ["StoreServer"]

T = TypeVar("T")

_READERS: Final = 8
_WRITERS: Final = 4
_MOST_AT_ONCE: Final = 256
"""So many statements may run or wait; more are refused with TOO_MANY_SIMULTANEOUS_QUERIES."""

_WATCH_SECONDS: Final = 0.5
_CANCEL_SECONDS: Final = 5.0


class StoreServer:
    """Answers ClickHouse's HTTP protocol."""

    def __init__(
        self, engine: Engine, *, password: str, body_bytes: int, send_seconds: float, hosts: Collection[str]
    ) -> None:
        """Serve ``engine`` to whoever gives the password, in requests of at most ``body_bytes``, unpacked.

        A client that takes nothing for ``send_seconds`` is left. ``hosts`` are the names that a ``Host`` header may
        hold; none: any.
        """
        self._engine = engine
        self._hosts = hosts
        self._password = password
        self._body_bytes = body_bytes
        self._send_seconds = send_seconds
        self._pool = ThreadPoolExecutor(_READERS + _WRITERS, thread_name_prefix="store")
        self._readers = asyncio.Semaphore(_READERS)
        self._writers = asyncio.Semaphore(_WRITERS)
        self._running: dict[str, StoreQuery] = {}

    def application(self) -> web.Application:
        """Build the application."""
        app = web.Application(middlewares=[self._guard], client_max_size=self._body_bytes)
        app.router.add_get("/ping", _ok)
        app.router.add_get("/replicas_status", _ok)
        app.router.add_route("*", "/", self._on_request)
        return app

    async def drain(self, seconds: float) -> None:
        """Let running statements finish; after ``seconds`` cancel them."""
        if await self._is_idle_within(seconds):
            return
        for query in list(self._running.values()):
            await asyncio.to_thread(self._engine.cancel, query.query_id)
        await self._is_idle_within(_CANCEL_SECONDS)

    def close(self) -> None:
        """End the threads."""
        self._pool.shutdown(wait=True)

    async def _is_idle_within(self, seconds: float) -> bool:
        for _ in range(max(round(seconds / 0.05), 1)):
            if not self._running:
                return True
            await asyncio.sleep(0.05)
        return not self._running

    @web.middleware
    async def _guard(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        if is_foreign_page(request.headers, self._hosts):
            text = "This server does not answer web pages of other sites, nor names that are not this machine's.\n"
            return web.Response(status=403, text=text)
        return await handler(request)

    async def _on_request(self, request: web.Request) -> web.StreamResponse:
        query_id = request.query.get("query_id") or str(uuid.uuid4())
        headers = {
            "X-ClickHouse-Server-Display-Name": "spendgauge",
            "X-ClickHouse-Query-Id": query_id if query_id.isprintable() else "",
            "X-ClickHouse-Timezone": self._engine.timezone,
        }
        try:
            self._authenticate(request)
            if request.content_type == "multipart/form-data":
                query = await _read_form(request, query_id)
            else:
                body = await self._body(request)
                query = read_query(request.query, request.headers, body=body, method=request.method, query_id=query_id)
            if not query.sql and query.read_only:
                return web.Response(text="Ok.\n", headers=headers)
            return await self._answer(request, query, headers)
        except StoreError as error:
            headers["X-ClickHouse-Exception-Code"] = str(error.code)
            return web.Response(
                status=status_of(error.code), text=error_text(error, self._engine.version), headers=headers
            )

    def _authenticate(self, request: web.Request) -> None:
        given = read_credentials(request.query, request.headers)
        known = hmac.compare_digest(given.password.encode(), self._password.encode())
        if given.user != "default" or not known:
            raise StoreError(
                516, f"{given.user}: Authentication failed: password is incorrect, or there is no such user"
            )

    async def _body(self, request: web.Request) -> bytes:
        unpacker = Unpacker(request.headers.get("Content-Encoding", ""), limit_bytes=self._body_bytes)
        parts = [unpacker.feed(data) async for data in request.content.iter_any()]
        parts.append(unpacker.finish())
        return b"".join(parts)

    async def _answer(self, request: web.Request, query: StoreQuery, headers: dict[str, str]) -> web.StreamResponse:
        if len(self._running) >= _MOST_AT_ONCE:
            raise StoreError(202, f"{len(self._running)} statements run or wait already; try again")
        encoding = negotiate(request.headers.get("Accept-Encoding", ""))
        if request.query.get("enable_http_compression") == "0":
            encoding = ""
        tag = secrets.token_hex(8)
        ticket = str(uuid.uuid4())
        self._running[ticket] = query
        async with AsyncExitStack() as stack:
            stack.callback(self._running.pop, ticket)
            await stack.enter_async_context(self._writers if _writes(query) else self._readers)
            reply = await self._watched(request, query, lambda: Reply(self._engine, query, encoding=encoding, tag=tag))
            stack.push_async_callback(self._in_thread, reply.close)
            headers |= _reply_headers(reply, tag)
            if reply.whole:
                return web.Response(body=await self._in_thread(reply.body), headers=headers)
            return await self._send_pieces(request, query, reply, headers)

    async def _send_pieces(
        self, request: web.Request, query: StoreQuery, reply: Reply, headers: dict[str, str]
    ) -> web.StreamResponse:
        response = web.StreamResponse(headers=headers)
        await response.prepare(request)
        try:
            while (piece := await self._watched(request, query, reply.next_piece)) is not None:
                async with asyncio.timeout(self._send_seconds):
                    await response.write(piece)
            if reply.failed:
                return _broken_off(request, response)
            await response.write_eof()
        except (TimeoutError, ConnectionError):
            return _broken_off(request, response)  # a client that does not read must not keep a reader's place
        return response

    async def _watched(self, request: web.Request, query: StoreQuery, work: Callable[[], T]) -> T:
        """Run work in a thread; if the client goes away meanwhile, stop the statement unless it writes."""
        future = asyncio.ensure_future(self._in_thread(work))
        while not (await asyncio.wait({future}, timeout=_WATCH_SECONDS))[0]:
            if request.transport is None and not _writes(query):
                await asyncio.to_thread(self._engine.cancel, query.query_id)
                break
        return await future

    async def _in_thread(self, work: Callable[..., T], *args: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._pool, work, *args)


def _broken_off(request: web.Request, response: web.StreamResponse) -> web.StreamResponse:
    """Close the connection without the last chunk: a client cannot take this for a whole answer."""
    if request.transport is not None:
        request.transport.close()
    return response


async def _ok(_request: web.Request) -> web.Response:
    return web.Response(text="Ok.\n")


async def _read_form(request: web.Request, query_id: str) -> StoreQuery:
    """Read a form: fields are parameters, files are external tables."""
    params = dict(request.query)
    files = {}
    for name, value in (await request.post()).items():
        if isinstance(value, web.FileField):
            files[name] = value.file.read()
        else:
            params[name] = value if isinstance(value, str) else bytes(value).decode()
    return read_query(
        params,
        request.headers,
        body=b"",
        files=files,
        method=request.method,
        query_id=params.get("query_id") or query_id,
    )


def _writes(query: StoreQuery) -> bool:
    return query.sql[:64].lstrip()[:6].upper() == b"INSERT"


def _reply_headers(reply: Reply, tag: str) -> dict[str, str]:
    headers = {"X-ClickHouse-Summary": json.dumps(reply.summary)} if reply.summary else {}
    if reply.format:
        headers |= {"X-ClickHouse-Format": reply.format, "Content-Type": _content_type(reply.format)}
    if reply.encoding:
        headers["Content-Encoding"] = reply.encoding
    if not reply.whole:
        headers["X-ClickHouse-Exception-Tag"] = tag
    return headers


def _content_type(format_name: str) -> str:
    name = format_name.lower()
    if name in ("json", "jsoncompact", "jsonstrings", "jsoncolumns"):
        return "application/json; charset=UTF-8"
    if name.startswith("json") or name == "ndjson":
        return "application/x-ndjson; charset=UTF-8"
    if name.startswith("csv"):
        return "text/csv; charset=UTF-8"
    if name.startswith(("tabseparated", "tsv")):
        return "text/tab-separated-values; charset=UTF-8"
    return (
        "application/octet-stream"
        if name in ("native", "rowbinary", "parquet", "arrow", "arrowstream")
        else "text/plain; charset=UTF-8"
    )
