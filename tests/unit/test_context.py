"""Does what is said around an emit get into its event, and nothing else of it?"""

import asyncio
import contextvars
import logging
import threading
from collections.abc import Generator
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spendgauge.producers import RecordingProducer
from spendgauge.producers.context import over, usage_context, within
from spendgauge.schemas import DIMENSIONS

PLAIN = {"provider": "anthropic", "model": "claude-haiku-4-5"}


def _emitted(producer: RecordingProducer, **fields: object) -> dict[str, object]:
    producer.emit(**PLAIN, **fields)
    assert producer.invalid == []
    event = producer.events[-1]
    return {name: value for name in (*DIMENSIONS, "tags") if (value := getattr(event, name)) and name != "service"}


def test_a_context_is_put_into_every_event() -> None:
    """What a context says is in each event inside it, and in none after it."""
    producer = RecordingProducer()
    with usage_context(user_id="user-7", tags={"plan": "free"}):
        assert _emitted(producer) == {"user_id": "user-7", "tags": {"plan": "free"}}
    assert _emitted(producer) == {}


def test_the_nearest_word_counts() -> None:
    """An event's own field, then the inner context, then the outer one, then the producer's dimensions."""
    producer = RecordingProducer(team="search", feature="none", environment="test")
    with usage_context(feature="outer", agent="a", session_id="s"), usage_context(feature="inner", agent="b"):
        assert _emitted(producer, feature="own") == {
            "feature": "own",
            "agent": "b",
            "session_id": "s",
            "team": "search",
            "environment": "test",
        }
        assert _emitted(producer)["feature"] == "inner"


def test_none_is_not_given() -> None:
    """None neither says nor unsays anything, in a context or in an event."""
    producer = RecordingProducer()
    with usage_context(feature="outer"), usage_context(feature=None, user_id=None):
        assert _emitted(producer, feature=None) == {"feature": "outer"}


def test_tags_are_joined_by_name() -> None:
    """Tags of all levels stand side by side; of one name the nearest counts, and an event's own never give way."""
    producer = RecordingProducer()
    with usage_context(tags={"a": "1", "b": "1"}), usage_context(tags={"b": "2"}):
        assert _emitted(producer, tags={"c": "3"})["tags"] == {"a": "1", "b": "2", "c": "3"}
        full = {f"t{number}": "x" for number in range(16)}
        assert _emitted(producer, tags=full)["tags"] == full


@given(
    st.dictionaries(
        st.sampled_from(DIMENSIONS), st.none() | st.integers() | st.uuids() | st.text(max_size=300) | st.binary()
    ),
    st.dictionaries(st.text(max_size=80), st.text(max_size=300) | st.none() | st.integers(), max_size=20),
)
def test_no_value_costs_an_event(dimensions: dict[str, str | None], tags: dict[str, str]) -> None:
    """Whatever stands in a context, the event is valid, and holds at least what could be held."""
    producer = RecordingProducer()
    with usage_context(tags=tags, **dimensions):
        emitted = _emitted(producer)
    short = {name for name, value in dimensions.items() if isinstance(value, str) and 0 < len(value) <= 256}
    assert short - {"service"} <= emitted.keys()


def test_ids_are_written_as_text(caplog: pytest.LogCaptureFixture) -> None:
    """Integers and UUIDs are ids; what cannot be held is left out, and named in the log without its value."""
    producer = RecordingProducer()
    user = UUID(int=7)
    with caplog.at_level(logging.WARNING), usage_context(user_id=user, session_id=7, agent="x" * 257):  # type: ignore[arg-type]  # what a caller does
        assert _emitted(producer) == {"user_id": str(user), "session_id": "7"}
    assert "xxx" not in caplog.text


def test_an_unknown_name_is_refused_at_once() -> None:
    """A misspelt dimension would make every event invalid, so it is an error where it stands."""
    with (
        pytest.raises(TypeError, match="userid is no dimension of a usage event; use one of tenant, team"),
        usage_context(userid="7"),
    ):
        pass


def test_tasks_and_threads_have_their_own() -> None:
    """A task begins with its creator's context and keeps its own; a thread begins with none, unless it is carried."""
    producer = RecordingProducer()

    async def task(number: int) -> None:
        with usage_context(user_id=f"user-{number}"):
            await asyncio.sleep(0)
            _emitted(producer)

    async def run() -> None:
        with usage_context(session_id="s"):
            await asyncio.gather(task(1), task(2))
            await asyncio.to_thread(producer.emit, **PLAIN)
            carried = threading.Thread(target=contextvars.copy_context().run, args=(_emitted, producer))
            alone = threading.Thread(target=_emitted, args=(producer,))
            for thread in (carried, alone):
                thread.start()
                thread.join()

    asyncio.run(run())
    seen = [(event.session_id, event.user_id) for event in producer.events]
    assert seen == [("s", "user-1"), ("s", "user-2"), ("s", ""), ("s", ""), ("", "")]


def test_a_generator_may_be_closed_elsewhere() -> None:
    """A context that is left in another context than it was entered raises nothing: frameworks do that."""

    def dependency() -> Generator[None, None, None]:
        with usage_context(user_id="user-7"):
            yield

    generator = dependency()
    contextvars.copy_context().run(next, generator)
    contextvars.copy_context().run(generator.close)
    assert within({}) == {}


def test_fields_and_defaults_stand_on_either_side() -> None:
    """A context is under an event's own fields, and over somebody's defaults."""
    with usage_context(feature="context"):
        assert within({"feature": "own"}) == {"feature": "own"}
        assert over({"feature": "default", "team": "search"}) == {"feature": "context", "team": "search"}
    assert over({"team": "search"}) == {"team": "search"}
