"""Is every record acknowledged once, given up with a reason, or still waiting, whatever the broker does?"""

import logging
from functools import partial

import pytest
import structlog
from confluent_kafka import KafkaError
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import LogCapture
from tests.producers import FakeBroker, FakeClock

from spendgauge.producers.client import connect_client
from spendgauge.producers.failures import FAILURES, kind_of
from spendgauge.producers.lane import Record
from spendgauge.producers.notices import Notices
from spendgauge.producers.sender import Sender
from spendgauge.producers.settings import DeliverySettings
from spendgauge.producers.tally import Tally
from spendgauge.schemas import ConfigurationError

pytestmark = pytest.mark.usefixtures("log")

PASSING = KafkaError.TOPIC_AUTHORIZATION_FAILED
HOPELESS = KafkaError.MSG_SIZE_TOO_LARGE


@pytest.fixture
def clock() -> FakeClock:
    """A clock that moves when told."""
    return FakeClock()


def sender(broker: FakeBroker, clock: FakeClock) -> Sender:
    """A sender to this broker."""
    connect = partial(broker.connect, DeliverySettings())
    return Sender("usage", connect, clock=clock, notices=Notices(clock.monotonic))


def record(seq: int) -> Record:
    """One record with one event."""
    return Record(b"s", seq, seq, 1, str(seq).encode())


def fill(to: Sender, count: int) -> None:
    """Add the records 0 to count - 1."""
    for seq in range(count):
        to.add(record(seq))


def sent(broker: FakeBroker) -> list[int]:
    """List what the broker took."""
    return [int(taken.value) for taken in broker.records]


def refused(code: int, *, fatal: bool = False) -> KafkaError:
    """What a delivery report says."""
    return KafkaError(code, "because", fatal)


def test_records_leave_in_order_through_a_small_window(clock: FakeClock) -> None:
    """librdkafka holds at most a window of records; the rest waits, and all arrive in the order added."""
    broker = FakeBroker(window=2)
    to = sender(broker, clock)
    fill(to, 5)
    to.turn(0)
    assert (sent(broker), to.backlogged) == ([0, 1], True)
    to.turn(0)
    to.turn(0)
    assert (sent(broker), to.backlogged) == ([0, 1, 2, 3, 4], False)
    assert (to.delivered_events, to.delivered_records, to.pending_events, to.pending_bytes) == (5, 5, 0, 0)


def test_what_a_broker_refuses_for_now_is_sent_again(clock: FakeClock) -> None:
    """Records refused for a reason that may pass go again after a second, in order, before later ones."""
    broker = FakeBroker()
    broker.refusals = [refused(PASSING), refused(PASSING)]
    to = sender(broker, clock)
    fill(to, 2)
    to.turn(0)
    to.add(record(2))
    to.turn(0)
    assert (sent(broker), to.refused_events, to.pending_events) == ([], 0, 3)
    clock.sleep(1.0)
    to.turn(0)
    assert (sent(broker), to.pending_events) == ([0, 1, 2], 0)


def test_what_no_broker_will_take_is_given_up_by_name(clock: FakeClock, log: LogCapture) -> None:
    """A record that is too large for the broker counts as refused; the log names source, seqs and reason."""
    broker = FakeBroker()
    broker.refusals = [refused(HOPELESS)]
    to = sender(broker, clock)
    fill(to, 2)
    to.turn(0)
    assert (sent(broker), to.refused_events, to.delivered_events, to.pending_events) == ([1], 1, 1, 0)
    (entry,) = log.entries
    assert (entry["lost_source"], entry["first_seq"], entry["last_seq"], entry["reason"]) == ("s", 0, 0, "because")


def test_a_fatal_error_begins_a_new_session(clock: FakeClock) -> None:
    """After a fatal error everything unacknowledged goes again through another client, in order; late reports of the
    old one change nothing."""
    broker = FakeBroker(up=False)
    to = sender(broker, clock)
    fill(to, 3)
    to.turn(0)
    broker.clients[0].on_error(refused(KafkaError._FATAL, fatal=True))
    clock.sleep(1.0)
    broker.up = True
    to.turn(0)
    assert (len(broker.clients), sent(broker), to.pending_events) == (2, [0, 1, 2], 0)
    broker.clients[0].on_error(refused(KafkaError._FATAL, fatal=True))
    to.turn(0)
    assert len(broker.clients) == 2


