"""Is the past of a partition told up to exactly where the others are, whatever becomes of its log and its owner?"""

import asyncio
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import polars as pl
import pytest
from confluent_kafka import OFFSET_INVALID, KafkaError
from structlog.testing import LogCapture
from tests.alerting_worlds import contribution
from tests.producers import FakeClock

from spendgauge.schemas import KafkaSettings
from spendgauge.streams.accounting.origins import Origin
from spendgauge.streams.reading.readings import Reading
from spendgauge.streams.watching import past
from spendgauge.streams.watching.past import Past
from spendgauge.streams.watching.recalling import Recaller


@dataclass
class _Message:
    at: int
    code: int | None = None

    def error(self) -> KafkaError | None:
        """Say what it is instead of a record."""
        return None if self.code is None else KafkaError(self.code)

    def offset(self) -> int:
        """Where it lies."""
        return self.at

    def timestamp(self) -> tuple[int, int]:
        """When it was written: a second after the one before."""
        return 1, self.at * 1000

    def value(self) -> bytes:
        """A line, of a key that is its offset."""
        return contribution(("user_id", (str(self.at),)), 60, 1).model_dump_json().encode()


class _Log:
    """A consumer: what each question brings, one after the other."""

    def __init__(self, *fetched: Iterable[_Message]) -> None:
        self.fetched = [list(one) for one in fetched]
        ends = (one.at for several in self.fetched for one in several if one.code == KafkaError._PARTITION_EOF)
        self.end = next(ends, 0)
        """Where it ends, as each answer says."""
        self.closed = 0

    def __call__(self, _options: object) -> "_Log":
        """Be made."""
        return self

    def assign(self, _places: object) -> None:
        """Begin."""

    def get_watermark_offsets(self, _place: object, *, cached: bool) -> tuple[int, int]:
        """Say what the last answer said."""
        assert cached
        return OFFSET_INVALID, self.end

    def consume(self, _most: int, _seconds: float) -> list[_Message]:
        """Give the next ones; nothing where there are none."""
        return self.fetched.pop(0) if self.fetched else []

    def close(self) -> None:
        """Count it."""
        self.closed += 1


@dataclass
class _History:
    """Whoever hears the past."""

    series: tuple[str, ...] = ("user_id",)
    wanted: bool = True
    heard: list[int] = field(default_factory=list)
    logged_at: float = 0.0
    joined: list[int] = field(default_factory=list)

    def begin(self) -> None:
        """Forget all."""
        self.heard = []

    def absorb(self, lines: pl.DataFrame, logged_at: float) -> None:
        """Note the offsets."""
        self.heard += [int(key[2:-2]) for key in lines["key"]]
        self.logged_at = logged_at

    def join(self) -> None:
        """Note what was heard by then."""
        self.joined = list(self.heard)


def _records(start: int, end: int) -> list[_Message]:
    return [_Message(offset) for offset in range(start, end)]


def _end(offset: int) -> _Message:
    return _Message(offset, KafkaError._PARTITION_EOF)


@pytest.fixture
def history() -> _History:
    """One that hears."""
    return _History()


def _past(monkeypatch: pytest.MonkeyPatch, history: _History, *fetched: Iterable[_Message]) -> tuple[Past, _Log]:
    log = _Log(*fetched)
    monkeypatch.setattr(past, "Consumer", log)
    return Past(KafkaSettings(), 0, history), log


def test_what_lies_before_the_line_is_told_and_the_rest_waits(
    monkeypatch: pytest.MonkeyPatch, history: _History
) -> None:
    """All below it, nothing from it on; that is told when the line has moved, without a question to the broker."""
    one, _ = _past(monkeypatch, history, _records(0, 6), [_end(6), *_records(6, 9)])
    assert [one.read(7), history.heard] == [False, [0, 1, 2, 3, 4, 5]]
    assert [one.read(7), history.heard[-1]] == [True, 6]
    assert [one.take(9), history.heard, history.logged_at] == [True, list(range(9)), 8.0]
    assert (one.first, one.lines) == (0, 9)


def test_the_end_of_the_log_says_that_nothing_is_missing(monkeypatch: pytest.MonkeyPatch, history: _History) -> None:
    """Where its last offsets hold no record there is nothing to wait for; and what the broker does not give is not
    taken for nothing."""
    one, _ = _past(monkeypatch, history, [*_records(3, 5), _Message(0, KafkaError._TRANSPORT)], [_end(6)])
    assert [one.read(6), one.read(6)] == [False, True]
    assert (history.heard, one.first) == ([3, 4], 3)


def test_nothing_ends_before_the_log_did(monkeypatch: pytest.MonkeyPatch, history: _History) -> None:
    """Whoever had the partition before may have read to its end, and left out what was to come: so far must all be
    read, also where the others begin long before."""
    one, _ = _past(monkeypatch, history, _records(0, 9), [_end(9), *_records(9, 12)])
    assert [one.read(4), one.read(4), one.take(8)] == [False, False, False]
    assert [one.take(9), history.heard] == [True, list(range(9))]


