"""How is one failure played and judged? A fleet, a hard load, and a verdict from the naive model."""

from base64 import b64encode
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from threading import Event, Thread
from typing import Any

from confluent_kafka import TopicPartition
from tests.apache_kafka import ApacheKafka
from tests.brokers import EmbeddedBroker
from tests.findings import Findings
from tests.fleets import Fleet, FleetWorker, committed_offsets, until
from tests.hard_load import BOOKS, HardLoad, Sender, price_file
from tests.loads import differences
from tests.naive import NaiveRates, Place, Prices, SourceName
from tests.naive_sources import SourceReport
from tests.topic_logs import LogRecord, read_log

from spendgauge.schemas import KafkaSettings, topic_specs
from spendgauge.schemas.kafka import connect_admin, create_topics, stream_ids

__all__ = ["SESSION_SECONDS", "Scene", "playing"]

SESSION_SECONDS = 6

_BLOCK_OFFSETS = 512
_PARTITIONS = 5
_BATCH = 100
_POOLS = 12
"""So many threads more may have who lived through all: pools fill when asked. A leak is one a rebalance."""
_PAUSE_SECONDS = 0.1
_ONLY_SHARED = SourceReport((), 0, shared=True)


@dataclass
class Scene:
    """What a scenario works with."""

    brokers: ApacheKafka | EmbeddedBroker
    kafka: KafkaSettings
    group: str
    fleet: Fleet
    load: HardLoad
    sender: Sender
    draw: Random
    books: list[Path]
    past: list[tuple[str, list[LogRecord]]] = field(default_factory=list)
    """Streams that were deleted, and what was in them."""
    removed: list[LogRecord] = field(default_factory=list)
    """Records that retention has removed since."""
    live_keys: int = 0
    """How many totals the workers held when they left at the end."""
    threads: list[int] = field(default_factory=list)
    """How many threads each of them had."""

    def feed(self, events: int) -> None:
        """Send so many events now."""
        self.sender.send(self.load.records(events))

    @contextmanager
    def feeding(self, events: int) -> Iterator[None]:
        """Send so many events meanwhile: a trickle during the block, and what is left of them after it."""
        hurry = Event()
        failures: list[BaseException] = []

        def work() -> None:
            try:
                for _ in range(events // _BATCH):
                    self.feed(_BATCH)
                    hurry.wait(_PAUSE_SECONDS)
            except BaseException as error:  # noqa: BLE001 - the test's thread raises it
                failures.append(error)

        thread = Thread(target=work)
        thread.start()
        try:
            yield
        finally:
            hurry.set()
            thread.join()
        if failures:
            raise failures[0]

    def committed(self) -> list[int] | None:
        """Ask what the group has committed."""
        return committed_offsets(self.kafka, self.group, _PARTITIONS)

    def start_workers(self) -> tuple[FleetWorker, FleetWorker]:
        """Start two workers, and wait until they have rated some first events."""
        workers = self.fleet.join(), self.fleet.join()
        self.feed(1_000)
        self.until_rated()
        return workers

    def until_it_goes_on(self) -> None:
        """Wait until the group commits again, wherever it stands now."""
        before = sum(self.committed() or [])
        self._until(lambda: sum(self.committed() or []) > before, what=f"commits after {before} records")

    def recreate_topic(self) -> None:
        """Delete ``usage.events`` and create it again; what was in it is remembered."""
        topic = self.kafka.topics.usage
        self.past.append((self.stream(), read_log(self.kafka, topic)))
        admin = connect_admin(self.kafka)  # held until it has answered: its destruction cancels the question
        admin.delete_topics([topic])[topic].result()
        specs = [spec for spec in topic_specs(self.kafka.topics, partitions=_PARTITIONS) if spec.name == topic]
        until(lambda: create_topics(self.kafka, specs) == (topic,), what=f"the deletion of {topic}")
        until(self._is_new_everywhere, what="writing to the new topic")
        self.load.forget()

    def cut_log(self, ends: list[int]) -> None:
        """Remove the records below these offsets, as retention does; what they were is remembered."""
        topic = self.kafka.topics.usage
        self.removed += [one for one in read_log(self.kafka, topic) if one.offset < ends[one.partition]]
        cuts = [TopicPartition(topic, number, end) for number, end in enumerate(ends) if end]
        admin = connect_admin(self.kafka)
        for future in admin.delete_records(cuts).values():
            future.result()

    def _is_new_everywhere(self) -> bool:
        """Say whether what is written now lands in the new topic: a broker may take and lose it in the old one."""
        if self.sender.try_to_send(self.load.blanks()):
            return False
        written = read_log(self.kafka, self.kafka.topics.usage)
        return {record.partition for record in written} == set(range(_PARTITIONS - 1)) and not any(
            (record.value or b"").strip() for record in written
        )

    def until_rated(self) -> None:
        """Wait until all that was sent is committed: then all that follows from it was acknowledged before."""
        ends = self._ends(self._log())
        self._until(lambda: self.committed() == ends, what=f"commits at the log's ends {ends}")

    def _until(self, check: Callable[[], bool], *, what: str) -> None:
        """Wait for the workers, as long as all of them live."""

        def done() -> bool:
            for worker in self.fleet.workers:
                assert worker.is_running, f"a worker ended by itself; its log ends: {worker.said()[-2000:]}"
            return check()

        until(done, what=what)

    def finish(self) -> None:
        """Send what was held back, wait until all is rated, and let the workers leave.

        Last events of each partition give them two flushes in which to clear up: one that was given its partitions just
        now knows with the first what is committed, and clears up behind it with the second.
        """
        for last in (self.load.rest, self.load.farewells, self.load.farewells):
            self.sender.send(last())
            self.until_rated()
        self.threads = [worker.threads for worker in self.fleet.workers]
        self.live_keys = sum(int(last["live_keys"]) for last in self.fleet.leave_all())

    def verdict(self) -> dict[str, Any]:
        """Say what is wrong; nothing, where the topics hold exactly what they must."""
        log, found = self._log(), Findings(self.kafka)
        model = self._model(log, found)
        counts = Counter(model.counted)
        wrong = {
            "not what was meant": sorted(counts.keys() ^ self.load.meant)[:3],
            "counted twice": [event_id for event_id, times in counts.items() if times > 1][:3],
            "totals": differences(model.expected(), found.totals()),
            "not kept by the broker": found.holes() if isinstance(self.brokers, EmbeddedBroker) else [],
            "blocks of two editions": found.mixed_blocks()[:3],
            "rejects": _unequal(_as_written(model.rejects), found.rejects()),
            "sources": _unequal(_as_far_as_known(model.reports(found.reports()), found), found.reports()),
            "open alerts": sorted(found.open_alerts() ^ found.open_gaps())[:3],
            "unverified": [] if self.past or self.removed else sorted(found.unverified()),
            "commits": _unequal(dict(enumerate(self._ends(log))), dict(enumerate(self.committed() or []))),
            "live keys": self._live_keys_beyond(model),
            "threads": self.threads if max(self.threads) - min(self.threads) > _POOLS else [],
            "entries": self._entries_beyond(found),
        }
        return {what: one for what, one in wrong.items() if one}

    def false_claims(self) -> list[SourceName]:
        """List the sources of which something is called missing that is not."""
        found = Findings(self.kafka).reports()
        expected = self._model(self._log(), Findings(self.kafka)).reports(found)
        return [name for name, said in found.items() if not said.numbers <= expected[name].numbers]

    def _log(self) -> list[LogRecord]:
        return [*self.removed, *read_log(self.kafka, self.kafka.topics.usage)]

    def _model(self, log: list[LogRecord], found: Findings) -> NaiveRates:
        """Let the model read all streams. Which price book a block was written with is the workers' choice."""

        def prices(*block: Any) -> Prices:
            return BOOKS[self._book_of(found, block)]

        model = NaiveRates(_BLOCK_OFFSETS, prices, self.load.rubbish, found.unverified())
        last = None
        for stream, records in [*self.past, (self.stream(), log)]:
            if last is not None:
                known = {number for number in range(_PARTITIONS) if (stream, number) not in found.unverified()}
                model.carry_over(last, stream, known)
            model.read(stream, records)
            last = stream
        return model

    def _book_of(self, found: Findings, block: tuple[str, int, int]) -> int:
        """Say with which of the price books a block of a stream's partition was written at last."""
        stream, partition, _ = block
        version = found.books[stream, partition, found.editions[block]]["price_version"]
        return next(place for place, path in enumerate(self.books) if path.name in version)

    def books_out_of_order(self, committed: list[int] | None) -> list[tuple[str, int, int]]:
        """List the blocks with the wrong prices where the second book took over from these committed offsets on."""
        assert committed is not None
        found = Findings(self.kafka)
        taken_over = [offset // _BLOCK_OFFSETS for offset in committed]
        return [
            block for block in found.editions if self._book_of(found, block) != int(block[2] >= taken_over[block[1]])
        ]

    def _live_keys_beyond(self, model: NaiveRates) -> list[int]:
        """Compare what the workers held at their end with the keys of the partitions' last blocks."""
        held, live = self.live_keys, sum(map(len, model.last_keys.values()))
        return [held, live] if held > live else []

    def _entries_beyond(self, found: Findings) -> list[Any]:
        """List entries of streams that are gone, and sources with more than two: the one that counts, and one that a
        worker supersedes with its next flush."""
        return [
            (name, blocks) for name, blocks in found.entries().items() if name[0] != self.stream() or len(blocks) > 2
        ][:3]

    def stream(self) -> str:
        """Name the stream that ``usage.events`` is now."""
        topic = self.kafka.topics.usage
        return stream_ids(self.kafka, [topic], block_offsets=_BLOCK_OFFSETS)[topic]

    def _ends(self, log: list[LogRecord]) -> list[int]:
        ends = [0] * _PARTITIONS
        for record in log:
            ends[record.partition] = record.offset + 1
        return ends


def _as_written(rejects: Mapping[Place, tuple[str, bytes]]) -> dict[Place, tuple[str, str]]:
    return {place: (reason, b64encode(value).decode()) for place, (reason, value) in rejects.items()}


def _as_far_as_known(expected: Mapping[SourceName, SourceReport], found: Findings) -> dict[SourceName, SourceReport]:
    """Take over how many repeats were seen of a source in a partition that was begun without knowing what came before:
    who begins there goes on from what was kept, which is how many there were at least. A name that is shared, as was
    said of the topic before, need not be said again there."""
    said, unsure = found.reports(), found.unverified()
    shared = {name[1:] for name, one in said.items() if one.shared}
    return {
        name: one._replace(repeats=said[name].repeats) if name in said and name[:2] in unsure else one
        for name, one in expected.items()
        if name in said or name[:2] not in unsure or one != _ONLY_SHARED or name[1:] not in shared
    }


def _unequal(expected: dict[Any, Any], found: dict[Any, Any]) -> dict[Any, Any]:
    """Show three entries that differ, as expected and as found, and how many there are."""
    names = [name for name in {**expected, **found} if expected.get(name) != found.get(name)]
    shown = {name: (expected.get(name), found.get(name)) for name in names[:3]}
    return shown | ({"that differ": len(names), "of": len(expected)} if names else {})


@contextmanager
def playing(brokers: ApacheKafka | EmbeddedBroker, directory: Path, *, prefix: str, seed: int) -> Iterator[Scene]:
    """Set a scene: fresh topics and a fresh group under a prefix; one partition will have no traffic."""
    kafka = brokers.settings(prefix)
    create_topics(kafka, topic_specs(kafka.topics, partitions=_PARTITIONS))
    books = [directory / f"prices-{number}.toml" for number in range(len(BOOKS))]
    for path, prices in zip(books, BOOKS, strict=True):
        path.write_text(price_file(prices), encoding="utf-8")
    settings = {
        "block_offsets": _BLOCK_OFFSETS,
        "session_timeout_seconds": SESSION_SECONDS,
        "rates_group": f"{prefix}rates",
        "prices": books[0],
    }
    load = HardLoad(seed, partitions=_PARTITIONS - 1)
    with Fleet(kafka, directory, **settings) as fleet:
        yield Scene(brokers, kafka, f"{prefix}rates", fleet, load, Sender(kafka), Random(seed), books)
