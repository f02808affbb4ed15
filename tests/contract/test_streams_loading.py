"""How are entries read back? Each partition whole, the last value of each key, whatever the broker."""

import pytest
from confluent_kafka import Producer

from spendgauge.schemas import KafkaSettings, UnavailableError, topic_specs
from spendgauge.schemas.kafka import create_topics
from spendgauge.schemas.positions import EditionKey, PositionKey, PriceEdition, SourcePosition
from spendgauge.streams.accounting.entries import Entries
from spendgauge.streams.reading.loading import load_entries

_STREAM = "topic-id:5"


def _produce(kafka: KafkaSettings, records: list[tuple[int, bytes, bytes | None]]) -> None:
    producer = Producer({"bootstrap.servers": kafka.kafka})
    for partition, key, value in records:
        producer.produce(kafka.topics.positions, value, key, partition)
        producer.flush(0.01)  # several batches
    assert producer.flush(20) == 0


def test_partitions_are_read_to_their_end(kafka: KafkaSettings) -> None:
    """The last value of a key counts, none removes it; an empty partition holds nothing; others are not read."""
    create_topics(kafka, topic_specs(kafka.topics))
    at = [SourcePosition(next_seq=n, first_offset=0, last_at_ms=1) for n in range(3)]
    texts = [one.model_dump_json().encode() for one in at]
    a, b = PositionKey(_STREAM, 1, "a"), PositionKey(_STREAM, 1, "b")
    book = PriceEdition(price_version="x")
    _produce(
        kafka,
        [
            (0, a.encode(), texts[0]),
            (0, b.encode(), texts[1]),
            (2, a.encode(), texts[2]),
            (0, a.encode(), None),
            (0, EditionKey(_STREAM, 0).encode(), book.model_dump_json().encode()),
            (0, b.encode(), texts[2]),
        ],
    )
    assert load_entries(kafka, kafka.topics.positions, [0, 3]) == {
        0: Entries({b: at[2]}, {EditionKey(_STREAM, 0): book}),
        3: Entries(),
    }
    assert load_entries(kafka, kafka.topics.positions, []) == {}


def test_many_entries_are_read(kafka: KafkaSettings) -> None:
    """What needs many fetches is read whole."""
    create_topics(kafka, topic_specs(kafka.topics, partitions=1))
    text = SourcePosition(next_seq=1, first_offset=0, last_at_ms=1).model_dump_json().encode()
    producer = Producer({"bootstrap.servers": kafka.kafka})
    for number in range(20_000):
        producer.produce(kafka.topics.positions, text, PositionKey(_STREAM, 1, f"source-{number}").encode(), 0)
    assert producer.flush(20) == 0
    assert len(load_entries(kafka, kafka.topics.positions, [0])[0].positions) == 20_000


def test_a_missing_topic_is_one_sentence(kafka: KafkaSettings) -> None:
    """A topic that does not exist is named, and what to do."""
    with pytest.raises(
        UnavailableError, match=r"topic .*usage.positions cannot be read at .* `spendgauge topics create`"
    ):
        load_entries(kafka, kafka.topics.positions, [0])


def test_a_broker_that_is_away_is_one_sentence() -> None:
    """Where no broker answers, that is said within seconds."""
    nowhere = KafkaSettings(kafka="127.0.0.1:1")
    with pytest.raises(UnavailableError, match=r"usage.positions cannot be read at 127.0.0.1:1"):
        load_entries(nowhere, nowhere.topics.positions, [0])
