"""How do alerts get from Kafka to people? Read, decide, keep, commit, and only then send; what was sent is kept too.

The order is the guarantee:

1. lines of ``cost.alerts``, words of ``cost.silences`` and the outcomes of attempts change what is known;
2. what is to be sent now follows from that;
3. what must not be forgotten of both is written to ``cost.deliveries`` and acknowledged;
4. the offset of what was read is committed: by that the group says, too, that nobody has taken over;
5. what is to be sent still is handed to the channels' threads.

Killed before 4, the lines are read again, and change nothing that is kept. Killed after 3 and before the outcome is
kept, nobody can tell whether a message arrived. Where the incident is up it is sent again, with the same key, by which
a receiver can tell; where it is over it is told that it is over.
"""

import os
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from random import Random
from threading import Event
from typing import Final

import structlog

from spendgauge.schemas.clock import Clock, SystemClock
from spendgauge.schemas.compacted import read_compacted
from spendgauge.schemas.errors import UnavailableError
from spendgauge.schemas.heartbeat import Heartbeat
from spendgauge.schemas.kafka import stream_ids
from spendgauge.schemas.monitor import Vitals, monitoring
from spendgauge.streams.delivery.desk import Desk, Order, Verdict
from spendgauge.streams.delivery.files import ChannelFile
from spendgauge.streams.delivery.hearing import Alerts, Words, check_topics
from spendgauge.streams.delivery.keeping import Keeper
from spendgauge.streams.delivery.memory import read_memory
from spendgauge.streams.delivery.metrics import NotifierMetrics
from spendgauge.streams.delivery.senders import Senders, make_sender
from spendgauge.streams.delivery.settings import NotifierSettings
from spendgauge.streams.delivery.tries import Outcome

__all__ = ["run_notifier"]

_POLL_SECONDS: Final = 0.1
_LOOK_SECONDS: Final = 0.5
_LEAVE_SECONDS: Final = 10.0
"""How long a notifier that stops waits for what is on its way: shorter than a supervisor's patience."""

_HANDOVER_SECONDS: Final = 3.0
"""How long one waits that another takes over from; shorter than the group waits."""

_log = structlog.get_logger(__name__)


def run_notifier(
    settings: NotifierSettings,
    stop: Event,
    *,
    clock: Clock | None = None,
    environment: Mapping[str, str] | None = None,
) -> None:
    """Tell people until ``stop`` is set; then wait for what is on its way, keep it, leave the group.

    Raises ``ConfigurationError`` where the channels cannot be used, ``UnavailableError`` where Kafka does not answer
    at the start or a topic is missing.
    """
    clock = clock or SystemClock()
    environment = os.environ if environment is None else environment
    with ExitStack() as stack:
        senders = Senders(lambda target: make_sender(target, clock))
        stack.callback(senders.close)
        channels = ChannelFile(settings.channels, environment, senders, clock)
        metrics = NotifierMetrics(clock)
        parts = _Parts(settings, senders, channels, metrics, Heartbeat(settings.heartbeat, clock), clock)
        stack.enter_context(monitoring(settings, parts.vitals(stop)))
        check_topics(settings)
        notifier = _Notifier(parts)
        stack.callback(notifier.close)
        notifier.run(stop)
        notifier.finish(_LEAVE_SECONDS)


@dataclass(frozen=True)
class _Parts:
    settings: NotifierSettings
    senders: Senders
    channels: ChannelFile
    metrics: NotifierMetrics
    heartbeat: Heartbeat
    clock: Clock

    def vitals(self, stop: Event) -> Vitals:
        def obstacles() -> list[str]:
            return ["it is stopping"] if stop.is_set() else self.metrics.watch.obstacles()

        return Vitals(self.metrics.registry, self.heartbeat.silent_seconds, obstacles)


