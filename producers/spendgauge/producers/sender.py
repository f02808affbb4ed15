"""How does a record reach the broker, whatever happens on the way?

Records wait in order in a backlog; a small window of them is in librdkafka's hands. One that comes back for a reason
that may pass (no topic yet, a fatal error of the idempotent session) is sent again, in order: a repeated event is
harmless, because consumers count each ``seq`` of a source once. Only a record that no broker will ever take is given
up (``failures`` says which). Used by one thread only; other threads may read the counters.
"""

from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException

from spendgauge.producers.client import HEADERS, Client, ErrorCallback, keep_for_ever
from spendgauge.producers.failures import kind_of
from spendgauge.producers.forks import FORK_PAUSE_SECONDS, Connection
from spendgauge.producers.lane import Record
from spendgauge.producers.notices import Notices
from spendgauge.schemas import Clock

__all__ = ["Sender"]

_RETRY_SECONDS: Final = 1.0

_MAX_PATIENCE_SECONDS: Final = 300.0

_Parcel = tuple[int, Record]


class Sender:
    """Keeps account of each record from ``add`` until the broker has acknowledged it or it is given up."""

    def __init__(
        self,
        topic: str,
        connect: Callable[[ErrorCallback], Client],
        *,
        clock: Clock,
        notices: Notices,
        stuck_seconds: float = 15.0,
    ) -> None:
        self.pending_events = self.pending_bytes = 0
        self.delivered_events = self.delivered_records = self.refused_events = self.replayed_events = 0
        self.next_ticket = 0
        self._topic = topic
        self._connect = connect
        self._clock = clock
        self._notices = notices
        self._backlog: deque[_Parcel] = deque()
        self._given_back: list[_Parcel] = []
        self._in_client: dict[int, Record] = {}
        self._retry_at = 0.0
        self._stuck_seconds = self._patience_seconds = stuck_seconds
        self._progress_at = 0.0
        self._client: Client | None = None
        self._connection = Connection(clock.monotonic)
        self._broken = False
        self._epoch = 0

    def connect(self) -> None:
        """Create the client now rather than with the first record; raises ``ConfigurationError``."""
        if self._client is None:
            self._client = self._connect(partial(self._on_error, self._epoch))

    def add(self, record: Record) -> None:
        """Take a record into the backlog; ``turn`` sends it."""
        self._backlog.append((self.next_ticket, record))
        self.next_ticket += 1
        self.pending_events += record.events
        self.pending_bytes += len(record.value)

    def turn(self, wait_seconds: float) -> None:
        """Hand over what the window takes, and serve delivery reports; wait up to ``wait_seconds`` for the first."""
        if self._broken or self._stuck():
            self._drop_client()
        if self._clock.monotonic() >= self._retry_at and (self._backlog or self._given_back):
            self.connect()
            self._requeue()
            self._hand_over()
        if self._client is not None:
            self._client.poll(wait_seconds)
        elif wait_seconds:
            self._clock.sleep(wait_seconds)

    @property
    def backlogged(self) -> bool:
        """Whether more waits than the window takes now."""
        return bool(self._backlog) and not self._given_back

    def settled(self, ticket: int) -> bool:
        """Say whether every record added before ``ticket`` was next is acknowledged or given up."""
        waiting = (*self._in_client, *(number for number, _ in self._given_back))
        return min(waiting, default=ticket) >= ticket and (not self._backlog or self._backlog[0][0] >= ticket)

    def give_up(self) -> list[Record]:
        """Let go of the client; return everything that is not acknowledged, in order."""
        self._drop_client()
        self._requeue()
        left = [record for _, record in self._backlog]
        self._backlog.clear()
        self.pending_events = self.pending_bytes = 0
        return left

    @property
    def may_stay(self) -> bool:
        """Whether a fork may find the client as it is."""
        return self._connection.may_stay

    @property
    def idle(self) -> bool:
        """Whether there is no client, and nothing that needs one."""
        return self._client is None and not (self._backlog or self._given_back)

    def disconnect(self) -> None:
        """Let go of the client, for a fork; what is not acknowledged is sent again, by another one, a moment later."""
        self._drop_client()
        self._connection.let_go()
        self._retry_at = max(self._retry_at, self._clock.monotonic() + FORK_PAUSE_SECONDS)

    def abandon(self) -> None:
        """Let go of a client that a fork has left without its threads; to destroy it would hang."""
        if self._client is not None:
            keep_for_ever(self._client)
            self._client = None

    def _stuck(self) -> bool:
        """Say whether nothing was acknowledged for too long; then a new session is tried.

        It helps where a broker has lost what it knew of this one: librdkafka would try for ever. The patience doubles
        each time, so that a broker that is merely slow does not get everything twice.
        """
        if not self._overdue():
            return False
        if self._client is not None:
            self._client.poll(0)  # the reports may be there, and nobody has looked for a while
        if not self._overdue():
            return False
        self._notices.report(
            "nothing was acknowledged for a while; connecting anew",
            seconds=self._patience_seconds,
            waiting=self.pending_events,
        )
        self._patience_seconds = min(2 * self._patience_seconds, _MAX_PATIENCE_SECONDS)
        return True

    def _overdue(self) -> bool:
        return bool(self._in_client) and self._clock.monotonic() - self._progress_at >= self._patience_seconds

    def _requeue(self) -> None:
        if self._given_back:
            self._backlog = deque(sorted([*self._given_back, *self._backlog], key=lambda parcel: parcel[0]))
            self._given_back = []

    def _hand_over(self) -> None:
        client, backlog = self._client, self._backlog
        while client is not None and backlog and not self._given_back:
            ticket, record = backlog[0]
            try:
                client.produce(
                    self._topic,
                    value=record.value,
                    key=record.source,
                    headers=HEADERS,
                    on_delivery=partial(self._on_delivery, self._epoch, ticket),
                )
            except BufferError:
                return
            except KafkaException as error:
                backlog.popleft()
                self._return(ticket, record, error.args[0])
                return
            backlog.popleft()
            if not self._in_client:
                self._progress_at = self._clock.monotonic()
            self._in_client[ticket] = record

    def _on_delivery(self, epoch: int, ticket: int, error: KafkaError | None, _message: Any) -> None:
        record = self._in_client.pop(ticket, None) if epoch == self._epoch else None
        if record is None:
            return
        if error is not None:
            self._return(ticket, record, error)
            return
        self._connection.works()
        if record.adopted:
            self.replayed_events += record.events
        else:
            self.delivered_events += record.events
            self.delivered_records += bool(record.events)
        self._progress_at, self._patience_seconds = self._clock.monotonic(), self._stuck_seconds
        self._settle(record)

    def _return(self, ticket: int, record: Record, error: KafkaError) -> None:
        if kind_of(error) == "hopeless":
            self.refused_events += 0 if record.adopted else record.events
            self._settle(record)
            self._notices.report(
                "events lost: the broker will not take them" if record.events else "a source's end was refused",
                record.events,
                reason=error.str(),
                lost_source=record.source.decode(),
                first_seq=record.first_seq,
                last_seq=record.last_seq,
            )
            return
        self._given_back.append((ticket, record))
        self._wait_after(error)
        self._notices.report(
            "events wait: the broker did not take them yet; they are sent again",
            record.events,
            reason=error.str(),
            waiting=self.pending_events,
        )

    def _on_error(self, epoch: int, error: KafkaError) -> None:
        if epoch == self._epoch:
            self._connection.fails()
        fatal = kind_of(error) == "fatal"
        if epoch != self._epoch or not (self.pending_events or fatal):
            return  # an idle connection that closes is no trouble
        if fatal:
            self._wait_after(error)
        self._notices.report("the broker does not answer; events wait", reason=error.str(), waiting=self.pending_events)

    def _wait_after(self, error: KafkaError) -> None:
        self._broken = self._broken or kind_of(error) == "fatal"
        self._retry_at = self._clock.monotonic() + _RETRY_SECONDS

    def _settle(self, record: Record) -> None:
        self.pending_events -= record.events
        self.pending_bytes -= len(record.value)
        if record.on_settled is not None:
            record.on_settled()

    def _drop_client(self) -> None:
        client, self._client, self._broken = self._client, None, False
        self._epoch += 1
        self._connection.fails()
        self._given_back += self._in_client.items()
        self._in_client = {}
        if client is not None:
            client.purge()
            client.poll(0)  # reports of the old session find nothing to report on, and let go of what they hold
