"""Does the buffer keep records in order, count what it holds, and forget what is no longer its own?"""

from hypothesis import given
from hypothesis import strategies as st
from tests.sinks import NOW_MS, FakeMessage

from spendgauge.sinks.buffer import Buffer, Place, positions_of

Read = dict[tuple[str, int], list[FakeMessage]]


def grouped(drawn: list[FakeMessage]) -> Read:
    """Group messages by partition, as the consumer does."""
    found: Read = {}
    for message in drawn:
        found.setdefault(message.at[:2], []).append(message)
    return found


messages = st.lists(
    st.builds(
        FakeMessage,
        st.tuples(st.sampled_from(["a", "b"]), st.integers(0, 2), st.integers(0, 1000)),
        st.sampled_from([None, b"", b"x", b"x\ny"]),
    ),
    max_size=30,
).map(grouped)
"""What one read gives: messages by partition."""


def stream(topic: str) -> str:
    """Name a topic's stream."""
    return f"{topic}:8"


@given(st.lists(messages, max_size=4))
def test_all_that_comes_is_handed_over_in_order(batches: list[Read]) -> None:
    """A chunk for each partition holds its records in the order they came, and then the buffer is empty."""
    buffer = Buffer()
    for batch in batches:
        buffer.add(batch, stream_of=stream, now=0)
    came = [message for batch in batches for held in batch.values() for message in held]
    for one in buffer.take():
        mine = [message for message in came if message.at[:2] == (one.topic, one.partition)]
        assert list(one.offsets) == [message.at[2] for message in mine]
        assert list(one.values) == [message.content for message in mine]
        assert (one.stream, set(one.timestamps_ms)) == (stream(one.topic), {NOW_MS})
        came = [message for message in came if message not in mine]
    assert came == []
    assert not buffer
    assert (buffer.bytes, buffer.records, buffer.since) == (0, 0, None)


@given(messages, st.sets(st.tuples(st.sampled_from(["a", "b"]), st.integers(0, 2))))
def test_a_dropped_partition_leaves_no_trace(drawn: Read, gone: set[tuple[str, int]]) -> None:
    """Dropping partitions leaves what a buffer that never saw them would hold."""
    buffer, other = Buffer(), Buffer()
    buffer.add(drawn, stream_of=stream, now=3)
    other.add({at: held for at, held in drawn.items() if at not in gone}, stream_of=stream, now=3)
    buffer.drop(gone)
    assert (buffer.bytes, buffer.records, buffer.since) == (other.bytes, other.records, other.since)
    assert buffer.take() == other.take()


def test_age_is_that_of_the_oldest() -> None:
    """The clock starts with the first record after it was empty."""
    buffer = Buffer()
    buffer.add({}, stream_of=stream, now=1)
    assert buffer.since is None
    buffer.add({("a", 0): [FakeMessage(("a", 0, 1))]}, stream_of=stream, now=2)
    buffer.add({("a", 0): [FakeMessage(("a", 0, 2))]}, stream_of=stream, now=3)
    assert buffer.since == 2


def test_a_recreated_topic_is_another_chunk() -> None:
    """Records of two streams of one name are never mixed: their offsets mean different things."""
    buffer = Buffer()
    buffer.add({("a", 0): [FakeMessage(("a", 0, 900))]}, stream_of=lambda _: "old:8", now=0)
    buffer.add({("a", 0): [FakeMessage(("a", 0, 0))]}, stream_of=lambda _: "new:8", now=0)
    assert [(one.stream, list(one.offsets)) for one in buffer.take()] == [("old:8", [900]), ("new:8", [0])]


def test_positions_belong_to_a_stream() -> None:
    """Reading goes on behind the last record of each partition, in the stream that it was read from."""
    buffer = Buffer()
    buffer.add({("a", 0): [FakeMessage(("a", 0, 6)), FakeMessage(("a", 0, 9))]}, stream_of=lambda _: "old:8", now=0)
    buffer.add({("a", 0): [FakeMessage(("a", 0, 0))]}, stream_of=lambda _: "new:8", now=0)
    buffer.add({("b", 2): [FakeMessage(("b", 2, 3))]}, stream_of=stream, now=0)
    assert positions_of(buffer.take()) == {("a", 0): Place("new:8", 1), ("b", 2): Place("b:8", 4)}
