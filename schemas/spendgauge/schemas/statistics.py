"""What does librdkafka say of itself? Each second, as JSON: the group's state, and where each partition ends.

*Source*: ``STATISTICS.md`` of librdkafka 2.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from spendgauge.schemas.progress import End

__all__ = ["Statistics", "read_statistics"]

_Partition = tuple[str, int]

_EVERY_TOPIC: Final = "-1"
"""The place of what cannot be said of a single partition."""


@dataclass(frozen=True)
class Statistics:
    """What is known of the group and its partitions."""

    answered: bool = False
    """The group's coordinator answers."""
    settled: bool = False
    """The partitions are shared out."""
    rebalances: int = 0
    starts: Mapping[_Partition, int] = field(default_factory=dict)
    """The oldest offset that is still there, as far as it is known."""
    ends: Mapping[_Partition, End] = field(default_factory=dict)
    """Where each partition ends: known as of now where its broker answers and it is fetched."""


def read_statistics(text: str, *, before: Statistics, now_ms: int) -> Statistics:
    """Read librdkafka's statistics; where a partition's broker is silent the end stays as it was told ``before``."""
    said = json.loads(text)
    group = said.get("cgrp", {})
    up = {broker["nodeid"] for broker in said["brokers"].values() if broker["state"] == "UP"}
    starts, ends = {}, dict(before.ends)
    for (topic, number), partition in _partitions(said):
        starts[topic, number] = max(partition["lo_offset"], 0)
        if partition["leader"] in up and partition["fetch_state"] == "active" and partition["hi_offset"] >= 0:
            ends[topic, number] = End(partition["hi_offset"], now_ms)
    return Statistics(
        answered=group.get("state") == "up",
        settled=group.get("join_state") == "steady",
        rebalances=group.get("rebalance_cnt", 0),
        starts=starts,
        ends=ends,
    )


def _partitions(said: Any) -> list[tuple[_Partition, Any]]:
    return [
        ((name, int(number)), partition)
        for name, topic in said["topics"].items()
        for number, partition in topic["partitions"].items()
        if number != _EVERY_TOPIC
    ]
