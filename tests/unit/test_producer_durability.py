"""Is an event as safe as ``durability`` says when ``emit`` has returned, and is each sent in its order afterwards?"""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from confluent_kafka import KafkaError
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import LogCapture
from tests.producers import CALL, FakeBroker, FakeClock, ends, positions, unpacked

from spendgauge.producers import ProducerSettings, ProducerStats, UsageProducer
from spendgauge.producers.intake import Intake
from spendgauge.producers.lane import Lane
from spendgauge.producers.notices import Notices
from spendgauge.producers.sender import Sender
from spendgauge.producers.spool import DiskSpools, Journal
from spendgauge.producers.spool.segment import Segment
from spendgauge.producers.worker import Worker
from spendgauge.schemas import ConfigurationError
from spendgauge.schemas.ends import SourceEnd

pytestmark = pytest.mark.usefixtures("log")

SAFE = ["process", "disk"]


@pytest.fixture
def producer(broker: FakeBroker, tmp_path: Path) -> Callable[..., UsageProducer]:
    """Make producers to this broker with one spool."""
    common = {"service": "api", "host": "h", "linger_ms": 0, "spool_dir": str(tmp_path / "spool")}
    return lambda **fields: UsageProducer(connect=broker.connect, **{**common, **fields})


def waiting(tmp_path: Path) -> list[str]:
    """List the lines on disk."""
    paths = sorted((tmp_path / "spool").glob("*/*.spool"))
    return [line for path in paths for line in path.read_text().splitlines()]


@pytest.mark.parametrize("durability", SAFE)
def test_an_event_is_on_disk_when_emit_returns(
    broker: FakeBroker, producer: Callable[..., UsageProducer], tmp_path: Path, durability: str
) -> None:
    """With ``process`` and ``disk`` the event can be read in the spool as soon as there is an id, broker or not."""
    broker.up = False
    emitter = producer(durability=durability)
    for number in range(3):
        event_id = emitter.emit(**CALL)
        assert event_id is not None
        assert event_id in waiting(tmp_path)[number]
    assert (emitter.stats().accepted, emitter.stats().spooled, emitter.stats().queued) == (3, 3, 0)
    broker.up = True
    assert emitter.close(10)
    assert emitter.stats() == ProducerStats(accepted=3, delivered=3, records=emitter.stats().records)
    assert list((tmp_path / "spool").iterdir()) == []


@pytest.mark.parametrize("durability", ["memory", *SAFE])
def test_what_close_cannot_send_is_the_next_ones(
    broker: FakeBroker, producer: Callable[..., UsageProducer], tmp_path: Path, durability: str
) -> None:
    """What waits at close is left on disk; the next producer sends it under its old source, in order, once."""
    broker.up = False
    first = producer(durability=durability, lanes=2, coalesce_events=3)
    ids = [first.emit(**CALL) for _ in range(20)]
    assert not first.close(0)
    assert (first.stats().spooled, first.stats().failed, first.stats().queued) == (20, 0, 0)
    broker.up = True
    second = producer(durability=durability)
    own = second.emit(**CALL)
    assert broker.wait_for(21)
    assert second.close(10)
    assert {event.event_id for event in broker.events} == {*ids, own}
    assert ends(broker.records) == {source: [count] for source, count in {**first.sources, **second.sources}.items()}
    found = positions(broker.records)
    assert found.keys() == {**first.sources, **second.sources}.keys()
    assert all(seqs == list(range(len(seqs))) for seqs in found.values())
    assert (second.stats().accepted, second.stats().delivered, second.stats().replayed) == (1, 1, 20)
    assert list((tmp_path / "spool").iterdir()) == []


def test_in_memory_mode_the_disk_is_for_trouble(
    broker: FakeBroker, producer: Callable[..., UsageProducer], tmp_path: Path
) -> None:
    """While the broker answers nothing is written; once half of the queue waits for it, further events go to disk and
    come back in order, with later ones behind them."""
    emitter = producer(queue_events=20, coalesce_events=2)
    emitter.emit(**CALL)
    assert emitter.flush(10)
    assert waiting(tmp_path) == []
    broker.up = False
    for _ in range(30):
        assert emitter.emit(**CALL) is not None
        _until(lambda: not emitter._worker.queue)
    stats = emitter.stats()
    assert (stats.spooled + stats.queued, stats.dropped) == (30, 0)
    assert 10 <= stats.queued <= 12
    assert len(waiting(tmp_path)) == stats.spooled
    broker.up = True
    for _ in range(5):
        emitter.emit(**CALL)
    assert emitter.close(10)
    (seqs,) = positions(broker.records).values()
    assert seqs == list(range(36))


