"""How does a service refuse calls that nobody may pay for any more?

    guard = create_guard()
    with guard.reserve(user_id="user-7", feature="triage", estimate_usd="0.05") as call:
        message = client.messages.create(...)
        call.spent(anthropic_events(message))

A thread follows ``cost.quotas``; a check asks the memory of this process and never waits.
"""

import threading
from collections.abc import Mapping
from functools import partial
from typing import Any, Final

from spendgauge.producers.forks import ForkGate
from spendgauge.producers.identity import boot_id, source_names
from spendgauge.producers.lifecycle import unwatch, watch
from spendgauge.producers.notices import Notices
from spendgauge.producers.quotas.balances import Hold
from spendgauge.producers.quotas.checks import QuotaChecks
from spendgauge.producers.quotas.follower import Follower
from spendgauge.producers.quotas.refusing import Refusals, connect_outlet
from spendgauge.producers.quotas.settings import QuotaSettings
from spendgauge.producers.quotas.verdict import QuotaVerdict
from spendgauge.schemas import Clock, ConfigurationError

__all__ = ["QuotaGuard"]

_WAIT_SECONDS: Final = 0.05
"""For a record: how late a refusal is told, and how late it is noticed that somebody closes or forks."""

_LOOK_SECONDS: Final = 0.02
_GRACE_SECONDS: Final = 1.0
_SWEEP_SECONDS: Final = 60.0
_TROUBLE_SECONDS: Final = 1.0


class QuotaGuard(QuotaChecks):
    """Follows the quotas in a thread of its own, and answers from memory.

    Safe in threads, under asyncio and across fork: a child reads anew, and holds nothing. Give it settings, or the
    fields of ``QuotaSettings`` by name; it reads no environment (``create_guard`` does). Raises ``ConfigurationError``
    where they cannot work; a broker that is away is no error.
    """

    def __init__(self, settings: QuotaSettings | None = None, /, *, clock: Clock | None = None, **fields: Any) -> None:
        if settings is not None and fields:
            raise ConfigurationError(f"give either settings or fields; {', '.join(fields)} came beside settings")
        super().__init__(QuotaSettings.from_environment({}, **fields) if settings is None else settings, clock=clock)
        self._closed = False
        self._thread: threading.Thread | None = None
        self._gate = ForkGate()
        self._begin()
        self._start()
        watch(self)

    def wait_until_known(self, timeout_seconds: float = 10.0) -> bool:
        """Wait until it is known what is spent; return whether it is."""
        deadline = self._clock.monotonic() + timeout_seconds
        while not self.known and self._clock.monotonic() < deadline:
            self._rouse()
            self._stopping.wait(_LOOK_SECONDS)
        return self.known

    def close(self, timeout_seconds: float = 5.0) -> None:
        """Stop following, and tell the refusals that wait, within the time.

        Afterwards it still answers, from what it last knew; refusals are told nobody.
        """
        self._closed = True
        self._exit_seconds = timeout_seconds
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(timeout_seconds + _GRACE_SECONDS)
        unwatch(self)

    def before_fork(self) -> bool:
        """Begin to let go of clients that may be connecting; say no where there are none."""
        gone = self._thread is None or not self._thread.is_alive()
        if gone or (self._follower.may_stay and self._refusals.may_stay):
            return False
        self._gate.shut()
        return True

    def await_fork(self, seconds: float) -> None:
        """Wait until no thread of them is there."""
        self._gate.wait(seconds)

    def after_fork(self) -> None:
        """Go on reading: this process is the parent."""
        self._gate.open()

    def on_fork(self) -> None:
        """Become another process: the next check starts a thread of its own."""
        self._follower.abandon()
        self._refusals.abandon()
        self._board.on_fork()
        self._asleep, self._thread, self._gate = True, None, ForkGate()

    def on_exit(self) -> None:
        """Tell what waits, within ``exit_seconds``."""
        self.close(self.settings.exit_seconds)

    def _begin(self) -> None:
        settings = self.settings
        source = source_names(settings.service, settings.host, boot_id(self._clock.now_ms()))[0]
        self._notices = Notices(self._clock.monotonic, source=source)
        self._follower = Follower(settings, self._board, clock=self._clock, notices=self._notices)
        self._refusals = Refusals(
            settings, source, clock=self._clock, notices=self._notices, connect=partial(connect_outlet, settings)
        )
        self._stopping = threading.Event()
        self._exit_seconds = settings.exit_seconds
        self._asleep, self._only_one = False, threading.Lock()

    def _rouse(self) -> None:
        """Begin anew in the child of a fork."""
        if self._asleep and not self._closed and self._only_one.acquire(blocking=False):
            self._begin()
            self._start()

    def _start(self) -> None:
        thread = threading.Thread(target=self._run, name="spendgauge-quotas", daemon=True)
        thread.start()
        self._thread = thread

    def _judge(self, who: Mapping[str, str], usd: int, tokens: int, holds: list[Hold] | None = None) -> QuotaVerdict:
        if self._asleep:
            self._rouse()
        return super()._judge(who, usd, tokens, holds)

    def _told(self, verdict: QuotaVerdict, now_ms: int) -> QuotaVerdict:
        self._refusals.add(verdict, now_ms)
        return verdict

    def _disconnect(self) -> None:
        self._follower.disconnect()
        self._refusals.disconnect()

    def _run(self) -> None:
        sweep_at = self._clock.monotonic() + _SWEEP_SECONDS
        stopping, follower, refusals = self._stopping, self._follower, self._refusals
        while not stopping.is_set():
            try:
                self._gate.heed(self._disconnect)
                follower.turn(_WAIT_SECONDS)
                refusals.turn()
                self._notices.say_due()
                if self._clock.monotonic() >= sweep_at:
                    sweep_at += _SWEEP_SECONDS
                    self._balances.sweep()
            except Exception as error:  # noqa: BLE001 - the thread's outermost edge: it must not die
                self._notices.report("the guard's thread met an error and goes on", error=repr(error)[:400])
                stopping.wait(_TROUBLE_SECONDS)
        refusals.end(self._exit_seconds)
        follower.close()
        self._notices.say_all()