def test_a_log_that_never_rests_is_told_too(monkeypatch: pytest.MonkeyPatch, history: _History) -> None:
    """Where more lines come before each answer, so that none is empty and says that this is the end."""
    one, log = _past(monkeypatch, history, *(_records(n * 6, n * 6 + 6) for n in range(4)))
    log.end = 9
    assert [one.read(6), one.read(8), one.read(14)] == [False, False, True]
    assert history.heard == list(range(14))


def test_what_retention_takes_meanwhile_is_left_out(
    monkeypatch: pytest.MonkeyPatch, history: _History, log: LogCapture
) -> None:
    """What is left is told, and it is said that something is missing."""
    one, _ = _past(monkeypatch, history, _records(0, 2), [*_records(7, 9), _end(9)])
    assert [one.read(9), one.read(9), history.heard] == [False, True, [0, 1, 7, 8]]
    assert [entry["missing"] for entry in log.entries] == [5]


def test_a_topic_that_is_created_again_is_told_from_its_beginning(
    monkeypatch: pytest.MonkeyPatch, history: _History, log: LogCapture
) -> None:
    """Offsets that come again are those of another log: what was told of the one before is forgotten."""
    one, _ = _past(monkeypatch, history, [_end(0), *_records(0, 5)], _records(0, 3), [_end(3)])
    assert [one.read(4), one.read(4)] == [True, False]
    assert [one.read(3), history.heard, one.lines] == [True, [0, 1, 2], 3]
    assert len(log.entries) == 1


def test_no_more_than_a_little_is_held(monkeypatch: pytest.MonkeyPatch, history: _History) -> None:
    """Where the others are far behind the log is not read on; and no more than a little is told at once."""
    monkeypatch.setattr(past, "_HELD_BYTES", 10 * len(_Message(0).value()))
    monkeypatch.setattr(past, "_TOLD_BYTES", 2 * len(_Message(0).value()))
    one, log = _past(monkeypatch, history, [_end(0)], *(_records(n * 6, n * 6 + 6) for n in range(4)))
    for _ in range(4):
        one.read(0)
    assert (len(log.fetched), history.heard) == (2, [])
    assert [one.take(3), history.heard] == [False, [0, 1]]
    assert [one.take(3), history.heard] == [True, [0, 1, 2]]


class _World:
    """A recaller, of which the judges were told all lines below an offset."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *logs: _Log) -> None:
        self.logs = list(logs)
        self.position = 0
        monkeypatch.setattr(past, "Consumer", lambda _: logs[self._opened()])
        self.opened = 0
        self.judging = ThreadPoolExecutor(1)
        self.recaller = Recaller(
            KafkaSettings(), judging=self.judging, position=lambda _: self.position, clock=FakeClock()
        )

    def _opened(self) -> int:
        self.opened += 1
        return self.opened - 1

    def want(self, history: _History) -> Reading:
        """Ask for a partition's past."""
        reading = Reading(Origin("t:1", 1, 0, 0), epoch=1)
        self.recaller.want(0, reading, history)
        return reading


@pytest.fixture
def worlds() -> Iterator[list[_World]]:
    """Those whose threads are to be ended."""
    held: list[_World] = []
    yield held
    for world in held:
        world.judging.shutdown()


def test_one_after_another_is_read_and_joined(
    monkeypatch: pytest.MonkeyPatch, worlds: list[_World], log: LogCapture
) -> None:
    """With all below the offset that the judges have heard by then, and nothing more; that it is done is said."""
    logs = _Log([_end(0), *_records(0, 5)]), _Log(_records(0, 4), [_end(4)])
    world = _World(monkeypatch, *logs)
    worlds.append(world)
    one, other = _History(), _History()
    world.position = 4
    world.want(one)
    world.want(other)
    assert world.recaller.partitions == 1
    asyncio.run(world.recaller.work())
    assert (one.joined, other.joined) == ([0, 1, 2, 3], [0, 1, 2, 3])
    assert (world.recaller.partitions, [log.closed for log in logs]) == (0, [1, 1])
    assert [entry.get("lines") for entry in log.entries] == [None, 4, None, 4]


def test_who_waits_no_more_is_dropped(monkeypatch: pytest.MonkeyPatch, worlds: list[_World]) -> None:
    """Where the partition is taken away, or the file has changed again: no join, and the next one is read."""
    world = _World(monkeypatch, _Log(_records(0, 5), [_end(5)]))
    worlds.append(world)
    world.position = 5
    gone, changed, stays = _History(), _History(wanted=False), _History()
    world.want(gone).close()
    world.want(changed)
    world.want(stays)
    asyncio.run(world.recaller.work())
    assert (gone.joined, changed.joined, stays.joined) == ([], [], [0, 1, 2, 3, 4])


def test_a_stop_waits_for_nothing(monkeypatch: pytest.MonkeyPatch, worlds: list[_World]) -> None:
    """What is half read is closed and not joined: whoever takes over begins anew."""
    world = _World(monkeypatch, _Log(_records(0, 5)))
    worlds.append(world)
    world.position = 9
    history = _History()
    world.want(history)

    async def work_and_stop() -> None:
        working = asyncio.create_task(world.recaller.work())
        while not history.heard:
            await asyncio.sleep(0)
        await world.recaller.stop()
        await working

    asyncio.run(work_and_stop())
    assert (history.joined, world.logs[0].closed) == ([], 1)