def _until(done: Callable[[], bool]) -> None:
    gate = threading.Event()
    for _ in range(2000):
        if done():
            return
        gate.wait(0.005)
    raise AssertionError("it did not happen within ten seconds")


@pytest.mark.parametrize("durability", ["memory", *SAFE])
def test_memory_and_disk_full_drop_and_leave_a_gap(
    broker: FakeBroker, producer: Callable[..., UsageProducer], log: LogCapture, durability: str
) -> None:
    """When the spool and the queue are both full, emit says None, counts and logs it; what arrives is in order, and the
    numbering shows how many were dropped."""
    broker.up = False
    emitter = producer(durability=durability, queue_events=300, spool_bytes=256 * 1024, coalesce_events=10)
    emitted = 0
    while emitter.stats().dropped < 7:
        emitter.emit(**CALL)
        emitted += 1
        _until(lambda: len(emitter._worker.queue) < 50 or emitter._worker.intake.pressed)
    broker.up = True
    assert emitter.flush(20)
    last = emitter.emit(**CALL)
    assert emitter.close(10)
    stats = emitter.stats()
    assert (stats.delivered, stats.dropped, stats.spooled, stats.failed) == (emitted + 1 - 7, 7, 0, 0)
    (seqs,) = positions(broker.records).values()
    assert seqs == sorted(set(seqs), key=lambda seq: seq or 0)
    assert emitter.sources.popitem()[1] == emitted + 1
    assert last is not None
    assert sum(entry["count"] for entry in log.entries if "queue is full" in entry["event"]) == 7


@pytest.mark.parametrize("durability", SAFE)
def test_a_disk_that_refuses_is_not_the_end(
    broker: FakeBroker,
    producer: Callable[..., UsageProducer],
    log: LogCapture,
    monkeypatch: pytest.MonkeyPatch,
    durability: str,
) -> None:
    """Where the disk takes nothing, emit gives no id, because the promise is not kept; the event goes through memory
    and arrives all the same, in its order, and the log says why."""
    emitter = producer(durability=durability)
    assert emitter.emit(**CALL) is not None
    with monkeypatch.context() as patch:
        patch.setattr(Segment, "append", _full_disk)
        assert [emitter.emit(**CALL) for _ in range(3)] == [None, None, None]
        assert emitter.flush(10)
    assert emitter.close(10)
    assert emitter.stats().delivered == 4
    assert list(positions(broker.records).values()) == [[0, 1, 2, 3]]
    told = [entry for entry in log.entries if "the spool does not take them" in entry["event"]]
    assert (sum(entry["count"] for entry in told), told[0]["reason"]) == (3, "no space left")


def _full_disk(*_: object) -> None:
    raise OSError("no space left")


