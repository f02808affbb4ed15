"""How do I get every call of my SDK's client counted?

    client = track(anthropic.Anthropic(), producer=producer, feature="triage")

The SDKs are not imported: whoever has a client has them.
"""

from collections.abc import Mapping
from typing import Any, Final, TypeVar

from spendgauge.producers.context import dimension_fields
from spendgauge.producers.emitter import UsageEmitter
from spendgauge.producers.notices import Notices
from spendgauge.producers.quotas import QuotaChecks
from spendgauge.producers.tally import Tally
from spendgauge.producers.wrappers.attempts import Watch
from spendgauge.producers.wrappers.calls import ANTHROPIC, OPENAI, Api
from spendgauge.producers.wrappers.clients import TrackedHttp, is_http_client, track_http
from spendgauge.producers.wrappers.reserving import Estimates, Reserving
from spendgauge.schemas import ConfigurationError, SystemClock

__all__ = ["track", "unobserved"]

_Client = TypeVar("_Client")

_SDKS: Final = {"anthropic": ("anthropic", ANTHROPIC), "openai": ("openai", OPENAI)}
_ELSEWHERE: Final = {
    "Bedrock": "aws.bedrock",
    "Vertex": "gcp.vertex_ai",
    "Azure": "azure.ai.openai",
    "Foundry": "azure.ai.inference",
    "GoogleCloud": "gcp.vertex_ai",
}
"""What the names of the SDKs' own classes say about where the model runs."""


def track(
    client: _Client,
    *,
    producer: UsageEmitter,
    provider: str = "",
    ask_for_usage: bool = False,
    tags: Mapping[str, str] | None = None,
    guard: QuotaChecks | None = None,
    estimate: Estimates = 0,
    **dimensions: str | None,
) -> _Client:
    """Return the same client (a copy, as ``with_options`` makes one), each attempt of whose calls becomes an event.

    For ``Anthropic``, ``OpenAI``, their asynchronous forms and their forms for Bedrock, Vertex AI, Foundry and Azure.
    ``dimensions`` and ``tags`` are given to each event; ``usage_context`` wins over them. ``provider`` names another
    one that speaks the same protocol. ``ask_for_usage`` adds ``stream_options={"include_usage": True}`` to OpenAI's
    chat streams that do not say; the caller then gets one more chunk, without choices. Calls are sent, answered and
    fail as before. Tracking a tracked client again replaces what was said before.

    With a ``guard`` each attempt is checked before it is sent, and holds its ``estimate`` until it is known what it
    cost: USD, or (USD, tokens), or a function of the request's body that gives one of them. A call that may not be made
    raises ``QuotaExceeded`` or ``QuotaUnknown``, and whatever the function raises.
    Raises ``ConfigurationError`` where the client is none of these, ``TypeError`` for an unknown dimension, a float, an
    estimate without a guard or what is no guard, and ``ValueError`` for an estimate that is no amount.
    """
    if guard is not None and not isinstance(guard, QuotaChecks):
        raise TypeError(f"guard = {guard!r} is no guard: give what create_guard() returns")
    if guard is None and estimate != 0:
        raise TypeError("an estimate is what a guard holds of its quotas: give guard, too")
    name, api = _sdk(client)
    clock = SystemClock()
    watch = Watch(
        api=api,
        provider=provider or name,
        producer=producer,
        dimensions=dimension_fields(tags, dimensions),
        ask_for_usage=ask_for_usage and api is OPENAI,
        clock=clock,
        notices=Notices(clock.monotonic, client=type(client).__name__),
        faults=Tally(),
        reserving=None if guard is None else Reserving(guard, estimate),
    )
    tracked: _Client = _any(client).copy(http_client=track_http(_any(client)._client, watch))
    return tracked


def unobserved(client: object) -> int:
    """Count what a tracked client could not observe because of an error of our own; the log has the kinds."""
    http = getattr(client, "_client", None)
    if not isinstance(http, TrackedHttp):
        raise ConfigurationError(f"{type(client).__name__} is not a client that track() has returned")
    return http.watch.faults.read()


def _sdk(client: object) -> tuple[str, Api]:
    """Name the provider of a client, and how to read it."""
    theirs = [kind for kind in type(client).__mro__ if _root(kind) in _SDKS]
    if not theirs or not is_http_client(getattr(client, "_client", None)) or not hasattr(client, "copy"):
        raise ConfigurationError(
            f"{type(client).__name__} cannot be tracked: it is no client of the anthropic or openai package; "
            "read its answers with spendgauge.producers.adapters"
        )
    name, api = _SDKS[_root(theirs[0])]
    elsewhere = (where for word, where in _ELSEWHERE.items() if any(word in kind.__name__ for kind in theirs))
    return next(elsewhere, name), api


def _root(kind: type) -> str:
    return kind.__module__.partition(".")[0]


def _any(client: object) -> Any:
    return client
