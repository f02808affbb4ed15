"""What does the watcher make of the broker's answers about the rates workers?"""

from collections.abc import Mapping
from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import OFFSET_INVALID, TopicPartition

from spendgauge.schemas import KafkaSettings
from spendgauge.streams.watching import asking
from spendgauge.streams.watching.asking import RatesStanding


class Admin:
    """A broker with these partitions: where each begins and ends, and what is committed."""

    def __init__(self, logs: Mapping[int, tuple[int, int, int]]) -> None:
        self._logs = logs

    def list_topics(self, topic: str, **_: Any) -> Any:
        """Name the partitions."""
        return SimpleNamespace(topics={topic: SimpleNamespace(partitions=dict.fromkeys(self._logs))})

    def list_offsets(self, asked: Mapping[TopicPartition, Any], **_: Any) -> Mapping[TopicPartition, "Future[Any]"]:
        """Say where they begin or end."""
        latest = {at: type(spec).__name__ == "LatestSpec" for at, spec in asked.items()}
        places = {at: self._logs[at.partition][latest[at]] for at in asked}
        return {at: _answer(SimpleNamespace(offset=offset)) for at, offset in places.items()}

    def list_consumer_group_offsets(self, asked: Any, **_: Any) -> Mapping[str, "Future[Any]"]:
        """Say what is committed."""
        (group,) = asked
        found = [TopicPartition("t", number, committed) for number, (_, _, committed) in self._logs.items()]
        return {group.group_id: _answer(SimpleNamespace(topic_partitions=found))}


def _answer(value: Any) -> "Future[Any]":
    future: Future[Any] = Future()
    future.set_result(value)
    return future


@pytest.mark.parametrize(
    ("begins", "ends", "committed", "rated"),
    [
        (0, 0, OFFSET_INVALID, 0),
        (0, 9, OFFSET_INVALID, 0),
        (0, 9, 9, 9),
        (4, 9, 6, 6),
        (9, 9, OFFSET_INVALID, 9),
        (7, 9, 3, 7),
    ],
)
def test_what_retention_has_removed_waits_for_nobody(
    monkeypatch: pytest.MonkeyPatch, begins: int, ends: int, committed: int, rated: int
) -> None:
    """A partition that lost its records before anybody rated them is as far as its log begins: no minute waits for
    them; but it is said that it was not rated."""
    admin = Admin({0: (begins, ends, committed), 1: (0, 5, 5)})
    monkeypatch.setattr(asking, "connect_admin", lambda *_, **__: admin)
    standing = RatesStanding(KafkaSettings(), "rates")
    assert standing.ask() == {0: (rated, ends), 1: (5, 5)}
    assert standing.overtaken == ({0} if begins > max(committed, 0) else set())
