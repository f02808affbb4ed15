"""Which address does what? ``/v1/usage``, ``/v1/traces``, ``/v1/quota/check``, and the questions of who watches."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from fastapi import FastAPI, Request, Response

from spendgauge.producers.gateway.admission import KEY
from spendgauge.producers.gateway.bodies import read_body
from spendgauge.producers.gateway.buckets import Buckets
from spendgauge.producers.gateway.document import describe
from spendgauge.producers.gateway.figures import Figures
from spendgauge.producers.gateway.formats import media_type, read_items
from spendgauge.producers.gateway.keys import Key
from spendgauge.producers.gateway.quota_checks import read_question, verdict_reply
from spendgauge.producers.gateway.replies import RETRY_SECONDS, RefusedError, outcomes_reply, refusal_reply
from spendgauge.producers.gateway.settings import GatewaySettings
from spendgauge.producers.gateway.taking import Item, Outcome, Taker
from spendgauge.producers.gateway.traces import export_reply, read_traces
from spendgauge.producers.quotas import QuotaChecks
from spendgauge.schemas import Clock
from spendgauge.schemas.monitor import Vitals, answer

__all__ = ["Gateway", "create_app"]

_INLINE_ITEMS = 50
"""So few are taken on the event loop's own thread: a millisecond; more would hold other senders up."""


@dataclass(frozen=True)
class Gateway:
    """What the routes work with."""

    settings: GatewaySettings
    taker: Taker
    events: Buckets
    figures: Figures
    vitals: Vitals
    quotas: QuotaChecks
    clock: Clock


def create_app(gateway: Gateway) -> FastAPI:
    """Make the application; it is to stand behind an ``Admission``."""
    app = FastAPI(docs_url=None, redoc_url=None)

    async def usage(request: Request) -> Response:
        body = await _body(gateway, request)
        outcomes = await _take(gateway, request, read_items(request.headers, body, most=gateway.settings.gateway_items))
        return outcomes_reply(outcomes)

    async def traces(request: Request) -> Response:
        body, kind = await _body(gateway, request), media_type(request.headers)
        found = read_traces(kind, body)
        gateway.figures.ignored_spans += found.ignored
        outcomes = await _take(gateway, request, found.items)
        if any(outcome.fate == "unsafe" for outcome in outcomes):
            raise RefusedError(503, "not all could be stored safely; send it again", retry_seconds=RETRY_SECONDS)
        reasons = [outcome.reason for outcome in outcomes if outcome.fate == "refused"]
        return export_reply(kind, len(reasons), reasons[0] if reasons else "")

    async def quota_check(request: Request) -> Response:
        settings, key = gateway.settings, request.scope[KEY]
        body = await read_body(request, most=settings.gateway_body_bytes, most_unpacked=settings.gateway_unpacked_bytes)
        question = read_question(media_type(request.headers), body, key)
        verdict = question.ask(gateway.quotas)
        gateway.figures.on_check(key.name if key else "", verdict)
        return verdict_reply(verdict, question.states(gateway.quotas), gateway.clock.now_ms())

    async def watched(request: Request) -> Response:
        reply = answer(request.url.path, gateway.vitals, accept=request.headers.get("accept", ""))
        return Response(reply.body, reply.status, {"content-type": reply.content_type})

    app.add_api_route("/v1/usage", usage, methods=["POST"])
    app.add_api_route("/v1/traces", traces, methods=["POST"])
    app.add_api_route("/v1/quota/check", quota_check, methods=["POST"])
    for path in ("/healthz", "/readyz", "/metrics"):
        app.add_api_route(path, watched, methods=["GET"])
    app.add_exception_handler(RefusedError, _refused)
    describe(app)
    return app


async def _refused(request: Request, refusal: Exception) -> Response:
    if not isinstance(refusal, RefusedError):
        raise refusal
    return refusal_reply(refusal, media_type(request.headers))


async def _body(gateway: Gateway, request: Request) -> bytes:
    settings = gateway.settings
    if gateway.taker.troubled:
        raise RefusedError(503, "events cannot be stored safely now; send it again", retry_seconds=RETRY_SECONDS)
    return await read_body(request, most=settings.gateway_body_bytes, most_unpacked=settings.gateway_unpacked_bytes)


async def _take(gateway: Gateway, request: Request, items: Sequence[Item]) -> list[Outcome]:
    """Take items within the sender's limits."""
    key: Key | None = request.scope[KEY]
    name = key.name if key else ""
    if len(items) > gateway.settings.gateway_items:
        raise RefusedError(413, f"a request may have {gateway.settings.gateway_items} events; send fewer at a time")
    wait = gateway.events.take(name, len(items)) if items else 0.0
    if wait:
        raise RefusedError(429, "too many events", retry_seconds=wait)
    if gateway.settings.durability == "disk" or len(items) > _INLINE_ITEMS:
        outcomes = await asyncio.to_thread(gateway.taker.take, items, key)
    else:
        outcomes = gateway.taker.take(items, key)
    gateway.figures.on_outcomes(name, outcomes)
    return outcomes
