"""Does ``UsageProducer`` take everything, never raise, and say what became of each event?"""

import asyncio
import threading
from typing import Any

import pytest
import structlog
from confluent_kafka import KafkaError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from structlog.testing import LogCapture
from tests.producers import CALL, FakeBroker, FakeClock, ends, positions, unpacked

from spendgauge.producers import ProducerSettings, ProducerStats, UsageProducer
from spendgauge.schemas import ConfigurationError, UsageEvent

pytestmark = pytest.mark.usefixtures("log")


def producer(broker: FakeBroker, **fields: Any) -> UsageProducer:
    """A producer to this broker that does not linger."""
    return UsageProducer(connect=broker.connect, **{"service": "api", "host": "h", "linger_ms": 0, **fields})


def total(stats: ProducerStats) -> int:
    """Add up every place where an event can be."""
    kept = stats.delivered + stats.refused + stats.failed + stats.spooled + stats.queued
    return kept + stats.invalid + stats.dropped + stats.closed


def test_an_event_arrives_as_it_was_emitted(broker: FakeBroker) -> None:
    """What is emitted is on the topic under the id that emit returned, with source, seq 0 and the defaults."""
    with producer(broker, dimensions={"team": "search"}) as emitter:
        event_id = emitter.emit(**CALL, feature="chat")
        (source,) = emitter.sources
    (event,) = broker.events
    assert (event.event_id, event.source, event.seq) == (event_id, source, 0)
    assert (event.service, event.team, event.feature, event.input_tokens) == ("api", "search", "chat", 10)
    assert source.startswith("api@h#")


def test_an_idle_producer_sends_at_once(broker: FakeBroker) -> None:
    """The first event after a pause does not wait for the linger."""
    emitter = producer(broker, linger_ms=60_000)
    emitter.emit(**CALL)
    assert emitter.flush(10)
    assert len(broker.events) == 1
    assert emitter.close(10)


def test_events_share_records(broker: FakeBroker) -> None:
    """What is emitted within the linger leaves in records of at most ``coalesce_events``."""
    broker.up = False
    emitter = producer(broker, coalesce_events=10, linger_ms=60_000)
    for _ in range(100):
        emitter.emit(**CALL)
    broker.up = True
    assert emitter.close(10)
    sizes = [len(unpacked([record])) for record in broker.records]
    assert sum(sizes) == 100
    assert max(sizes) <= 10
    assert len(sizes) < 100


def test_a_full_record_does_not_linger(broker: FakeBroker) -> None:
    """Once as many events wait as a record takes, they leave, however long the linger."""
    emitter = producer(broker, coalesce_events=10, linger_ms=60_000)
    emitter.emit(**CALL)
    assert broker.wait_for(1)  # the first after a pause leaves at once, with whatever has come by then
    for _ in range(10):
        emitter.emit(**CALL)
    assert broker.wait_for(11)
    assert emitter.close(10)


def _broken_processor(*_: Any) -> str:
    raise RuntimeError("the host's log is broken")


def test_a_broken_log_does_not_stop_the_sending(broker: FakeBroker) -> None:
    """Where the host's own logging raises, events are sent all the same."""
    structlog.configure(processors=[_broken_processor])
    with producer(broker) as emitter:
        emitter.emit(model="no provider")
        emitter.emit(**CALL)
    assert (emitter.stats().invalid, emitter.stats().delivered) == (1, 1)


