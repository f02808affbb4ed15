"""What must be true of the broker for the rest to stand."""

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from spendgauge.schemas import KafkaSettings, UnavailableError, topic_specs
from spendgauge.schemas.kafka import client_options, connect_admin, create_topics, read_ends, stream_ids


@pytest.mark.integration
def test_topics_are_created_once(kafka: KafkaSettings) -> None:
    """Creating the topics a second time creates nothing and is no error."""
    specs = topic_specs(kafka.topics)
    assert sorted(create_topics(kafka, specs)) == sorted(spec.name for spec in specs)
    assert create_topics(kafka, specs) == ()


@pytest.mark.integration
def test_a_recreated_topic_is_another_stream(kafka: KafkaSettings) -> None:
    """A topic that is deleted and created again has another stream id, so old offsets cannot collide with new ones."""
    topic = kafka.topics.usage
    specs = [spec for spec in topic_specs(kafka.topics) if spec.name == topic]
    create_topics(kafka, specs)
    before = stream_ids(kafka, [topic], block_offsets=8)[topic]
    admin = connect_admin(kafka)
    admin.delete_topics([topic])[topic].result()
    create_topics(kafka, specs)
    after = stream_ids(kafka, [topic], block_offsets=8)[topic]
    assert before.endswith(":8")
    assert before != after


@pytest.mark.integration
def test_the_end_of_a_partition_is_after_its_last_record(kafka: KafkaSettings) -> None:
    """However many records the last batch has, and whatever the broker says when it is only asked for the end."""
    create_topics(kafka, topic_specs(kafka.topics, partitions=1))
    place = (kafka.topics.usage, 0)
    producer = Producer(client_options(kafka, **{"linger.ms": 100}))
    consumer = Consumer(client_options(kafka, **{"group.id": "asks"}))
    for count, end in ((7, 7), (1, 8), (500, 508)):
        for number in range(count):
            producer.produce(kafka.topics.usage, str(number).encode())
        producer.flush()
        _, told = consumer.get_watermark_offsets(TopicPartition(*place), timeout=5)
        assert read_ends(kafka, {place: told}) == {place: end}
    consumer.close()
    assert read_ends(kafka, {}) == {}


def test_no_broker_is_one_sentence() -> None:
    """An address where nothing listens is named in the error, with what to do."""
    with pytest.raises(UnavailableError, match=r"no Kafka broker answers at 127\.0\.0\.1:1 .*--kafka"):
        connect_admin(KafkaSettings(kafka="127.0.0.1:1"), timeout_seconds=0.5)


@pytest.mark.integration
def test_a_missing_topic_says_how_to_create_it(kafka: KafkaSettings) -> None:
    """Reading a stream that does not exist names the topic and the command that creates it."""
    with pytest.raises(UnavailableError, match=r"usage\.events .*spendgauge topics create"):
        stream_ids(kafka, [kafka.topics.usage], block_offsets=8)
