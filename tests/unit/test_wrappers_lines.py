"""Is what a stream says the same, wherever the network cuts it?"""

import json
from base64 import b64encode
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spendgauge.producers.wrappers.characters import characters_in
from spendgauge.producers.wrappers.lines import MAX_BYTES, EventFrames, EventLines

objects = st.lists(
    st.dictionaries(st.text(max_size=5), st.text(max_size=20) | st.integers(-9, 9), max_size=3), max_size=6
)
cuts = st.lists(st.integers(0, 2_000), max_size=12)


def _cut(stream: bytes, places: list[int]) -> list[bytes]:
    places = sorted({0, len(stream), *(place % (len(stream) + 1) for place in places)})
    return [stream[begin:end] for begin, end in pairwise(places)]


@given(objects, cuts, st.sampled_from(["\n", "\r\n"]), st.booleans())
def test_events_are_the_same_wherever_they_are_cut(
    said: list[dict[str, object]], places: list[int], newline: str, spaced: bool
) -> None:
    """However a stream of events is cut into pieces, the same objects come out, comments and other fields aside."""
    written = [f"event: x{newline}data:{' ' * spaced}{json.dumps(entry)}{newline}{newline}" for entry in said]
    stream = f": hello{newline}{newline}{''.join(written)}data: [DONE]{newline}{newline}".encode()
    lines = EventLines()
    assert [event for piece in _cut(stream, places) for event in lines.feed(piece)] == said


def test_data_of_several_lines_is_one_event() -> None:
    """Lines of data are joined until a blank line; what has no blank line yet is no event."""
    assert list(EventLines().feed(b'data: {"a":\ndata: 1}\n\ndata: {"a": 2}\n')) == [{"a": 1}]


def _frame(payload: bytes) -> bytes:
    headers = b"\x0b:event-type\x07\x00\x05chunk"
    length = 12 + len(headers) + len(payload) + 4
    return length.to_bytes(4) + len(headers).to_bytes(4) + bytes(4) + headers + payload + bytes(4)


@given(objects, cuts)
def test_frames_are_the_same_wherever_they_are_cut(said: list[dict[str, object]], places: list[int]) -> None:
    """The same for the frames that Bedrock sends, whose payload holds the event in base64."""
    payloads = [json.dumps({"bytes": b64encode(json.dumps(entry).encode()).decode(), "p": "ab"}) for entry in said]
    stream = b"".join(_frame(payload.encode()) for payload in [*payloads, '{"message": "throttled"}'])
    frames = EventFrames()
    assert [event for piece in _cut(stream, places) for event in frames.feed(piece)] == said


def test_what_is_far_too_long_is_refused() -> None:
    """An event without an end is not waited for for ever; a frame that cannot be one is refused at once."""
    lines = EventLines()
    piece = b"x" * (MAX_BYTES // 4)
    for _ in range(4):
        assert list(lines.feed(piece)) == []
    with pytest.raises(ValueError, match="more than 67108864 bytes"):
        list(lines.feed(b"x"))
    lines = EventLines()
    for _ in range(3):
        assert list(lines.feed(b"data:" + piece + b"\n")) == []
    with pytest.raises(ValueError, match="more than 67108864 bytes"):
        list(lines.feed(b"data:" + piece + b"\n"))
    for length, headers in ((15, 0), (MAX_BYTES + 1, 0), (40, 40)):
        with pytest.raises(ValueError, match="cannot be one of an event stream"):
            list(EventFrames().feed(length.to_bytes(4) + headers.to_bytes(4) + bytes(8)))


@pytest.mark.parametrize(
    ("value", "characters"),
    [
        ("four", 4),
        ([{"role": "user", "content": [{"type": "text", "text": "four"}]}], 4),
        ({"type": "image", "source": {"media_type": "image/png", "data": "A" * 999}}, 0),
        ({"model": "claude", "metadata": {"user_id": "x"}, "system": "four", "n": 4}, 4),
        (None, 0),
    ],
)
def test_only_text_is_measured(value: object, characters: int) -> None:
    """Names, ids, pictures and files are no text that a model reads as text."""
    assert characters_in(value) == characters