def test_waiting_for_another_session_is_waiting(clock: FakeClock) -> None:
    """Between two sessions there is nothing to poll, and a turn sleeps as long as it was told to wait."""
    broker = FakeBroker(up=False)
    to = sender(broker, clock)
    fill(to, 1)
    to.turn(0)
    broker.clients[0].on_error(refused(KafkaError._FATAL, fatal=True))
    to.turn(0.25)
    assert (clock.monotonic(), len(broker.clients)) == (0.25, 1)


def test_a_fatal_report_is_not_a_loss(clock: FakeClock) -> None:
    """A record whose report is fatal is sent again, whichever code it carries."""
    broker = FakeBroker()
    broker.refusals = [refused(HOPELESS, fatal=True)]
    to = sender(broker, clock)
    fill(to, 1)
    to.turn(0)
    clock.sleep(1.0)
    to.turn(0)
    assert (len(broker.clients), sent(broker), to.refused_events) == (2, [0], 0)


def test_a_silent_session_is_replaced_with_growing_patience(clock: FakeClock) -> None:
    """Where nothing is acknowledged for 15 s another session is tried, the next after 30 s."""
    broker = FakeBroker(up=False)
    to = sender(broker, clock)
    fill(to, 1)
    made = []
    for _ in range(8):
        to.turn(0)
        made.append(len(broker.clients))
        clock.sleep(7.5)
    assert made == [1, 1, 2, 2, 2, 2, 3, 3]
    broker.up = True
    to.turn(0)
    assert (sent(broker), to.pending_events) == ([0], 0)


def test_reports_that_nobody_fetched_are_no_silence(clock: FakeClock) -> None:
    """A thread that slept for a minute finds the reports that came meanwhile, and keeps its session."""
    broker = FakeBroker(up=False)
    to = sender(broker, clock)
    fill(to, 1)
    to.turn(0)
    clock.sleep(60)
    broker.up = True
    to.turn(0)
    assert (len(broker.clients), sent(broker), to.pending_events) == (1, [0], 0)


def test_settled_means_nothing_before_is_open(clock: FakeClock) -> None:
    """A ticket is settled when every record added before it is acknowledged or given up, whatever came later."""
    broker = FakeBroker(window=1)
    to = sender(broker, clock)
    assert to.settled(to.next_ticket)
    to.add(record(0))
    ticket = to.next_ticket
    to.add(record(1))
    assert not to.settled(ticket)
    to.turn(0)
    assert to.settled(ticket)
    assert not to.settled(to.next_ticket)


def test_giving_up_gives_back_what_was_open(clock: FakeClock) -> None:
    """Giving up returns every record that is not acknowledged, in order, whether librdkafka had it or not."""
    broker = FakeBroker(up=False, window=1)
    to = sender(broker, clock)
    fill(to, 3)
    to.turn(0)
    assert [open_.first_seq for open_ in to.give_up()] == [0, 1, 2]
    assert (to.refused_events, to.pending_events, to.pending_bytes, to.give_up()) == (0, 0, 0, [])


@given(
    window=st.integers(1, 4),
    steps=st.lists(
        st.sampled_from(["add", "turn", "wait", "down", "up", "refuse", "lose", "fatal"]),
        max_size=60,
    ),
)
def test_nothing_is_lost_or_invented(window: int, steps: list[str]) -> None:
    """Whatever happens on the way, once the broker answers every record has arrived once or is counted as refused."""
    clock, broker, added = FakeClock(), FakeBroker(window=window), 0
    to = sender(broker, clock)
    for step in steps:
        match step:
            case "add":
                to.add(record(added))
                added += 1
            case "turn":
                to.turn(0)
            case "wait":
                clock.sleep(1.0)
            case "down" | "up":
                broker.up = step == "up"
            case "refuse":
                broker.refusals.append(refused(PASSING))
            case "lose":
                broker.refusals.append(refused(HOPELESS))
            case "fatal":
                broker.refusals.append(refused(KafkaError._FATAL, fatal=True))
        assert to.delivered_events + to.refused_events + to.pending_events == added
    broker.up = True
    for _ in range(2 * len(steps) + 4):
        clock.sleep(1.0)
        to.turn(0)
    assert to.pending_events == 0
    assert len(broker.records) == to.delivered_events == added - to.refused_events
    assert sorted(set(sent(broker))) == sorted(sent(broker))