def test_an_event_that_is_not_synced_has_no_id(
    broker: FakeBroker, producer: Callable[..., UsageProducer], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where fsync fails, emit gives no id; the event is written all the same and arrives once."""
    emitter = producer(durability="disk")
    assert emitter.emit(**CALL) is not None
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", _full_disk)
        assert emitter.emit(**CALL) is None
    assert emitter.close(10)
    assert list(positions(broker.records).values()) == [[0, 1]]


@pytest.mark.parametrize("durability", SAFE)
def test_an_invalid_event_reaches_no_disk(
    producer: Callable[..., UsageProducer], log: LogCapture, tmp_path: Path, durability: str
) -> None:
    """An invalid event has no id and no seq, is written nowhere, and is counted and logged once with its reason."""
    with producer(durability=durability) as emitter:
        assert emitter.emit(**CALL, prompt="my secret") is None
        assert emitter.emit(**CALL) is not None
        assert "secret" not in "".join(waiting(tmp_path))
    assert (emitter.stats().invalid, emitter.stats().delivered, list(emitter.sources.values())) == (1, 1, [1])
    assert [entry["reason"] for entry in log.entries] == ["prompt is not a field of a usage event"]


def test_an_emit_inside_an_emit_does_not_wait_for_itself(
    broker: FakeBroker, producer: Callable[..., UsageProducer], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A signal handler or finalizer that emits in the middle of a write gets no id and harms nothing; both arrive."""
    emitter, inner, write = producer(durability="process"), list[str | None](), Segment.append

    def interrupted(segment: Segment, data: bytes) -> None:
        if not inner:
            inner.append(emitter.emit(**CALL, feature="signal"))
        write(segment, data)

    monkeypatch.setattr(Segment, "append", interrupted)
    assert emitter.emit(**CALL, feature="main") is not None
    assert emitter.close(10)
    assert inner == [None]
    assert sorted((event.feature, event.seq) for event in broker.events) == [("main", 0), ("signal", 1)]


@pytest.mark.parametrize("durability", ["memory", *SAFE])
def test_threads_share_a_spool(broker: FakeBroker, producer: Callable[..., UsageProducer], durability: str) -> None:
    """Eight threads that emit while the broker comes and goes: every event with an id arrives once, in order."""
    emitter, ids = producer(durability=durability, queue_events=500, lanes=2), list[str | None]()

    def run() -> None:
        ids.extend([emitter.emit(**CALL) for _ in range(100)])

    broker.up = False
    threads = [threading.Thread(target=run) for _ in range(8)]
    for thread in threads:
        thread.start()
    broker.up = True
    for thread in threads:
        thread.join()
    assert emitter.close(30)
    assert {event.event_id for event in broker.events} >= {event_id for event_id in ids if event_id}
    assert all(seqs == sorted(set(seqs), key=lambda seq: seq or 0) for seqs in positions(broker.records).values())
    assert emitter.stats().delivered + emitter.stats().dropped == 800


def test_what_is_refused_for_ever_does_not_come_back(
    broker: FakeBroker, producer: Callable[..., UsageProducer], log: LogCapture, tmp_path: Path
) -> None:
    """A record that no broker will take leaves the spool too: counted as refused, named once, not replayed."""
    broker.refusals = [KafkaError(KafkaError.MSG_SIZE_TOO_LARGE)]
    emitter = producer(durability="process")
    emitter.emit(**CALL)
    assert not emitter.flush(10)
    assert emitter.close(10)
    assert (emitter.stats().refused, emitter.stats().spooled) == (1, 0)
    assert list((tmp_path / "spool").iterdir()) == []
    assert [entry["last_seq"] for entry in log.entries] == [0]


def test_damage_is_told_and_counted(
    broker: FakeBroker, producer: Callable[..., UsageProducer], log: LogCapture, tmp_path: Path
) -> None:
    """A line that a disk has changed is not sent; its neighbours are, and the log says how many are missing."""
    broker.up = False
    first = producer(durability="process")
    for _ in range(3):
        first.emit(**CALL)
    assert not first.close(0)
    (path,) = (tmp_path / "spool").glob("*/*.spool")
    path.write_bytes(path.read_bytes().replace(b'"seq":1,', b'"seq":7,'))
    broker.up = True
    second = producer(durability="process")
    _until(lambda: not second.replaying)
    assert second.close(10)
    assert list(positions(broker.records).values()) == [[0, 2]]
    assert [entry["count"] for entry in log.entries if "damaged" in entry["event"]] == [1]


@pytest.mark.parametrize("durability", SAFE)
def test_what_a_killed_service_wrote_is_its_end(
    broker: FakeBroker, producer: Callable[..., UsageProducer], tmp_path: Path, durability: str
) -> None:
    """The heir of a process that was killed says behind its events how many numbers its journal proves."""
    (tmp_path / "spool").mkdir()
    dead = Service(str(tmp_path / "spool"), FakeBroker(up=False), FakeClock(), boot="1", durability=durability)
    assert [dead.emit() is not None for _ in range(5)] == [True] * 5
    dead.kill()
    heir = producer(durability=durability)
    _until(lambda: not heir.replaying)
    assert heir.close(10)
    assert ends(broker.records) == {"api@h#1": [5]}
    assert heir.stats().replayed == 5


@pytest.mark.parametrize("durability", ["memory", *SAFE])
def test_an_end_that_cannot_be_sent_waits_too(
    broker: FakeBroker, producer: Callable[..., UsageProducer], durability: str
) -> None:
    """Where the broker goes before a source's end was sent, the next process sends it; nothing counts as waiting."""
    first = producer(durability=durability)
    first.emit(**CALL)
    assert first.flush(10)
    broker.up = False
    assert first.close(0)
    assert (first.stats().spooled, first.stats().delivered) == (0, 1)
    broker.up = True
    second = producer(durability=durability)
    _until(lambda: not second.replaying)
    assert second.close(10)
    assert ends(broker.records) == {source: [1] for source in first.sources}
    assert second.stats() == ProducerStats()


def test_one_unusable_spool_holds_up_no_other(
    producer: Callable[..., UsageProducer], log: LogCapture, tmp_path: Path
) -> None:
    """A directory that cannot be taken over is named in the log, and those beside it are replayed."""
    root = tmp_path / "spool"
    root.mkdir()
    for number in range(3):
        dead = Service(str(root), FakeBroker(up=False), FakeClock(), boot=f"{number}", durability="process")
        dead.emit()
        dead.kill()
    (root / "1" / "acknowledged").mkdir()
    heir = producer(durability="process")
    _until(lambda: heir.stats().replayed == 2)
    assert heir.close(10)
    assert [path.name for path in root.iterdir()] == ["1"]
    assert any("1/acknowledged" in entry.get("reason", "") for entry in log.entries)


def test_any_number_of_dead_processes_is_replayed(
    broker: FakeBroker, producer: Callable[..., UsageProducer], tmp_path: Path
) -> None:
    """What forty processes left is sent by the next one, some directories at a time, all of it soon."""
    root = tmp_path / "spool"
    root.mkdir()
    for number in range(40):
        dead = Service(str(root), FakeBroker(up=False), FakeClock(), boot=f"{number:020x}", durability="process")
        dead.emit()
        dead.kill()
    heir = producer(durability="process")
    _until(lambda: not heir.replaying)
    assert heir.close(10)
    assert (heir.stats().replayed, len(positions(broker.records))) == (40, 40)
    assert list(root.iterdir()) == []


def test_a_producer_without_trouble_makes_no_file(producer: Callable[..., UsageProducer], tmp_path: Path) -> None:
    """With ``memory`` and a broker that answers, the spool stays an empty directory."""
    with producer() as emitter:
        emitter.emit(**CALL)
        assert emitter.flush(10)
        assert list(tmp_path.rglob("*")) == [tmp_path / "spool"]


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"durability": "process"}, "SPENDGAUGE_DURABILITY=process needs SPENDGAUGE_SPOOL_DIR"),
        ({"durability": "never"}, "DURABILITY='never' cannot be used"),
        ({"spool_dir": "/dev/null/spool"}, "SPENDGAUGE_SPOOL_DIR='/dev/null/spool' cannot be used: .*Not a directory"),
    ],
)
def test_a_spool_that_cannot_work_is_said_at_once(fields: dict[str, Any], sentence: str) -> None:
    """What cannot work is refused at construction, by name."""
    with pytest.raises(ConfigurationError, match=sentence):
        UsageProducer(service="api", connect=FakeBroker().connect, **fields)


