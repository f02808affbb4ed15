"""Does the bulk writer number each source, wait for the broker, and name the rows it cannot send?"""

from collections.abc import Iterator
from typing import Any

import pytest
from confluent_kafka import KafkaError
from structlog.testing import LogCapture
from tests.producers import CALL, FakeBroker, positions

from spendgauge.producers import BulkWriter, DeliverySettings, ProducerStats
from spendgauge.schemas import ConfigurationError, UnavailableError

pytestmark = pytest.mark.usefixtures("log")

LINE = (
    b'{"event_id":"0190c5b0-3d6e-7c41-9f0e-2a6f1d0b7e55","occurred_at":"2026-01-31T12:00:00Z",'
    b'"provider":"p","model":"m"}'
)


@pytest.fixture
def broker() -> FakeBroker:
    """Kafka in memory."""
    return FakeBroker(window=2)


def writer(broker: FakeBroker, *, stall_seconds: float = 10, **fields: Any) -> BulkWriter:
    """A writer to this broker."""
    return BulkWriter(DeliverySettings(**fields), stall_seconds=stall_seconds, connect=broker.connect)


def test_each_source_is_numbered_from_0(broker: FakeBroker) -> None:
    """The events of each source have its name, its key and its own contiguous seq, in the order written."""
    with writer(broker, coalesce_events=2) as bulk:
        one, two = bulk.open_source("api", "h1", boot="b"), bulk.open_source("api", "h2", boot="b")
        for count in (3, 1):
            one.write([CALL] * count)
            two.write([CALL] * (2 * count))
    assert positions(broker.records) == {"api@h1#b": [0, 1, 2, 3], "api@h2#b": [0, 1, 2, 3, 4, 5, 6, 7]}
    assert bulk.sources == {"api@h1#b": 4, "api@h2#b": 8}
    assert {record.key.decode() for record in broker.records} == {one.name, two.name}
    assert bulk.stats() == ProducerStats(accepted=12, delivered=12, records=len(broker.records))


def test_bad_rows_are_named_and_spare_their_neighbours(broker: FakeBroker) -> None:
    """An invalid row comes back with its index, the reason and itself; the others are sent without a gap."""
    bad = {**CALL, "output_tokens": "many"}
    with writer(broker) as bulk:
        source = bulk.open_source("api", "h", defaults={"feature": "chat"})
        (refused,) = source.write([CALL, bad, CALL])
    assert (refused.index, refused.fields) == (1, bad)
    assert refused.reason == "output_tokens: input should be a valid integer"
    assert [(event.seq, event.feature, event.service) for event in broker.events] == [
        (0, "chat", "api"),
        (1, "chat", "api"),
    ]
    assert (source.invalid, source.next_seq, bulk.stats().invalid) == (1, 2, 1)


def test_ready_lines_are_sent_as_they_are(broker: FakeBroker) -> None:
    """Ready lines get source and seq; one that is no line comes back."""
    with writer(broker) as bulk:
        source = bulk.open_source("api", "h", boot="b")
        (refused,) = source.write_lines([LINE, b"nonsense", LINE])
    assert refused.index == 1
    assert positions(broker.records) == {"api@h#b": [0, 1]}


def test_two_runs_are_two_sources(broker: FakeBroker) -> None:
    """Without a boot given, a later run of the same service and host is another source."""
    names = {writer(broker).open_source("api", "h").name for _ in range(2)}
    assert len(names) == 2


@pytest.mark.parametrize(("service", "reason"), [("api", "open already"), ("x" * 256, "at most 256")])
def test_a_source_must_be_usable(broker: FakeBroker, service: str, reason: str) -> None:
    """A source opened twice, or with a name too long for the schema, is refused."""
    bulk = writer(broker)
    bulk.open_source("api", "h")
    with pytest.raises(ConfigurationError, match=reason):
        bulk.open_source(service, "h")


def test_writing_waits_for_room(broker: FakeBroker) -> None:
    """No more than ``queue_events`` wait in memory, however much is written."""
    seen = []
    with writer(broker, coalesce_events=1, queue_events=3) as bulk:
        source = bulk.open_source("api", "h")
        for _ in range(20):
            source.write([CALL])
            seen.append(bulk.stats().queued)
    assert max(seen) < 3
    assert bulk.stats().delivered == 20


def test_a_silent_broker_is_an_error(broker: FakeBroker) -> None:
    """Where nothing is acknowledged for ``stall_seconds``, writing raises; closing then counts what is lost."""
    broker.up = False
    bulk = writer(broker, stall_seconds=0.05, queue_events=2, coalesce_events=1)
    source = bulk.open_source("api", "h")
    with pytest.raises(UnavailableError, match=r"acknowledged nothing for 0\.05 s while 2 events wait"):
        source.write([CALL] * 5)
    with pytest.raises(UnavailableError):
        bulk.close()
    bulk.close()
    assert (bulk.stats().failed, bulk.stats().queued) == (2, 0)


def test_a_refused_record_is_an_error(broker: FakeBroker, log: LogCapture) -> None:
    """Where the broker will not take a record, writing and closing raise, and the log names source and seqs."""
    broker.refusals = [KafkaError(KafkaError.MSG_SIZE_TOO_LARGE)]
    bulk = writer(broker)
    source = bulk.open_source("api", "h", boot="b")
    with pytest.raises(UnavailableError, match="will not take 2 of the events"):
        source.write([CALL] * 2)
    with pytest.raises(UnavailableError, match="will not take 2 of the events"):
        bulk.close()
    assert (log.entries[0]["lost_source"], log.entries[0]["last_seq"]) == ("api@h#b", 1)


def test_an_error_of_the_tool_is_not_held_up(broker: FakeBroker) -> None:
    """Where the code inside ``with`` raises, leaving does not wait for the broker."""
    broker.up = False
    bulk = writer(broker, stall_seconds=1e9)
    with pytest.raises(ZeroDivisionError):
        _fail_in(bulk)
    assert bulk.stats().failed == 1


def _fail_in(bulk: BulkWriter) -> None:
    with bulk:
        bulk.open_source("api", "h").write([CALL])
        raise ZeroDivisionError


def test_a_closed_writer_writes_no_more(broker: FakeBroker) -> None:
    """Writing after close raises, and closing again does nothing."""
    bulk = writer(broker)
    source = bulk.open_source("api", "h")
    bulk.close()
    bulk.close()
    with pytest.raises(UnavailableError, match="closed"):
        source.write([CALL])
    assert broker.records == []


def test_rows_that_raise_leave_the_numbering_whole(broker: FakeBroker) -> None:
    """Where the rows' own iterator raises, what was read before is still sent, without a gap."""

    def rows() -> Iterator[dict[str, Any]]:
        yield CALL
        raise ZeroDivisionError

    with writer(broker) as bulk:
        source = bulk.open_source("api", "h", boot="b")
        with pytest.raises(ZeroDivisionError):
            source.write(rows())
        source.write([CALL])
    assert positions(broker.records) == {"api@h#b": [0, 1]}