class _Notifier:
    """The main thread's side."""

    def __init__(self, parts: _Parts) -> None:
        self._parts = parts
        self._clock, self._senders, self._metrics = parts.clock, parts.senders, parts.metrics
        self._draw = Random()
        self._look_at = parts.clock.monotonic()
        self._desk: Desk | None = None
        self._heard_words: dict[bytes, bytes | None] = {}
        self._undecided: list[Verdict] = []
        """What is not yet being written."""
        self._planned: list[Order] = []
        """What is sent once all that is decided is kept."""
        self._writing_to: int | None = None
        """Up to which offset all is kept once what is being written is acknowledged."""
        self._keeper = Keeper(parts.settings)
        self._words = Words(parts.settings)
        self._alerts = Alerts(parts.settings, clock=parts.clock, on_revoke=self._on_revoke)

    def run(self, stop: Event) -> None:
        """Turn the loop until told to stop."""
        while not stop.is_set():
            self._parts.heartbeat.beat(self._parts.channels.error)
            self._hear(stop)
            self._plan()
            self._keep(wait_seconds=_POLL_SECONDS)
            self._send()
            if self._clock.monotonic() >= self._look_at:
                self._look_at = self._clock.monotonic() + _LOOK_SECONDS
                self._metrics.look(self._alerts, self._desk, error=self._parts.channels.error)

    def finish(self, seconds: float) -> None:
        """Wait for what is on its way, and keep what came of it, as far as the time allows."""
        deadline = self._clock.monotonic() + seconds
        self._drop_plans()
        while (left := deadline - self._clock.monotonic()) > 0:
            self._settle(wait_seconds=min(left, _POLL_SECONDS) if self._senders.busy else 0)
            self._keep(wait_seconds=min(left, _POLL_SECONDS))
            if not (self._senders.busy or self._undecided or self._keeper.busy):
                return
        _log.warning("what was on its way did not end in time; it may be sent again")

    def close(self) -> None:
        """Leave the group."""
        self._alerts.close()
        self._words.close()
        self._keeper.close()

    def _hear(self, stop: Event) -> None:
        changed = self._parts.channels.look()
        words = self._words.read()
        self._heard_words |= words
        busy = self._senders.busy  # then the next outcome wakes it, else the next line
        self._settle(wait_seconds=_POLL_SECONDS if busy else 0)
        heard = self._alerts.read(timeout_seconds=0 if busy else _POLL_SECONDS)
        if self._alerts.assigned and self._desk is None:
            self._take_over(stop)
        if self._desk is None:
            return
        now_ms = self._clock.now_ms()
        if changed:
            self._desk.reload(target.channel for target in self._parts.channels.targets)
        self._desk.listen(words)
        self._metrics.lines += len(heard)
        self._add(self._desk.absorb(heard, now_ms=now_ms))
        self._add(self._desk.look(now_ms=now_ms))

    def _take_over(self, stop: Event) -> None:
        """Begin with what is remembered; whoever had the partition before has written it."""
        settings = self._parts.settings
        topics = settings.topics
        while not stop.is_set():
            self._parts.heartbeat.beat(self._parts.channels.error)
            try:
                memory = read_memory(read_compacted(settings, topics.deliveries).items())
                stream = stream_ids(settings, [topics.alerts], block_offsets=0)[topics.alerts]
            except UnavailableError as error:
                _log.warning("what was sent cannot be read yet", reason=str(error))
                self._clock.sleep(1)
                continue
            channels = [target.channel for target in self._parts.channels.targets]
            late_ms = settings.late_minutes * 60_000
            self._desk = Desk(memory, channels, stream=stream, now_ms=self._clock.now_ms(), late_ms=late_ms)
            self._desk.listen(self._heard_words.items())
            _log.info("it is for this notifier to tell", channels=[channel.name for channel in channels])
            return

    def _settle(self, *, wait_seconds: float) -> None:
        for order, outcome in self._senders.outcomes(wait_seconds=wait_seconds):
            self._report(order, outcome)
            if self._desk is not None:
                self._add(self._desk.settle(order, outcome, now_ms=self._clock.now_ms(), chance=self._draw.random()))

    def _add(self, verdict: Verdict) -> None:
        if verdict.entries or verdict.alerts:
            self._undecided.append(verdict)

    def _keep(self, *, wait_seconds: float) -> None:
        """Write what is decided, and commit what is written; while that is not done nothing more is sent."""
        if self._keeper.busy:
            self._settle_writing(wait_seconds)
        if self._keeper.busy or self._desk is None:
            return
        if self._undecided:
            if self._alerts.holds():  # who was replaced must not write over what its successor has written
                self._keeper.write(self._undecided)
                self._undecided, self._writing_to = [], self._alerts.read_to
                self._settle_writing(wait_seconds)
            else:
                self._clock.sleep(wait_seconds)
        else:
            self._alerts.kept(self._alerts.read_to)
        if self._alerts.uncommitted:
            self._alerts.holds()

    def _settle_writing(self, wait_seconds: float) -> None:
        if self._keeper.settle(wait_seconds=wait_seconds):
            self._alerts.kept(self._writing_to)

    def _plan(self) -> None:
        """Decide what is to be sent now, once all that there was is read and what was decided before is kept."""
        if self._desk is None or self._planned or self._keeper.busy:
            return
        if self._alerts.at_end and self._words.at_end:
            self._planned = self._desk.orders(self._senders.idle, now_ms=self._clock.now_ms())
            self._add(self._desk.begin(self._planned))

    def _send(self) -> None:
        """Hand out what was planned, once all is kept and committed."""
        if self._desk is None or not self._planned or self._undecided or self._keeper.busy:
            return
        self._planned = []
        orders, verdict = self._desk.confirm(held=self._alerts.holds(), now_ms=self._clock.now_ms())
        self._add(verdict)
        for order in orders:
            self._senders.send(order)

    def _drop_plans(self) -> None:
        """Take back what will not be sent."""
        self._planned.clear()
        if self._desk is not None:
            self._add(self._desk.confirm(held=False, now_ms=self._clock.now_ms())[1])

    def _report(self, order: Order, outcome: Outcome) -> None:
        self._metrics.attempts[order.channel, outcome.fate] += 1
        data = order.message.notification.data
        details = {"channel": order.channel, "step": order.step, "subject": data.subject, "key": order.message.key}
        if outcome.fate == "sent":
            _log.info("sent", **details)
        else:
            _log.warning(f"a message was {outcome.fate}", reason=outcome.reason, **details)

    def _on_revoke(self, lost: bool) -> None:
        """Let another take over: with what was on its way, where there is time for it."""
        if not lost:
            self.finish(_HANDOVER_SECONDS)
        self._desk = None
        self._undecided.clear()
        self._planned.clear()
