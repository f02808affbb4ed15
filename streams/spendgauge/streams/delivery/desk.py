"""What is to be sent now, to whom, and what must be kept of it? Lines, words and outcomes in, orders out; pure.

    absorb    lines of cost.alerts come in
    listen    what people said comes in
    reload    the channels are others
    orders    what is to be sent now: at most one message at a time on each channel
    begin     what must be kept of that before it is sent
    confirm   whether it still is to be sent once that is kept
    settle    an attempt has ended

What is to be sent follows from how things stand at that moment, so nothing waits in a queue: what a slow channel was
not told before it is over it is not told at all, and what got graver it is told once. That it is over is told to whom
it may have been told that it was up: so an attempt is kept before it is made.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from spendgauge.schemas.alerts import Alert
from spendgauge.schemas.silences import Acknowledgement, Silence, read_word
from spendgauge.streams.delivery.channels import Channel
from spendgauge.streams.delivery.deciding import Wanted, wanted
from spendgauge.streams.delivery.failing import HANGING_MS, Failing
from spendgauge.streams.delivery.incidents import Heard, Incident, Incidents
from spendgauge.streams.delivery.memory import Entry, Fate, Memory, Sent, Step, alert_key, sent_key, value_of
from spendgauge.streams.delivery.messages import Message, compose
from spendgauge.streams.delivery.patience import Patience
from spendgauge.streams.delivery.tries import GIVE_UP_MS, Outcome

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
    again: bool = False
    """Whether it may have arrived before."""

    @property
    def place(self) -> tuple[str, str]:
        """Where is kept what became of it."""
        return self.incident_id, self.channel

    @property
    def is_end(self) -> bool:
        """Whether it says that something is over."""
        return self.step.endswith("resolved")


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

    def __init__(self, memory: Memory, channels: Iterable[Channel], *, stream: str, now_ms: int, late_ms: int) -> None:
        """Go on from what is remembered.

        ``stream``: the id of the topic that the alerts are on. ``late_ms``: what was heard longer ago is no news.
        """
        self._stream = stream
        self._late_ms = late_ms
        self._incidents = Incidents(memory.alerts)
        self._told: dict[tuple[str, str], dict[Step, Sent]] = defaultdict(dict)
        for place, told in memory.sent.items():
            self._told[place] |= told
        self._channels = tuple(channels)
        self._words: dict[bytes, Silence | Acknowledgement] = {}
        self._world = _World()
        self._changed: set[str] = set()
        self._due: dict[str, dict[str, Wanted]] = {}
        self._patience: dict[str, Patience] = defaultdict(Patience)
        self._ordered: dict[str, Order] = {}
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
        self._patience.clear()

    def look(self, *, now_ms: int) -> Verdict:
        """See what hangs, and forget what is long over, and the channels that are no more."""
        alerts = self._failing.keep((channel.name for channel in self._channels), now_ms=now_ms)
        for name, order in self._on_their_way.items():
            if now_ms - order.begun_ms > HANGING_MS:
                severity = order.message.notification.data.severity
                alerts += self._failing.hangs(name, severity=severity, now_ms=now_ms)
        return Verdict(self._forget(now_ms), alerts)

    def orders(self, idle: Collection[str], *, now_ms: int) -> list[Order]:
        """Say what is to be sent now on the channels that are idle, and take it as ordered until it is confirmed."""
        self._decide(now_ms)
        names = [channel.name for channel in self._channels if channel.name in idle]
        orders = [order for name in names if (order := self._next(name, now_ms))]
        self._ordered |= {order.channel: order for order in orders}
        return orders

    def begin(self, orders: Iterable[Order]) -> Verdict:
        """Take what may arrive from now on as told, perhaps; this must be kept before anything is sent."""
        begun = [order for order in orders if not (order.is_end or order.again)]
        sent = [Sent(fate="begun", at_ms=order.begun_ms) for order in begun]
        return Verdict([self._told_of(order, one) for order, one in zip(begun, sent, strict=True)])

    def confirm(self, *, held: bool, now_ms: int) -> tuple[list[Order], Verdict]:
        """Say what of the orders is to be sent still, and what must be kept of the others.

        ``held``: whether the partition is ours still; nothing is to be sent else.
        """
        self._decide(now_ms)
        ordered = list(self._ordered.values())
        self._ordered.clear()
        good = [order for order in ordered if held and self._is_due(order)]
        self._on_their_way |= {order.channel: replace(order, begun_ms=now_ms) for order in good}
        idle = [order for order in ordered if order not in good]
        return good, Verdict([entry for order in idle for entry in self._never_begun(order)])

    def settle(self, order: Order, outcome: Outcome, *, now_ms: int, chance: float) -> Verdict:
        """Take in how an attempt ended."""
        self._on_their_way.pop(order.channel, None)
        severity = order.message.notification.data.severity
        known = order.channel in {channel.name for channel in self._channels}
        alerts = self._failing.note(order.channel, outcome, severity=severity, now_ms=now_ms) if known else []
        message = order.incident_id, order.step
        failed_ms = self._patience[order.channel].note(message, outcome, now_ms=now_ms, chance=chance)
        if outcome.fate == "failed" and not (order.is_end and failed_ms > GIVE_UP_MS):
            return Verdict([] if outcome.perhaps else self._never_begun(order), alerts)
        refused = outcome.fate != "sent" and not order.again  # who refuses a repetition may have the first
        fate: Fate = "refused" if refused else "sent"
        return Verdict([self._told_of(order, Sent(fate=fate, at_ms=now_ms, reason=outcome.reason[:500]))], alerts)

    def _told_of(self, order: Order, sent: Sent) -> Entry:
        self._told[order.place][order.step] = sent
        self._changed.add(order.incident_id)
        return sent_key(*order.place, order.step), value_of(sent)

    def _never_begun(self, order: Order) -> list[Entry]:
        """Take back that a message may have arrived, where it cannot have."""
        if order.is_end or order.again or self._told[order.place].pop(order.step, None) is None:
            return []
        self._changed.add(order.incident_id)
        return [(sent_key(*order.place, order.step), None)]

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
        """Choose for one channel, where it may be tried: as its patience says, then what is oldest."""
        due, patience = self._due[channel], self._patience[channel]
        if not due:
            patience.rest()
        if channel in self._on_their_way or channel in self._ordered or patience.waits(now_ms):
            return None
        ready: list[tuple[tuple[int, int], int, str]] = []
        for incident_id, found in due.items():
            incident, rank = self._incidents.get(incident_id), patience.rank((incident_id, found.step), now_ms=now_ms)
            if incident is not None and rank is not None:
                ready.append((rank, incident.begun_ms, incident_id))
        return self._order(channel, min(ready)[2], now_ms) if ready else None

    def _order(self, channel: str, incident_id: str, now_ms: int) -> Order | None:
        found, incident = self._due[channel][incident_id], self._incidents.get(incident_id)
        if incident is None:
            return None
        message = compose(incident, found, channel=channel, stream=self._stream, late=self._is_late(found, now_ms))
        again = not found.is_end and found.step in self._told.get((incident_id, channel), {})
        return Order(channel, incident_id, found.step, message, now_ms, again=again)

    def _is_late(self, found: Wanted, now_ms: int) -> bool:
        """Whether that it is up was heard long ago: the notifier, or its memory, was not there, or had to wait."""
        return not found.is_end and now_ms - found.kept.heard_ms[found.kept.severity] > self._late_ms

    def _is_due(self, order: Order) -> bool:
        found = self._due.get(order.channel, {}).get(order.incident_id)
        return found is not None and found.step == order.step

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
