"""What do consumers take from librdkafka's own statistics? What the broker told, and only that."""

import json
from typing import Any

from spendgauge.schemas.progress import End
from spendgauge.schemas.statistics import Statistics, read_statistics


def _said(
    *, broker: str = "UP", group: tuple[str, str] = ("up", "steady"), high: int = 7, fetch: str = "active"
) -> str:
    partition: dict[str, Any] = {"leader": 1, "fetch_state": fetch, "lo_offset": 3, "hi_offset": high}
    nowhere = {"leader": -1, "fetch_state": "none", "lo_offset": -1001, "hi_offset": -1001}
    return json.dumps(
        {
            "brokers": {"b:1/1": {"nodeid": 1, "state": broker}, "GroupCoordinator": {"nodeid": -1, "state": "UP"}},
            "topics": {"t": {"partitions": {"0": partition, "-1": nowhere}}},
            "cgrp": {"state": group[0], "join_state": group[1], "rebalance_cnt": 2},
        }
    )


def test_an_end_is_as_fresh_as_the_statistics() -> None:
    """A partition that is fetched from a broker that answers ends, now, where the last fetch told."""
    found = read_statistics(_said(), before=Statistics(), now_ms=1_000)
    assert found == Statistics(True, True, 2, {("t", 0): 3}, {("t", 0): End(7, 1_000)})


def test_an_end_that_nobody_confirms_grows_old() -> None:
    """With the broker away, the partition not fetched, or nothing told yet, what was told before stays as it was."""
    before = Statistics(ends={("t", 0): End(5, 200)})
    for said in (_said(broker="DOWN"), _said(fetch="stopped"), _said(high=-1001)):
        assert read_statistics(said, before=before, now_ms=1_000).ends == {("t", 0): End(5, 200)}


def test_the_group_is_taken_at_its_word() -> None:
    """A coordinator that is sought does not answer; a group in which members join has not shared out anything."""
    seeking = read_statistics(_said(group=("query-coord", "init")), before=Statistics(), now_ms=0)
    assert (seeking.answered, seeking.settled) == (False, False)
    joining = read_statistics(_said(group=("up", "wait-join")), before=Statistics(), now_ms=0)
    assert (joining.answered, joining.settled) == (True, False)


def test_before_the_group_is_sought_nothing_is_known() -> None:
    """A consumer that has just started says nothing of a group, and that is no error."""
    text = json.dumps({"brokers": {}, "topics": {}})
    assert read_statistics(text, before=Statistics(), now_ms=0) == Statistics()
