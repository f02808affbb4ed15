"""What is missing for a stack to be whole, and how is it put back? One round at a time.

Each round looks at what is there and does what is missing, so a start, a restart after a crash and a broker that lost
everything are the same code:

1. notice deaths, and start again what is due (0.5 s after the first death, doubling, at most 30 s);
2. broker up but topics missing: create them;
3. database up but not migrated yet: migrate;
4. both there: settle what streams of a broker that is gone left behind (``stack_settle``);
5. workers, watcher, notifier and gateway run once there are topics, the sink once all is settled.

The embedded broker keeps all in memory. If it dies its topics are gone, so workers and sink are ended with it and
begin again on new topics, whose streams have other ids: nothing is counted twice. What had not reached ClickHouse is
lost, and that is said.
"""

from collections.abc import Callable, Iterator
from typing import Final

from spendgauge.deploy.alerts.ended import resolve_alerts
from spendgauge.deploy.stack.children import Child
from spendgauge.deploy.stack.health import KafkaWatch, http_answers
from spendgauge.deploy.stack.plan import StackPlan
from spendgauge.deploy.stack.settle import StreamLedger, settle_streams
from spendgauge.schemas import Clock, UnavailableError, topic_specs
from spendgauge.schemas.kafka import connect_admin, create_topics, stream_ids
from spendgauge.sinks.migrate import migrate

__all__ = ["Rounds"]

_CHECK_SECONDS: Final = 2.0
_ANSWER_SECONDS: Final = 2.0
_CONNECT_SECONDS: Final = 5.0
_MOST_MISSES: Final = 3
_SILENT_SECONDS: Final = 30.0
"""A process whose heartbeat is older hangs, if it still is at the next looks: a computer may have slept."""

_FIRST_BEAT_SECONDS: Final = 120.0
"""How long the first one may take. The first start after an installation compiles: ten seconds of processor time in the
sink and in each worker, at once, on a machine that may have other things to do; ended early, it would begin anew."""


