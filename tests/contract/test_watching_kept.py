"""Who may write to ``cost.watch``, and what has ``cost.alerts`` said? Over a real broker."""

import pytest
from confluent_kafka import Producer
from tests.notifications import alert
from tests.producers import FakeClock

from spendgauge.schemas import KafkaSettings, topic_specs
from spendgauge.schemas.kafka import create_topics
from spendgauge.streams.emitter import Emitter
from spendgauge.streams.judging.judge import Verdict
from spendgauge.streams.reading.loading import load_logs
from spendgauge.streams.watching.asking import RatesStanding
from spendgauge.streams.watching.hearing import Hearing
from spendgauge.streams.watching.keeping import Keeper
from spendgauge.streams.watching.kept import read_log
from spendgauge.streams.watching.settings import WatcherSettings
from spendgauge.streams.watching.telling import Herald


@pytest.fixture
def settings(kafka: KafkaSettings) -> WatcherSettings:
    """How a watcher finds its topics, which are there."""
    create_topics(kafka, topic_specs(kafka.topics))
    return WatcherSettings(kafka=kafka.kafka, topic_prefix=kafka.topic_prefix, session_timeout_seconds=3)


def a_keeper(settings: WatcherSettings, clock: FakeClock | None = None) -> Keeper:
    """Whoever keeps, with a clock that stands still."""
    return Keeper(settings, Emitter(settings), clock or FakeClock())


def test_what_is_kept_is_there_for_the_next(settings: WatcherSettings) -> None:
    """Whoever takes partitions over is given what was kept, the last value of each key, by partition."""
    first = a_keeper(settings)
    assert first.take([0, 3]) == {0: {}, 3: {}}
    assert first.keep({0: [(b"a", b"1"), (b"b", b"1")], 3: [(b"c", b"1")], 2: [(b"d", b"1")]}) == {0, 3}
    assert first.keep({0: [(b"b", None), (b"a", b"2")]}) == {0}
    assert a_keeper(settings).take([0, 2, 3]) == {0: {b"a": b"2"}, 2: {}, 3: {b"c": b"1"}}


def test_one_who_was_replaced_is_told_and_undone(settings: WatcherSettings) -> None:
    """What a replaced one writes counts for nothing: it hears so, the owner hears so, and whoever takes over next
    writes again what compaction would remove."""
    old, owner = a_keeper(settings), a_keeper(settings)
    old.take([1])
    old.keep({1: [(b"a", b"1"), (b"b", b"1")]})
    assert owner.take([1]) == {1: {b"a": b"1", b"b": b"1"}}
    assert owner.keep({1: [(b"a", b"2")]}) == {1}
    assert old.keep({1: [(b"a", b"old"), (b"b", None)]}) == set()
    assert owner.keep({1: [(b"c", b"2")]}) == set()
    held = {b"a": b"2", b"b": b"1", b"c": b"2"}
    assert owner.take([1]) == {1: held}
    log = load_logs(settings, settings.topics.watch, [1])[1]
    last = {record.key: record for record in log.records}
    assert read_log(record for record in log.records if last[record.key] is record).entries == held


def test_ownership_is_proved_after_a_sleep(settings: WatcherSettings) -> None:
    """An acknowledgement proves it for a third of the session timeout; then it is proved again, or found to be lost."""
    clock = FakeClock()
    keeper = a_keeper(settings, clock)
    keeper.take([1])
    assert keeper.prove([1]) == ({1}, False)
    clock.sleep(1.5)
    assert keeper.prove([1]) == ({1}, True)
    a_keeper(settings).take([1])
    clock.sleep(1.5)
    assert keeper.prove([1, 2]) == (set(), True)


def test_what_was_said_is_not_said_again(settings: WatcherSettings) -> None:
    """A step that is on the topic, whoever sent it, is left out; what others said is told to whoever asks."""
    emitter, counts = Emitter(settings), {settings.topics.alerts: 1}
    heralds = [
        Herald(emitter, a_keeper(settings), Hearing(settings, partitions=1), topics=settings.topics, partitions=counts)
        for _ in range(2)
    ]
    raised, resolved = alert("a"), alert("a", "resolved")
    for number, herald in enumerate(heralds):
        assert herald.take([number]) == {number: {}}
    sent, kept = heralds[0].tell([Verdict(0, [(b"k", b"v")], [raised, raised])])
    assert (sent, kept) == ([raised], {0})
    heralds[1].take([1])
    assert heralds[1].listen() == [raised]
    sent, kept = heralds[1].send(1, [raised, resolved])
    assert (sent, kept) == ([resolved], {1})
    assert heralds[0].send(2, [alert("b")]) == ([], set())
    for herald in heralds:
        herald.close()


def test_rates_workers_are_asked_after(settings: WatcherSettings) -> None:
    """Of each partition of the usage events it is known what a group has committed, and where it ends."""
    producer = Producer({"bootstrap.servers": settings.kafka})
    producer.produce(settings.topics.usage, b"{}", partition=2)
    assert producer.flush(20) == 0
    asked = RatesStanding(settings, "nobody").ask()
    assert asked == {0: (0, 0), 1: (0, 0), 2: (0, 1), 3: (0, 0)}
    assert RatesStanding(KafkaSettings(kafka="127.0.0.1:1"), "nobody").ask() is None