class Service:
    """One process of a service, with a spool, whose thread the test drives; ``kill`` ends it as ``kill -9`` does."""

    def __init__(self, root: str, broker: FakeBroker, clock: FakeClock, *, boot: str, durability: str) -> None:
        fields: dict[str, Any] = {"durability": durability, "queue_events": 12, "coalesce_events": 3}
        self.settings = ProducerSettings(service="api", spool_dir=root, spool_bytes=256 * 1024, linger_ms=0, **fields)
        notices = Notices(clock.monotonic)
        lanes = (Lane(f"api@h#{boot}", defaults={}, max_events=3, max_bytes=10**6),)
        spools = DiskSpools(self.settings, boot, clock=clock, notices=notices)
        self.journal = None if durability == "memory" else Journal(lanes, spools.writer, synced=False, run=3)
        sender = Sender("usage", partial(broker.connect, self.settings), clock=clock, notices=notices)
        self.intake = Intake(
            lanes, sender, self.settings, clock=clock, notices=notices, spools=spools, journal=self.journal
        )
        self.worker = Worker(self.intake, clock=clock, notices=notices, linger_seconds=0)
        self._clock = clock

    def emit(self) -> str | None:
        """Emit an event; its id where it is safe."""
        draft = (self.worker.ids.take(self._clock.now_ms()), self._clock.now_ms(), CALL)
        if self.journal is not None and self.journal.write(draft) == "safe":
            return draft[0]
        if len(self.worker.queue) + self.worker.sender.pending_events < self.settings.queue_events:
            self.worker.queue.append(draft)
        return None

    def turn(self) -> None:
        """Let its thread do what it does between two rests."""
        self.worker._take_in()
        self.intake.pull()
        self.worker._attend()

    def kill(self) -> None:
        """End it: files and locks are closed, nothing else."""
        self.worker.spools.abandon()


def _until_held(service: Service) -> int:
    """Emit until neither broker nor spool takes more; return how many events there are, all numbered."""
    emitted = 0
    while not service.intake._held:
        service.emit()
        service.turn()
        emitted += 1
    assert not service.worker.queue
    return emitted


