"""What is to be sent now, to whom, and what must be kept of it? Lines, words and outcomes in, orders out; pure.

    absorb    lines of cost.alerts come in
    listen    what people said comes in
    reload    the channels are others
    settle    an attempt has ended
    orders    what is to be sent now: at most one message at a time on each channel

What is to be sent follows from how things stand at that moment, so nothing waits in a queue: what a slow channel was
not told before it is over it is not told at all, and what got graver it is told once.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from spendgauge.schemas.alerts import Alert
from spendgauge.schemas.silences import Acknowledgement, Silence, read_word
from spendgauge.streams.delivery.channels import Channel
from spendgauge.streams.delivery.deciding import Wanted, wanted
from spendgauge.streams.delivery.failing import HANGING_MS, Failing
from spendgauge.streams.delivery.incidents import Heard, Incident, Incidents
from spendgauge.streams.delivery.memory import Entry, Memory, Sent, Step, alert_key, sent_key, value_of
from spendgauge.streams.delivery.messages import Message, compose
from spendgauge.streams.delivery.tries import GIVE_UP_MS, Outcome, Try, after_failure

__all__ = ["Desk", "Order", "Verdict"]

_FORGET_EVERY_MS: Final = 3_600_000


@dataclass(frozen=True)
class Order:
    """One message to be sent on one channel."""

    channel: str
    incident_id: str
    step: Step
    message: Message
    begun_ms: int


@dataclass(frozen=True)
class Verdict:
    """What must be written."""

    entries: Sequence[Entry] = ()
    """For ``cost.deliveries``."""
    alerts: Sequence[Alert] = ()
    """For ``cost.alerts``."""


@dataclass(frozen=True)
class _World:
    """What decides beside the incidents themselves."""

    channels: tuple[Channel, ...] = ()
    silences: tuple[Silence, ...] = ()
    quiet: frozenset[str] = frozenset()


class Desk:
    """Decides for all channels."""

    def __init__(self, memory: Memory, channels: Iterable[Channel], *, stream: str, now_ms: int) -> None:
        """Go on from what is remembered; ``stream``: the id of the topic that the alerts are on."""
        self._stream = stream
        self._incidents = Incidents(memory.alerts)
        self._told: dict[tuple[str, str], dict[Step, Sent]] = defaultdict(dict)
        for place, told in memory.sent.items():
            self._told[place] |= told
        self._channels = tuple(channels)
        self._words: dict[bytes, Silence | Acknowledgement] = {}
        self._world = _World()
        self._changed: set[str] = set()
        self._due: dict[str, dict[str, Wanted]] = {}
        self._tries: dict[tuple[str, str], Try] = {}
        self._held_until_ms: dict[str, int] = {}
        self._on_their_way: dict[str, Order] = {}
        self._forget_at_ms = now_ms + _FORGET_EVERY_MS
        self._failing = Failing(kept.alert for incident in self._incidents for kept in incident.up)

    @property
    def waiting(self) -> Mapping[str, int]:
        """How many messages are due on each channel."""
        return {channel.name: len(self._due.get(channel.name, ())) for channel in self._channels}

    @property
    def failing(self) -> Collection[str]:
        """The channels that an alert is up of."""
        return self._failing.channels

    @property
    def up(self) -> int:
        """How many incidents are not over."""
        return sum(bool(incident.up) for incident in self._incidents)

    def absorb(self, heard: Iterable[Heard], *, now_ms: int) -> Verdict:
        """Take lines in."""
        changed = self._incidents.hear(heard, now_ms=now_ms)
        for kept in changed.values():
            self._changed.add(kept.incident_id)
            self._failing.hear(kept.alert)
        return Verdict([(alert_key(alert_id), value_of(kept)) for alert_id, kept in changed.items()])

    def listen(self, words: Iterable[tuple[bytes, bytes | None]]) -> None:
        """Take in records of ``cost.silences``."""
        for key, value in words:
            before, word = self._words.pop(key, None), read_word(key, value)
            if word is not None:
                self._words[key] = word
            self._changed |= {one.incident_id for one in (before, word) if isinstance(one, Acknowledgement)}

    def reload(self, channels: Iterable[Channel]) -> None:
        """Tell these channels from now on. What is tried again waits no longer: what was wrong may be mended."""
        self._channels = tuple(channels)
        self._tries.clear()
        self._held_until_ms.clear()

    def settle(self, order: Order, outcome: Outcome, *, now_ms: int, chance: float) -> Verdict:
        """Take in how an attempt ended."""
        self._on_their_way.pop(order.channel, None)
        place = (order.incident_id, order.channel)
        severity = order.message.notification.data.severity
        known = order.channel in {channel.name for channel in self._channels}
        alerts = self._failing.note(order.channel, outcome, severity=severity, now_ms=now_ms) if known else []
        if outcome.retry_after_seconds:
            self._held_until_ms[order.channel] = after_failure(
                None, now_ms=now_ms, chance=chance, asked_seconds=outcome.retry_after_seconds
            ).not_before_ms
        if outcome.fate == "failed":
            again = after_failure(self._tries.get(place), now_ms=now_ms, chance=chance)
            self._tries[place] = again
            if not (order.step.endswith("resolved") and now_ms - again.begun_ms > GIVE_UP_MS):
                return Verdict(alerts=alerts)
        sent = Sent(fate="sent" if outcome.fate == "sent" else "refused", at_ms=now_ms, reason=outcome.reason[:500])
        self._tries.pop(place, None)
        self._told[place][order.step] = sent
        self._changed.add(order.incident_id)
        return Verdict([(sent_key(*place, order.step), value_of(sent))], alerts)

    def look(self, *, now_ms: int) -> Verdict:
        """See what hangs, and forget what is long over, and the channels that are no more."""
        alerts = self._failing.keep((channel.name for channel in self._channels), now_ms=now_ms)
        for name, order in self._on_their_way.items():
            if now_ms - order.begun_ms > HANGING_MS:
                severity = order.message.notification.data.severity
                alerts += self._failing.hangs(name, severity=severity, now_ms=now_ms)
        return Verdict(self._forget(now_ms), alerts)

    def orders(self, idle: Collection[str], *, now_ms: int) -> list[Order]:
        """Say what is to be sent now on the channels that are idle, and take it as on its way until it is settled."""
        self._decide(now_ms)
        names = [channel.name for channel in self._channels if channel.name in idle]
        orders = [order for name in names if (order := self._next(name, now_ms))]
        self._on_their_way |= {order.channel: order for order in orders}
        return orders

    def withdraw(self, orders: Iterable[Order]) -> None:
        """Take orders back that were not given to anybody."""
        for order in orders:
            self._on_their_way.pop(order.channel, None)

    def _decide(self, now_ms: int) -> None:
        """Look again at the incidents that changed, or at all of them where the world did."""
        silences = (word for word in self._words.values() if isinstance(word, Silence))
        world = _World(
            self._channels,
            tuple(word for word in silences if word.until.timestamp() * 1000 > now_ms),
            frozenset(channel.name for channel in self._channels if channel.is_quiet(now_ms)),
        )
        if world != self._world:
            self._world, self._due = world, {channel.name: {} for channel in world.channels}
            self._changed = {incident.incident_id for incident in self._incidents}
        if not self._changed:
            return
        acknowledged = {word.incident_id: word for word in self._words.values() if isinstance(word, Acknowledgement)}
        for incident_id in self._changed:
            incident = self._incidents.get(incident_id)
            for channel in world.channels:
                self._due[channel.name].pop(incident_id, None)
                found = incident and self._wanted(incident, channel, acknowledged.get(incident_id))
                if found:
                    self._due[channel.name][incident_id] = found
        self._changed.clear()

    def _wanted(self, incident: Incident, channel: Channel, acknowledged: Acknowledgement | None) -> Wanted | None:
        return wanted(
            incident,
            channel,
            told=self._told.get((incident.incident_id, channel.name), {}),
            silences=self._world.silences,
            acknowledgement=acknowledged,
            quiet=channel.name in self._world.quiet,
        )

    def _next(self, channel: str, now_ms: int) -> Order | None:
        """Choose for one channel: pages first, then what was tried least, then what is oldest."""
        if channel in self._on_their_way or now_ms < self._held_until_ms.get(channel, 0):
            return None
        ready: list[tuple[tuple[bool, int, int, str], Wanted, Incident]] = []
        for incident_id, found in self._due[channel].items():
            tried, incident = self._tries.get((incident_id, channel)), self._incidents.get(incident_id)
            if incident is not None and (tried is None or now_ms >= tried.not_before_ms):
                attempts = tried.attempts if tried else 0
                ready.append(((found.step != "page", attempts, incident.begun_ms, incident_id), found, incident))
        if not ready:
            return None
        _, found, incident = min(ready, key=lambda one: one[0])
        message = compose(incident, found, channel=channel, stream=self._stream)
        return Order(channel, incident.incident_id, found.step, message, now_ms)

    def _forget(self, now_ms: int) -> list[Entry]:
        if now_ms < self._forget_at_ms:
            return []
        self._forget_at_ms = now_ms + _FORGET_EVERY_MS
        gone = {incident.incident_id: incident for incident in self._incidents.forget(now_ms)}
        self._changed |= gone.keys()
        entries: list[Entry] = [(alert_key(name), None) for incident in gone.values() for name in incident.alerts]
        for place in [place for place in self._told if place[0] in gone]:
            entries += [(sent_key(*place, step), None) for step in self._told.pop(place)]
        return entries