@pytest.mark.parametrize("name", FAILURES)
def test_every_listed_error_is_judged_as_listed(name: str) -> None:
    """An error is of the kind that the table says; where librdkafka calls it fatal it is fatal, whatever the table."""
    code = getattr(KafkaError, name)
    assert kind_of(refused(code)) == FAILURES[name][0]
    assert kind_of(refused(code, fatal=True)) == "fatal"


def test_no_error_loses_a_record_by_ignorance() -> None:
    """Every other error that librdkafka knows, and one that it does not, is waited out."""
    codes = {value for name, value in vars(KafkaError).items() if name.isupper() and isinstance(value, int)}
    listed = {getattr(KafkaError, name) for name in FAILURES}
    assert len(codes) > 150
    assert {kind_of(refused(code)) for code in codes - listed | {12_345}} == {"transient"}


def test_trouble_is_told_at_once_then_once_a_minute(clock: FakeClock, log: LogCapture) -> None:
    """The first time is logged at once; what follows within a minute is one line with the count."""
    notices = Notices(clock.monotonic, source="s")
    for _ in range(4):
        notices.report("bad", 2, reason="x")
    assert [(entry["event"], entry["count"], entry["source"]) for entry in log.entries] == [("bad", 2, "s")]
    assert notices.seconds_until_due == 60
    clock.sleep(59)
    notices.say_due()
    assert len(log.entries) == 1
    clock.sleep(1)
    notices.say_due()
    assert [entry["count"] for entry in log.entries] == [2, 6]
    assert notices.seconds_until_due is None


def test_nothing_is_left_unsaid(clock: FakeClock, log: LogCapture) -> None:
    """At the end everything kept back is logged, each kind with its own count."""
    notices = Notices(clock.monotonic)
    for what in ("a", "b", "a", "a", "b"):
        notices.report(what)
    notices.say_all()
    notices.say_all()
    assert [(entry["event"], entry["count"]) for entry in log.entries] == [("a", 1), ("b", 1), ("a", 2), ("b", 1)]


def test_a_host_without_structlog_reads_the_standard_log(caplog: pytest.LogCaptureFixture) -> None:
    """Where the host has not set up structlog, lines go to the standard logger ``spendgauge.producers``."""
    structlog.reset_defaults()
    Notices(FakeClock().monotonic).report("events not sent", 3, reason="why")
    assert [(entry.name, entry.levelno) for entry in caplog.records] == [("spendgauge.producers", logging.WARNING)]
    assert caplog.messages == ["event='events not sent' count=3 reason='why'"]


def test_a_tally_counts_hits_not_reads() -> None:
    """Reading a tally, however often, does not change it."""
    tally = Tally()
    assert [tally.read(), tally.read()] == [0, 0]
    tally.hit()
    tally.hit()
    assert [tally.read(), tally.read()] == [2, 2]


@pytest.mark.parametrize("option", ["acks", "enable.idempotence", "partitioner"])
def test_the_contract_cannot_be_configured_away(option: str) -> None:
    """The options that exactly-once counting rests on are refused, by name."""
    settings = DeliverySettings(kafka="127.0.0.1:1", kafka_options={option: "1"})
    with pytest.raises(ConfigurationError, match=rf"the Kafka option {option} cannot be set"):
        connect_client(settings, print)


def test_an_unknown_kafka_option_is_one_sentence() -> None:
    """An option that librdkafka does not know fails at construction, by name."""
    with pytest.raises(ConfigurationError, match=r"Kafka options cannot be used: .*no\.such\.option"):
        connect_client(DeliverySettings(kafka_options={"no.such.option": "1"}), print)
