"""Does the sink read from where it stopped, and only there?"""

from confluent_kafka import OFFSET_BEGINNING, TopicPartition
from tests.sinks import TOPICS

from spendgauge.schemas import KafkaSettings
from spendgauge.sinks.buffer import Place
from spendgauge.sinks.consumer import committable, consumer_options, starting_points
from spendgauge.sinks.settings import SinkSettings


def stream_of(topic: str) -> str:
    """Name the streams of today."""
    return f"{topic}-id:16384"


def test_a_known_stream_goes_on() -> None:
    """A position in the topic as it is now is where reading goes on, whatever the block size was."""
    points = [
        TopicPartition("a", 0, 7, metadata="a-id:16384"),
        TopicPartition("a", 1, 8, metadata="a-id:99"),
        TopicPartition("a", 2, 9),
        TopicPartition("a", 3),
    ]
    assert starting_points(points, stream_of) == points


def test_a_recreated_topic_is_read_from_its_beginning() -> None:
    """A position in a topic that is gone means nothing in its successor: records there would be skipped in silence."""
    started = starting_points([TopicPartition("a", 1, 5000, metadata="older-id:16384")], stream_of)
    assert [(point.topic, point.partition, point.offset) for point in started] == [("a", 1, OFFSET_BEGINNING)]


def test_only_what_is_ours_is_committed() -> None:
    """A position is dropped where its partition went to another sink, or its topic was created again meanwhile."""
    positions = {
        ("a", 0): Place("a-id:16384", 7),
        ("a", 1): Place("a-id:16384", 8),
        ("b", 0): Place("older-id:16384", 9),
    }
    kept = committable(positions, assigned={("a", 0), ("b", 0)}, stream_of=stream_of)
    assert kept == {("a", 0): Place("a-id:16384", 7)}


def test_nothing_is_committed_behind_our_back() -> None:
    """librdkafka stores and commits no offset by itself, and a new group begins with the oldest record."""
    options = consumer_options(SinkSettings())
    assert options["enable.auto.commit"] is False
    assert options["enable.auto.offset.store"] is False
    assert options["auto.offset.reset"] == "earliest"


def test_the_users_options_win() -> None:
    """What a user says about security, or anything else, is passed on."""
    settings = SinkSettings(kafka_options={"security.protocol": "ssl", "session.timeout.ms": "45000"}, kafka="b:1")
    options = consumer_options(settings)
    assert (options["security.protocol"], options["session.timeout.ms"], options["bootstrap.servers"]) == (
        "ssl",
        "45000",
        "b:1",
    )


def test_settings_survive_the_environment() -> None:
    """A child process reads from its environment what its parent had."""
    settings = SinkSettings(topic_prefix="t.", flush_seconds=0.2, batch_rows=7, clickhouse="http://u:p@h:1/d")
    assert SinkSettings.from_environment(settings.environment()) == settings
    assert KafkaSettings(topic_prefix="t.").topics.usage == f"t.{TOPICS.usage}"
