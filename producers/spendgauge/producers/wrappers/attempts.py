"""What becomes of one attempt of a call? Whatever happens to it, one event for the call, and never an exception.

begun -> failed                    no answer: refused connection, timeout, cancelled before it came
      -> answered -> ended         all of it was read
                  -> broke         the connection, the caller's task or the caller's patience
"""

from collections.abc import Callable
from contextvars import Context, ContextVar, copy_context
from dataclasses import dataclass
from typing import Any, Final

from spendgauge.producers.adapters import EventFields, estimate_tokens, with_own
from spendgauge.producers.adapters.leaves import failure_fields, who
from spendgauge.producers.adapters.reading import identifier, moment
from spendgauge.producers.context import over
from spendgauge.producers.emitter import UsageEmitter
from spendgauge.producers.notices import Notices
from spendgauge.producers.tally import Tally
from spendgauge.producers.wrappers.calls import Api, Call, asking_for_usage, characters_asked, find_call
from spendgauge.producers.wrappers.lines import EventFrames, EventLines
from spendgauge.producers.wrappers.readers import BodyReader, Reader, Reading, StreamReader
from spendgauge.producers.wrappers.reserving import Reserved, Reserving, take_reserved
from spendgauge.schemas import Clock

__all__ = ["RETRY_TAG", "Attempt", "Watch"]

RETRY_TAG: Final = "retry_of"
"""The tag of a repetition: the event id of its call's first attempt."""


class _Chain:
    """The attempts of one call, which follow each other in one thread or task."""

    def __init__(self, place: tuple[str, int]) -> None:
        self.place = place
        self.first_id: str | None = None


_chain: ContextVar[_Chain | None] = ContextVar("spendgauge_attempts", default=None)


@dataclass(frozen=True)
class Watch:
    """What ``track`` was told, for all calls of one client."""

    api: Api
    provider: str
    producer: UsageEmitter
    dimensions: dict[str, Any]
    ask_for_usage: bool
    clock: Clock
    notices: Notices
    faults: Tally
    reserving: Reserving | None = None

    def reserve(self, request: Any) -> None:
        """Ask whether a request may be sent that was built just now; raises ``QuotaExceeded`` where it may not."""
        if self.reserving is None:
            return
        try:
            call = find_call(self.api, request)
        except Exception:  # noqa: BLE001 - told of when it is sent
            return
        if call is not None:
            own = {name: value for name, value in over(self.dimensions).items() if name != "tags"}
            self.reserving.reserve(request, **own | {"provider": self.provider, "model": call.model or None})

    def begin(self, request: Any) -> "Attempt | None":
        """Look at a request that is about to be sent; None where it is no call to a model, or cannot be read."""
        reserved = take_reserved(request)
        try:
            call = find_call(self.api, request)
            if call is not None:
                return Attempt(self, call, self._asking(request), reserved)
        except Exception as error:  # noqa: BLE001 - the promise: nothing is raised into the caller
            self.fault(error)
        if reserved is not None:
            reserved.settle(None)
        return None

    def fault(self, error: Exception) -> None:
        """Count and log an error of our own; its text might quote what was said, so only its kind is told."""
        self.faults.hit()
        self.notices.report("a call could not be observed", error=type(error).__name__)

    def _asking(self, request: Any) -> Any:
        if not self.ask_for_usage:
            return request
        try:
            return asking_for_usage(request)
        except Exception as error:  # noqa: BLE001 - the same
            self.fault(error)
            return request


