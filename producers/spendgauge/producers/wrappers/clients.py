"""How is every request of an SDK's client seen, each attempt of it, without touching the SDK?

Both SDKs send each attempt through ``send`` of one HTTP client. A tracked HTTP client *is* that client (it shares its
connections, cookies, settings and whether it is closed: all of its state), but for ``send``, and for ``build_request``
where a guard is asked.
"""

from functools import cache
from typing import Any

from spendgauge.producers.wrappers.attempts import Attempt, Watch
from spendgauge.producers.wrappers.pieces import see_pieces

__all__ = ["TrackedHttp", "is_http_client", "track_http"]

_LIBRARIES = ("httpx", "httpx2")


class TrackedHttp:
    """What the HTTP client of a tracked client is, beside its own class."""

    __slots__ = ()
    asynchronous = False
    library = ""
    original: Any
    watch: Watch

    def build_request(self, *given: Any, **options: Any) -> Any:
        """Build a request as ever, and ask the guard, if there is one, whether it may be sent."""
        request = super().build_request(*given, **options)  # type: ignore[misc]  # of the HTTP client's class
        self.watch.reserve(request)
        return request

    def __del__(self) -> None:
        """Close nothing: the connections are the original's, which closes them as ever when nobody has it any more."""

    def _answered(self, attempt: Attempt, response: Any) -> None:
        attempt.answered(response)
        try:
            if response.is_closed:  # it was read as a whole
                attempt.saw(response.content)
                attempt.ended()
            else:
                see_pieces(response, attempt, library=self.library, asynchronous=self.asynchronous)
        except Exception as error:  # noqa: BLE001 - the promise: nothing is raised into the caller
            attempt.lost_sight(error)
            attempt.ended()


class _Tracked(TrackedHttp):
    __slots__ = ()

    def send(self, request: Any, **options: Any) -> Any:
        attempt = self.watch.begin(request)
        if attempt is None:
            return super().send(request, **options)  # type: ignore[misc]  # of the HTTP client's class
        try:
            response = super().send(attempt.request, **options)  # type: ignore[misc]  # the same
        except BaseException as error:
            attempt.failed(error)
            raise
        self._answered(attempt, response)
        return response


class _TrackedAsync(TrackedHttp):
    __slots__ = ()
    asynchronous = True

    async def send(self, request: Any, **options: Any) -> Any:
        attempt = self.watch.begin(request)
        if attempt is None:
            return await super().send(request, **options)  # type: ignore[misc]  # of the HTTP client's class
        try:
            response = await super().send(attempt.request, **options)  # type: ignore[misc]  # the same
        except BaseException as error:
            attempt.failed(error)
            raise
        self._answered(attempt, response)
        return response


def is_http_client(http: object) -> bool:
    """Say whether an object is a client of httpx or httpx2."""
    return _library(type(http)) is not None


def track_http(http: Any, watch: Watch) -> Any:
    """Make the tracked form of an HTTP client; of one that is tracked already, with this watch instead of its own."""
    original = http.original if isinstance(http, TrackedHttp) else http
    kind: type = type(original)
    tracked = object.__new__(_kind(kind))
    tracked.__dict__ = original.__dict__
    tracked.original = original  # or it would be collected, and the SDKs' clients close their connections then
    tracked.watch = watch
    return tracked


@cache
def _kind(kind: type) -> Any:
    tracked = _TrackedAsync if hasattr(kind, "aclose") else _Tracked
    members = {"__slots__": ("original", "watch"), "__module__": __name__, "library": _library(kind)}
    return type(f"Tracked{kind.__name__}", (tracked, kind), members)


def _library(kind: type) -> str | None:
    roots = (base.__module__.partition(".")[0] for base in kind.__mro__)
    return next((root for root in roots if root in _LIBRARIES), None)
