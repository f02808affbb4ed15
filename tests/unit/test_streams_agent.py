"""In which order does the agent work? Absorb, ask, write, settle: nothing is settled that is not acknowledged."""

import asyncio
import json
from collections.abc import Callable, Sequence
from typing import cast
from uuid import UUID

import pytest
from tests.producers import FakeClock

from spendgauge.schemas import UnavailableError
from spendgauge.schemas.prices import PriceBook
from spendgauge.streams.accounting.origins import Origin
from spendgauge.streams.rating.agent import Guard, RatesAgent
from spendgauge.streams.rating.pipeline import Changes, Pipeline
from spendgauge.streams.rating.series import SeriesPlan
from spendgauge.streams.rating.writing import Writer
from spendgauge.streams.reading.fetching import Fetched
from spendgauge.streams.reading.readings import Delivery, Reading

_NOW_MS = 1_760_000_000_000


class _FakeWriter:
    """Remembers what it was given; takes it, or does not."""

    def __init__(self, *, takes: bool = True) -> None:
        self.takes = takes
        self.stopped = False
        self.requests: list[int] = []
        self.rejects: list[int] = []

    def write(self, changes: Sequence[Changes]) -> bool:
        """Note the requests of each contribution to the total, and the rejects' offsets."""
        for one in changes:
            for part in one.contributions:
                self.requests += part.totals.filter(series=0)["requests"].to_list()
            self.rejects += [reject.offset for reject in one.rejects]
        return self.takes

    def stop(self) -> None:
        """Wait for nothing more."""
        self.stopped = True


async def _genuine() -> bool:
    return True


def _agent(writer: _FakeWriter, guard: Guard = _genuine) -> RatesAgent:
    pipeline = Pipeline(SeriesPlan(), PriceBook.load())
    return RatesAgent(pipeline, cast(Writer, writer), guard=guard, clock=FakeClock())


def _reading(*, base: int = 0, acknowledged: int = 0) -> Reading:
    return Reading(Origin("topic:100", 100, base, acknowledged), epoch=1)


def _chunk(reading: Reading, begin: int, end: int, *, line: Callable[[int], bytes] | None = None) -> Delivery:
    """Deliver one event a record, of the offsets [begin, end)."""
    offsets = list(range(begin, end))
    fetched = Fetched(1, begin, end, offsets=offsets, values=[(line or _line)(offset) for offset in offsets])
    fetched.timestamps_ms = [_NOW_MS] * len(offsets)
    fetched.keys = [b"a"] * len(offsets)
    fetched.headers = [()] * len(offsets)
    return reading.deliver(fetched, topic="usage.events", partition=0)


def _line(number: int) -> bytes:
    event = {"event_id": str(UUID(int=number + 1)), "source": "a", "seq": number, "provider": "p", "model": "m"}
    return json.dumps(event | {"occurred_at": "2025-10-09T08:53:20.000Z"}).encode()


def test_offsets_are_settled_when_their_totals_are_acknowledged() -> None:
    """A receipt is settled by the flush that has written what it stands for, not before."""
    writer, reading = _FakeWriter(), _reading()
    chunk = _chunk(reading, 0, 3)

    async def live() -> None:
        agent = _agent(writer)
        await agent.on_chunk(chunk)
        assert reading.committable() is None
        await agent.on_flush()

    asyncio.run(live())
    assert writer.requests == [3]
    assert reading.committable() == 3
    assert chunk.values == []


def test_what_the_broker_does_not_take_is_not_settled() -> None:
    """A flush that was given up leaves its offsets uncommitted."""
    writer, reading = _FakeWriter(takes=False), _reading()

    async def live() -> None:
        agent = _agent(writer)
        await agent.on_chunk(_chunk(reading, 0, 3))
        await agent.on_stop(5)

    asyncio.run(live())
    assert reading.committable() is None


def test_nothing_is_written_of_a_topic_that_was_recreated() -> None:
    """Where the guard says that the topic is another one, what was read of it is neither written nor settled."""
    writer, reading = _FakeWriter(), _reading()

    async def recreated() -> bool:
        reading.close()
        return False

    async def live() -> None:
        agent = _agent(writer, recreated)
        await agent.on_chunk(_chunk(reading, 0, 3))
        await agent.on_flush()

    asyncio.run(live())
    assert (writer.requests, reading.committable()) == ([], None)


def test_the_guard_is_asked_until_it_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """A broker that does not answer is asked again; what is stopped meanwhile is not written."""
    monkeypatch.setattr("spendgauge.streams.rating.agent._RETRY_SECONDS", 0)
    writer, reading = _FakeWriter(), _reading()
    answers = [UnavailableError("no"), UnavailableError("no"), None]

    async def slow() -> bool:
        answer = answers.pop(0)
        if answer is not None:
            raise answer
        return True

    async def live() -> None:
        agent = _agent(writer, slow)
        await agent.on_chunk(_chunk(reading, 0, 3))
        await agent.on_flush()

    asyncio.run(live())
    assert (answers, writer.requests, reading.committable()) == ([], [3], 3)


def test_a_closed_reading_is_forgotten() -> None:
    """Once a partition is sought again or taken away, what was read of it before is neither added up nor written."""
    writer, old, new = _FakeWriter(), _reading(), _reading()

    async def live() -> None:
        agent = _agent(writer)
        await agent.on_chunk(_chunk(old, 0, 3))
        late = _chunk(old, 3, 5)
        old.close()
        agent.on_partitions_revoked()
        await agent.on_chunk(late)
        await agent.on_chunk(_chunk(new, 0, 2))
        await agent.on_flush()

    asyncio.run(live())
    assert writer.requests == [2]
    assert (old.committable(), new.committable()) == (None, 2)


def test_what_is_read_again_is_not_written_again() -> None:
    """Below the committed offset totals are rebuilt in silence; the next event writes them whole, rejects only once."""
    #  offset   0 1 2 3 | 4 5
    #  bad        x         x
    writer, reading = _FakeWriter(), _reading(base=0, acknowledged=4)

    def line(number: int) -> bytes:
        return b"{" if number in {1, 5} else _line(number)

    async def live() -> None:
        agent = _agent(writer)
        await agent.on_chunk(_chunk(reading, 0, 4, line=line))
        await agent.on_flush()
        assert (writer.requests, writer.rejects) == ([], [])
        await agent.on_chunk(_chunk(reading, 4, 6, line=line))
        await agent.on_flush()

    asyncio.run(live())
    assert (writer.requests, writer.rejects) == ([4], [5])
    assert reading.committable() == 6


def test_a_gap_between_chunks_is_an_error() -> None:
    """A chunk that does not begin where the last one ended stops the worker: totals would be wrong in silence."""
    reading = _reading()

    async def live() -> None:
        agent = _agent(_FakeWriter())
        await agent.on_chunk(_chunk(reading, 0, 3))
        await agent.on_chunk(_chunk(reading, 4, 5))

    with pytest.raises(RuntimeError, match="begins at offset 4, and 3 was expected"):
        asyncio.run(live())