class Attempt:
    """One attempt, from the moment it is sent."""

    def __init__(self, watch: Watch, call: Call, request: Any, reserved: Reserved | None) -> None:
        self.watch = watch
        self.request = request
        self._call = call
        self._reserved = reserved
        self._chain = _chain_of(call)
        self._context = copy_context()  # the event belongs to whoever asked, wherever the end is noticed
        self._status_code = 0
        self._reader: Reader | None = None
        self._blind = self._done = False
        self._began = watch.clock.monotonic()
        self._began_ms = watch.clock.now_ms()
        self._first_token: float | None = None

    def failed(self, error: BaseException) -> None:
        """Note that no answer came."""
        self._guard(lambda: self._finish([failure_fields(**_outcome(error), **self._named())]))

    def answered(self, response: Any) -> None:
        """Note that an answer begins."""
        self._guard(lambda: self._open(response))

    def saw(self, piece: bytes) -> None:
        """Note a piece of the answer."""
        if self._reader is not None and not self._blind:
            try:
                self._reader.feed(piece)
            except Exception as error:  # noqa: BLE001 - the same
                self.lost_sight(error)
            if self._first_token is None and self._reader.characters:
                self._first_token = self.watch.clock.monotonic()

    def lost_sight(self, error: Exception) -> None:
        """Note that what is still to come cannot be read."""
        self._blind = True
        self.watch.fault(error)

    def ended(self) -> None:
        """Note that all of the answer was read."""
        self._guard(lambda: self._end({} if self._blind else {"status": "error", "error_type": "incomplete"}))

    def broke(self, error: BaseException | None) -> None:
        """Note that the answer was not read to its end: closed, dropped, cancelled, or cut."""
        self._guard(lambda: self._end(_outcome(error)))

    def _guard(self, step: Callable[[], None]) -> None:
        try:
            step()
        except Exception as error:  # noqa: BLE001 - the same
            self.watch.fault(error)
            self._settle(None)

    def _open(self, response: Any) -> None:
        self._status_code = response.status_code
        kind = response.headers.get("content-type", "")
        api, named = self.watch.api, {"provider": self.watch.provider, "request_model": self._call.model}
        if not 200 <= self._status_code < 300:
            self._reader = BodyReader(api, **named)
        elif kind.startswith("text/event-stream"):
            self._reader = StreamReader(api.stream(**named), EventLines())
        elif kind.startswith("application/vnd.amazon.eventstream"):
            self._reader = StreamReader(api.stream(**named), EventFrames())
        else:
            self._reader = BodyReader(api, **named)

    def _end(self, unless_complete: EventFields) -> None:
        if self._done or self._reader is None:
            return
        reading = self._read(self._reader)
        if 200 <= self._status_code < 300:
            self._finish(self._used(reading, unless_complete))
        else:
            kind = reading.error_type or f"http_{self._status_code}"
            self._finish([failure_fields("error", kind, **self._named())])

    def _read(self, reader: Reader) -> Reading:
        try:
            return reader.reading()
        except Exception as error:  # noqa: BLE001 - the same; the event comes all the same, estimated
            self.lost_sight(error)
            return Reading([], self._named(), 0, complete=True)

    def _used(self, reading: Reading, unless_complete: EventFields) -> list[EventFields]:
        """Say what a successful answer used; estimate where it does not say so, for a model has worked."""
        events = reading.events
        ended = {} if reading.complete or _has_failed(events) else unless_complete
        if any("usage_convention" in fields for fields in events) or (events and not reading.characters):
            return [events[0] | ended, *events[1:]]
        said = {name: events[0][name] for name in ("status", "error_type") if events and name in events[0]}
        tokens = {
            "input_tokens": estimate_tokens(characters_asked(self.request)),
            "output_tokens": 0 if self._call.operation == "embeddings" else estimate_tokens(reading.characters),
        }
        return [reading.about | tokens | {"usage_source": "estimated"} | said | ended]

    def _finish(self, events: list[EventFields]) -> None:
        """Emit, once; and let go of all that was said."""
        if self._done:
            return
        self._done = True
        call, clock = self._call, self.watch.clock
        shared: EventFields = {"attempt": call.attempt, "operation": call.operation}
        timing: EventFields = {
            "latency_ms": _milliseconds(clock.monotonic() - self._began),
            "started_at": moment(self._began_ms, per_second=1000),
        }
        if self._first_token is not None:
            timing["ttft_ms"] = _milliseconds(self._first_token - self._began)
        try:
            self._context.run(self._emit, [events[0] | shared | timing, *(fields | shared for fields in events[1:])])
        finally:
            self._settle(events)
            self._reader = self.request = None
            self._context = Context()

    def _settle(self, events: list[EventFields] | None) -> None:
        if self._reserved is not None:
            self._reserved.settle(events)
            self._reserved = None

    def _emit(self, events: list[EventFields]) -> None:
        own, chain = over(self.watch.dimensions), self._chain
        for fields in events:
            if self._call.attempt > 1 and chain is not None and chain.first_id:
                fields["tags"] = {**fields.get("tags", {}), RETRY_TAG: chain.first_id}
            event_id = self.watch.producer.emit(**with_own(fields, **own))
            if self._call.attempt == 1 and chain is not None and chain.first_id is None:
                chain.first_id = event_id

    def _named(self) -> EventFields:
        return who(self.watch.provider, None, self._call.model)


def _chain_of(call: Call) -> _Chain | None:
    """Find the call that an attempt repeats: the last one of this thread or task, if it is the same request."""
    if call.attempt == 1:
        chain = _Chain(call.place)
        _chain.set(chain)
        return chain
    last = _chain.get()
    return last if last is not None and last.place == call.place else None


def _outcome(error: BaseException | None) -> EventFields:
    """Name what ended an attempt: an exception is an error; being closed, dropped or cancelled is not."""
    if not isinstance(error, Exception):
        return {"status": "cancelled"}
    names = {kind.__name__ for kind in type(error).__mro__}
    if names & {"TimeoutException", "TimeoutError"}:
        return {"status": "error", "error_type": "timeout"}
    known = "connection" if names & {"TransportError", "OSError"} else identifier(type(error).__name__)
    return {"status": "error", "error_type": known}


def _has_failed(events: list[EventFields]) -> bool:
    return bool(events) and events[0].get("status") == "error"


def _milliseconds(seconds: float) -> int:
    return min(round(seconds * 1000), 2**31 - 1)