def test_seq_is_contiguous_under_threads(broker: FakeBroker) -> None:
    """Eight threads that emit at once get one unbroken numbering from 0, in the order of the log, each id once."""
    emitter, ids = producer(broker), list[str | None]()

    def run() -> None:
        ids.extend([emitter.emit(**CALL) for _ in range(500)])

    threads = [threading.Thread(target=run) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert emitter.close(30)
    assert list(positions(broker.records).values()) == [list(range(4000))]
    assert {event.event_id for event in broker.events} == set(ids)


def test_each_lane_numbers_its_own(broker: FakeBroker) -> None:
    """With lanes, events are spread over sources ``/0``, ``/1``, …: each contiguous from 0, each its records' key."""
    with producer(broker, lanes=3, coalesce_events=2) as emitter:
        for _ in range(30):
            emitter.emit(**CALL)
    found = positions(broker.records)
    assert {source.rpartition("/")[2] for source in found} == {"0", "1", "2"}
    assert all(seqs == list(range(len(seqs))) for seqs in found.values())
    assert {source: len(seqs) for source, seqs in found.items()} == emitter.sources
    assert {record.key.decode() for record in broker.records} == set(found)


def test_an_invalid_event_uses_no_seq(broker: FakeBroker, log: LogCapture) -> None:
    """Between valid events an invalid one leaves no gap; it is counted, and logged once with its reason."""
    with producer(broker) as emitter:
        for tokens in (1, -1, 2, "3", 4):
            emitter.emit(**{**CALL, "input_tokens": tokens})
    assert [event.seq for event in broker.events] == [0, 1, 2]
    assert emitter.stats() == ProducerStats(accepted=3, delivered=3, invalid=2, records=emitter.stats().records)
    assert sum(entry["count"] for entry in log.entries) == 2
    assert log.entries[0]["reason"] == "the event: input_tokens -1 must be >= 0; only an adjustment may be negative"


def test_a_full_queue_drops_and_leaves_a_gap(broker: FakeBroker, log: LogCapture) -> None:
    """What comes while the queue is full is not taken; emit says so, and the numbering shows how many there were."""
    broker.up = False
    emitter = producer(broker, queue_events=5)
    ids = [emitter.emit(**CALL) for _ in range(8)]
    assert ids[5:] == [None, None, None]
    broker.up = True
    assert emitter.flush(10)
    emitter.emit(**CALL)
    assert emitter.close(10)
    seqs = [event.seq for event in broker.events]
    assert len(seqs) == 6
    assert emitter.sources == {broker.events[0].source: 9}
    assert seqs == sorted(set(seqs), key=lambda seq: seq or 0)
    assert (emitter.stats().dropped, emitter.stats().delivered) == (3, 6)
    assert sum(entry["count"] for entry in log.entries if "queue is full" in entry["event"]) == 3


def test_bytes_bound_the_queue_too(broker: FakeBroker) -> None:
    """Once ``queue_bytes`` of lines wait for the broker, further events are dropped."""
    broker.up = False
    emitter = producer(broker, queue_bytes=1)
    emitter.emit(**CALL)
    assert not emitter.flush(0.2)
    assert emitter.emit(**CALL) is None
    broker.up = True
    assert emitter.close(10)


def test_flush_waits_for_acknowledgement(broker: FakeBroker) -> None:
    """Flush says no while the broker is away, and yes once what was emitted before is acknowledged."""
    broker.up = False
    emitter = producer(broker)
    emitter.emit(**CALL)
    assert not emitter.flush(0.05)
    assert (emitter.stats().queued, emitter.stats().delivered) == (1, 0)
    broker.up = True
    assert emitter.flush(10)
    assert (emitter.stats().queued, emitter.stats().delivered) == (0, 1)
    assert emitter.close(10)


def test_flush_admits_a_loss(broker: FakeBroker) -> None:
    """Flush says no where the broker will not take one of the events, though nothing waits any more."""
    broker.refusals = [KafkaError(KafkaError.MSG_SIZE_TOO_LARGE)]
    emitter = producer(broker)
    emitter.emit(**CALL)
    assert not emitter.flush(10)
    assert emitter.flush(10)
    assert (emitter.stats().refused, emitter.stats().queued) == (1, 0)
    assert emitter.close(10)


def test_close_is_final_and_idempotent(broker: FakeBroker, log: LogCapture) -> None:
    """Closing sends what waits; closing again says the same; later events are counted as closed and logged once."""
    emitter = producer(broker)
    emitter.emit(**CALL)
    assert emitter.close(10)
    assert emitter.close(10)
    assert [emitter.emit(**CALL), emitter.emit(**CALL)] == [None, None]
    assert emitter.flush(0)
    assert emitter.stats() == ProducerStats(accepted=1, delivered=1, closed=2, records=1)
    assert [entry["event"] for entry in log.entries] == ["events not sent: emitted after close()"]


def test_a_lost_tail_is_told(broker: FakeBroker) -> None:
    """What is dropped or refused behind the last event that arrived is below the number with which the source ends."""
    broker.up = False
    emitter = producer(broker, queue_events=3)
    ids = [emitter.emit(**CALL) for _ in range(8)]
    assert ids.count(None) == 5
    broker.refusals = [KafkaError(KafkaError.MSG_SIZE_TOO_LARGE)]
    broker.up = True
    assert not emitter.close(10)
    (source,) = emitter.sources
    assert ends(broker.records) == {source: [8]}
    assert len(broker.events) + emitter.stats().refused == 3


def test_each_lane_that_was_used_ends(broker: FakeBroker) -> None:
    """Each source that has used a number says where it ends, once and behind its events; one that has not, nothing."""
    emitter = producer(broker, lanes=3, coalesce_events=2)
    emitter.emit(**CALL)
    assert emitter.flush(10)
    emitter.emit(**CALL)
    assert emitter.close(10)
    assert emitter.close(10)
    assert ends(broker.records) == {source: [1] for source in list(emitter.sources)[:2]}
    assert emitter.stats() == ProducerStats(accepted=2, delivered=2, records=2)


def test_a_refused_end_is_no_loss(broker: FakeBroker, log: LogCapture) -> None:
    """Where the broker takes the events and not the end, close says yes, nothing is counted, and the log names it."""
    emitter = producer(broker)
    emitter.emit(**CALL)
    assert emitter.flush(10)
    broker.refusals = [KafkaError(KafkaError.INVALID_RECORD)]
    assert emitter.close(10)
    assert emitter.stats() == ProducerStats(accepted=1, delivered=1, records=1)
    assert [(entry["event"], entry["first_seq"]) for entry in log.entries] == [("a source's end was refused", 1)]


def test_close_without_a_broker_says_what_is_lost(broker: FakeBroker, log: LogCapture) -> None:
    """With the broker away, close returns False within its bound, and what waited is counted as failed and logged."""
    broker.up = False
    emitter = producer(broker)
    for _ in range(7):
        emitter.emit(**CALL)
    assert not emitter.close(0.05)
    assert not emitter.close(0.05)
    assert (emitter.stats().failed, emitter.stats().queued) == (7, 0)
    lost = [entry["count"] for entry in log.entries if entry["event"].startswith("events lost")]
    assert lost == [7]


@pytest.mark.parametrize("method", ["poll", "purge"])
def test_a_thread_that_hangs_is_said(
    broker: FakeBroker, log: LogCapture, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    """Where the client never answers again, close says that events may be lost, and how many."""
    hangs = threading.Event()
    broker.up = False
    emitter = producer(broker)
    monkeypatch.setattr(broker.clients[0], method, lambda *_: hangs.wait(30))
    for _ in range(3):
        emitter.emit(**CALL)
    assert not emitter.close(0.1)
    (entry,) = (entry for entry in log.entries if "may be lost" in entry["event"])
    assert (entry["event"], entry["count"]) == ("events may be lost: the producer's thread hangs", 3)
    hangs.set()


def test_the_thread_ends_with_close(broker: FakeBroker) -> None:
    """After close no thread of the producer is left."""
    before = set(threading.enumerate())
    with producer(broker) as emitter:
        emitter.emit(**CALL)
    assert set(threading.enumerate()) <= before


def test_the_callers_tags_stay_theirs(broker: FakeBroker) -> None:
    """A map of tags changed after emit does not change the event."""
    broker.up = False
    tags = {"run": "1"}
    with producer(broker) as emitter:
        emitter.emit(**CALL, tags=tags)
        tags["run"] = "2"
        broker.up = True
    assert broker.events[0].tags == {"run": "1"}


def test_coroutines_emit_without_waiting(broker: FakeBroker) -> None:
    """A hundred tasks emit on the loop's own thread, with the broker away; closed in another thread, the loop turns on,
    and all arrives."""
    emitter, turns = producer(broker), []

    async def call(number: int) -> str | None:
        await asyncio.sleep(0)
        return emitter.emit(**CALL, entity_id=f"{number}")

    async def serve() -> list[str | None]:
        broker.up = False
        ids = await asyncio.gather(*map(call, range(100)))
        closing = asyncio.create_task(asyncio.to_thread(emitter.close, 10))
        for _ in range(100):
            await asyncio.sleep(0)
            turns.append(closing.done())
        broker.up = True
        assert await closing
        return ids

    ids = asyncio.run(serve())
    assert turns == [False] * 100
    assert [event.event_id for event in broker.events] == ids


class Hostile:
    """A value whose every look raises."""

    def __getattribute__(self, name: str) -> Any:
        raise RuntimeError(name)

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("eq")

    def __bool__(self) -> bool:
        raise RuntimeError("bool")

    __hash__ = None  # type: ignore[assignment] # hashing raises too


@pytest.mark.parametrize("name", [*UsageEvent.model_fields, "prompt", "self"])
def test_hostile_values_are_invalid_and_harm_nobody(broker: FakeBroker, name: str) -> None:
    """A value whose own methods raise makes its event invalid; the next event is sent."""
    with producer(broker) as emitter:
        emitter.emit(**{**CALL, name: Hostile()})
        emitter.emit(**CALL)
        assert emitter.flush(10)
    assert (emitter.stats().invalid, [event.seq for event in broker.events]) == (1, [0])


ANYTHING = st.one_of(st.none(), st.integers(), st.floats(), st.text(), st.binary(), st.just([]), st.just({1: object}))
CALLS = st.lists(
    st.one_of(
        st.just(CALL),
        st.dictionaries(st.one_of(st.sampled_from(sorted(UsageEvent.model_fields)), st.text()), ANYTHING, max_size=4),
    ),
    max_size=30,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(calls=CALLS, queue_events=st.integers(1, 20), up=st.booleans(), late=st.integers(0, 3))
def test_every_event_is_in_exactly_one_place(
    calls: list[dict[str, Any]], queue_events: int, up: bool, late: int
) -> None:
    """Whatever is emitted, nothing is raised, and delivered + failed + invalid + dropped + closed is all there was; the
    log holds exactly the delivered, each accepted or dropped event has used one seq, and the source's end says so."""
    broker = FakeBroker(up=up)
    emitter = producer(broker, queue_events=queue_events)
    for fields in calls:
        emitter.emit(**fields)
    closed = emitter.close(10 if up else 0)
    for fields in calls[:late]:
        assert emitter.emit(**fields) is None
    stats = emitter.stats()
    assert (total(stats), stats.queued, stats.closed) == (len(calls) + len(calls[:late]), 0, len(calls[:late]))
    assert (stats.accepted, stats.delivered) == (stats.delivered + stats.failed, len(broker.events))
    assert closed == (stats.failed == 0)
    ((source, used),) = emitter.sources.items()
    assert stats.accepted <= used <= stats.accepted + stats.dropped
    if up:
        assert ends(broker.records) == ({source: [used]} if used else {})


def test_an_error_inside_emit_is_counted_and_logged(broker: FakeBroker, log: LogCapture) -> None:
    """Should emit itself fail, the caller gets None, and the event is counted as invalid and logged."""
    clock = FakeClock()
    with producer(broker, clock=clock) as emitter:
        clock.wall_ms = None  # type: ignore[assignment] # a clock that is broken
        assert emitter.emit(**CALL) is None
    assert emitter.stats().invalid == 1
    assert [entry["event"] for entry in log.entries] == ["events not sent: emit() met an error"]


def test_settings_or_fields_not_both() -> None:
    """Settings beside fields are refused: which of them wins would be a guess."""
    with pytest.raises(ConfigurationError, match="either settings or fields; lanes came beside settings"):
        UsageProducer(ProducerSettings(service="api"), lanes=2)


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({}, "name the service"),
        ({"service": "api", "lanes": 0}, "LANES=0 cannot be used"),
        ({"service": "api", "dimensions": {"colour": "red"}}, "colour is no dimension; there are tenant, team"),
        ({"service": "api", "dimensions": {"team": "x" * 257}}, "value of team has more than 256"),
        ({"service": "api", "lane": 2}, "LANE=2 cannot be used"),
    ],
)
def test_bad_settings_fail_at_construction(fields: dict[str, Any], sentence: str) -> None:
    """What cannot work is said when the producer is made, in a sentence that names the setting."""
    with pytest.raises(ConfigurationError, match=sentence):
        UsageProducer(connect=FakeBroker().connect, **fields)