class Rounds:
    """The processes of one plan, and what is known of them."""

    def __init__(self, plan: StackPlan, clock: Clock, say: Callable[[str], None]) -> None:
        """Nothing is started yet. ``say`` takes one line for the user."""
        self._plan = plan
        self._clock = clock
        self._say = say
        self.broker = Child(plan.broker, clock) if plan.broker else None
        self.store = Child(plan.store, clock) if plan.store else None
        self.workers = [Child(spec, clock) for spec in plan.workers]
        self.sink = Child(plan.sink, clock)
        self.watcher = Child(plan.watcher, clock)
        self.notifier = Child(plan.notifier, clock) if plan.notifier else None
        self.gateway: Child | None = Child(plan.gateway, clock)
        self._watch = KafkaWatch(plan.kafka)
        self._has_topics = self._has_tables = self._is_settled = False
        self._ledger = StreamLedger(plan.data / "streams.json")
        self._alerts_ledger = StreamLedger(plan.data / "alert_streams.json")
        self._next_check = 0.0
        self._misses: dict[str, int] = {}
        self._unstored: int | None = None

    @property
    def children(self) -> list[Child]:
        """All processes, in the order in which they need each other."""
        return [child for child in (self.broker, self.store, *self._looping) if child]

    @property
    def _looping(self) -> list[Child]:
        """Those that touch a heartbeat."""
        others = (self.sink, self.watcher, self.notifier, self.gateway)
        return [*self.workers, *(child for child in others if child)]

    def turn(self) -> None:
        """Look at everything once, and do what is missing.

        Raises ``UnavailableError`` or ``ConfigurationError`` where somebody else's broker or database, at the start,
        cannot be used.
        """
        for child in self.children:
            self._on_death(child, child.reap())
        for server in (self.broker, self.store):
            if server:
                server.start_if_due()
        self._create_topics()
        self._migrate()
        self._settle()
        for child in [c for c in self._looping if c is not self.sink] if self._has_topics else []:
            child.start_if_due()
        if self._is_settled:
            self.sink.start_if_due()
        if self._clock.monotonic() >= self._next_check:
            self._check()
            self._next_check = self._clock.monotonic() + _CHECK_SECONDS

    def missing(self) -> Iterator[Child]:
        """List the processes that are not at work yet."""
        for child in (self.broker, self.store):
            if child and not child.is_running:
                yield child
        silent = [child for child in self._looping if not (child.is_running and child.has_beaten)]
        yield from silent
        if not silent and not self._watch.is_joined(self._plan.worker_group):
            yield self.workers[0]
        if not silent and not self._watch.is_joined(self._plan.sink_group):
            yield self.sink
        if not silent and not self._watch.is_joined(self._plan.watch_group):
            yield self.watcher

    def close(self) -> None:
        """Leave the broker; a client of a broker that has gone takes a second to end."""
        self._watch.forget()

    def uncounted(self) -> int | None:
        """Count the records that the workers have not counted; None where that cannot be known."""
        return self._watch.lag(self._plan.worker_group, [self._plan.kafka.topics.usage])

    def unstored(self, *, exact: bool = True) -> int | None:
        """Count the records that the sink has not stored; None where that cannot be known."""
        topics = self._plan.kafka.topics
        return self._watch.lag(self._plan.sink_group, topics.stored, exact=exact)

    def _create_topics(self) -> None:
        if self._has_topics or not _is_up(self.broker, lambda: self._watch.answers(timeout_seconds=0.5)):
            return
        try:
            connect_admin(self._plan.kafka, timeout_seconds=_CONNECT_SECONDS)
            create_topics(self._plan.kafka, topic_specs(self._plan.kafka.topics, partitions=self._plan.partitions))
            self._has_topics = True
        except UnavailableError:
            if self.broker is None:
                raise

    def _migrate(self) -> None:
        address = self._plan.clickhouse.clickhouse
        if self._has_tables or not _is_up(self.store, lambda: http_answers(address, "/ping", timeout_seconds=0.5)):
            return
        migrate(self._plan.clickhouse)
        self._has_tables = True

    def _settle(self) -> None:
        if self._is_settled or not (self._has_topics and self._has_tables):
            return
        if self.broker is not None:
            topics = self._plan.kafka.topics
            running = stream_ids(
                self._plan.kafka, [topics.usage, topics.alerts], block_offsets=self._plan.block_offsets
            )
            ended = self._ledger.begin(running[topics.usage])
            if replaced := settle_streams(self._plan.clickhouse, ended):
                self._say(f"{replaced} contributions of an earlier broker were brought in line with the stored events")
            self._ledger.forget(ended)
            unwatched = self._alerts_ledger.begin(running[topics.alerts])
            resolve_alerts(self._plan.clickhouse, unwatched)
            self._alerts_ledger.forget(unwatched)
        self._is_settled = True

    def _on_death(self, child: Child, code: int | None) -> None:
        if code is None:
            return
        how = f"was killed by signal {-code}" if code < 0 else f"exited with status {code}"
        wait = child.due - self._clock.monotonic()
        self._say(f"{child.spec.name} {how}; it is started again in {wait:.1f} s (log: {child.spec.log})")
        self._misses.pop(child.spec.name, None)
        if child is self.broker:
            self._on_broker_death()

    def _on_broker_death(self) -> None:
        had_topics, self._has_topics, self._is_settled = self._has_topics, False, False
        self._watch.forget()
        for child in (*self.workers, self.sink, self.watcher, *([self.notifier] if self.notifier else [])):
            child.discard()
        if had_topics:
            known = "an unknown number of" if self._unstored is None else f"{self._unstored}"
            self._say(
                f"EVENTS MAY BE LOST: the embedded broker kept all in memory. When last looked, {known} records had "
                "not reached ClickHouse; those and what came since are gone. `spendgauge reconcile` names a gap once "
                "a later event of the same source is stored. The topics are created anew."
            )

    def _check(self) -> None:
        """See whether everything that runs also works."""
        if self._has_topics and (self.broker is None or self.broker.is_running):
            answers = self._watch.answers(timeout_seconds=_ANSWER_SECONDS)
            self._on_answer("broker", self.broker, answers)
            self._unstored = self.unstored(exact=False) if answers else self._unstored
        if self._has_tables and (self.store is None or self.store.is_running):
            address = self._plan.clickhouse.clickhouse
            self._on_answer("clickhouse", self.store, http_answers(address, "/ping", timeout_seconds=_ANSWER_SECONDS))
        for child in self._looping:
            if child.is_running:
                patience = _SILENT_SECONDS if child.has_beaten else _FIRST_BEAT_SECONDS
                self._on_answer(child.spec.name, child, (child.heartbeat_age() or 0.0) <= patience)

    def _on_answer(self, name: str, child: Child | None, answers: bool) -> None:
        misses = self._misses[name] = 0 if answers else self._misses.get(name, 0) + 1
        if misses != _MOST_MISSES:
            return
        if child is None:
            self._say(f"the {name} does not answer; workers and sink wait for it")
        else:
            self._say(f"{name} gives no sign of life; it is ended and started again")
            child.kill()


def _is_up(child: Child | None, answers: Callable[[], bool]) -> bool:
    """Whether a server of ours runs and answers; what another's does is seen when it is used."""
    return child is None or (child.is_running and answers())