def test_what_finds_no_room_goes_when_there_is(tmp_path: Path) -> None:
    """A record that waits for a full spool is sent in its place when the broker is back, though nothing else comes."""
    clock, broker = FakeClock(), FakeBroker(up=False)
    service = Service(str(tmp_path), broker, clock, boot="1", durability="memory")
    emitted = _until_held(service)
    broker.up = True
    for _ in range(emitted):
        service.turn()
        clock.sleep(1.0)
    assert list(positions(broker.records).values()) == [list(range(emitted))]
    assert not service.intake.pressed
    service.kill()


def test_what_finds_no_room_at_the_end_is_counted(tmp_path: Path) -> None:
    """Where memory and spool are full at close, what is lost is counted, and the rest is on disk."""
    broker = FakeBroker(up=False)
    service = Service(str(tmp_path), broker, FakeClock(), boot="1", durability="memory")
    emitted = _until_held(service)
    assert service.worker.stop()
    assert service.intake.lost > 0
    assert service.intake.accepted == emitted == service.intake.lost + service.worker.spools.waiting_events


def test_what_was_left_in_memory_stays_behind_what_is_on_disk(tmp_path: Path) -> None:
    """Where memory holds newer events than the disk when a service closes, the disk's are replayed before them."""
    clock, broker = FakeClock(), FakeBroker(up=False, window=1)
    service = Service(str(tmp_path), broker, clock, boot="1", durability="memory")
    for _ in range(9):
        service.emit()
    service.turn()
    assert service.worker.spools.waiting_events == 3
    broker.up = True
    service.worker.sender.turn(0)
    service.worker.sender.turn(0)
    broker.up = False
    service.turn()
    service.emit()
    service.turn()
    assert (service.worker.spools.unread, service.worker.sender.pending_events) == (False, 4)
    assert service.worker.stop()
    broker.up = True
    heir = Service(str(tmp_path), broker, clock, boot="2", durability="memory")
    for _ in range(9):
        heir.turn()
        clock.sleep(1.0)
    (seqs,) = positions(broker.records).values()
    assert list(dict.fromkeys(seqs)) == list(range(10))
    heir.kill()


STEPS = st.lists(st.sampled_from(["emit", "emit", "turn", "wait", "down", "up", "break", "kill", "close"]), max_size=70)


@contextmanager
def _spool() -> Iterator[str]:
    with TemporaryDirectory() as folder:
        yield folder


@settings(deadline=None, max_examples=150)
@given(steps=STEPS, durability=st.sampled_from(["memory", "process"]), window=st.integers(1, 3))
def test_nothing_that_was_safe_is_lost_or_out_of_order(steps: list[str], durability: str, window: int) -> None:
    """However often a service is killed or closed and its broker comes and goes: every event that had an id arrives, as
    does every one that was accepted before a close, and of each source first deliveries are in the order of ``seq``.
    Each that was closed has said which number comes next."""
    clock, broker, safe, boots = FakeClock(), FakeBroker(window=window), list[str](), iter(range(1000))
    closed: dict[str, int] = {}
    with _spool() as root:

        def start() -> Service:
            return Service(root, broker, clock, boot=f"{next(boots):020x}", durability=durability)

        service = start()
        for step in [*steps, "up", "close"]:
            match step:
                case "emit":
                    safe += filter(None, [service.emit()])
                case "turn":
                    service.turn()
                case "wait":
                    clock.sleep(1.0)
                case "down" | "up":
                    broker.up = step == "up"
                case "break" if broker.clients:
                    broker.clients[-1].on_error(KafkaError(KafkaError._FATAL, "broken", True))
                case "kill":
                    service.kill()
                    service = start()
                case "close":
                    accepted = [draft[0] for draft in service.worker.queue if isinstance(draft, tuple)]
                    assert service.worker.stop()
                    assert service.intake.lost == 0
                    safe += accepted
                    (lane,) = service.intake.lanes
                    closed[lane.source] = lane.next_seq
                    service = start()
        for _ in range(len(steps) + 40):
            clock.sleep(1.0)
            service.turn()
        service.kill()
        assert list(Path(root).iterdir()) == []
    assert {event.event_id for event in broker.events} >= set(safe)
    for seqs in positions(broker.records).values():
        first = list(dict.fromkeys(seqs))
        assert first == sorted(first, key=lambda seq: seq or 0)
    told = [SourceEnd.model_validate_json(record.value) for record in broker.records if not unpacked([record])]
    assert {(end.source, end.next_seq) for end in told} >= {(name, used) for name, used in closed.items() if used}
