"""What do workers know of the sources when others take over? Repeats, gaps and price books, across blocks and kills."""

from collections import defaultdict
from decimal import Decimal
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import pytest
from tests.loads import Followed, FollowedRates, Load, differences, send
from tests.workers import running_worker, until_rated

from spendgauge.schemas import DEFAULT_SERIES, KafkaSettings, SystemClock, topic_specs
from spendgauge.schemas.kafka import connect_admin, create_topics
from spendgauge.streams.reading.loading import load_entries

pytestmark = pytest.mark.integration

_BLOCK: dict[str, Any] = {"block_offsets": 200}
_BOOK = """
[[price]]
provider = "nobody"
model = "unheard-of-1"
usd_per_mtok = { input = "7", cache_read = "1", output = "9", reasoning = "9" }
"""

Lines = list[tuple[str, bytes]]


def _load(seed: int) -> Load:
    return Load(seed=seed, start_ms=SystemClock().now_ms() - 600_000)


def _draw(load: Load, events: int) -> Lines:
    return list(load.lines(events, spread_ms=60_000))


def _last(followed: Followed, found: dict[str, dict[str, Any]], key: str) -> dict[str, dict[str, Any]]:
    """Read on; keep the last line of each name."""
    for line in followed.lines():
        if line["version" if key == "source" else "evaluated_at"] >= 0:
            found[line[key]] = line
    return found


def _missing(lines: dict[str, dict[str, Any]]) -> dict[str, list[tuple[int, int]]]:
    gaps = {name: [(gap["first_seq"], gap["last_seq"]) for gap in line["gaps"]] for name, line in lines.items()}
    return {name: found for name, found in gaps.items() if found}


def test_repeats_are_counted_once_across_blocks_and_kills(kafka: KafkaSettings) -> None:
    """All that was rated is sent again, blocks later and to another worker than the first, which was killed: it counts
    once, it is said how much came again, and no gap is seen where there is none."""
    create_topics(kafka, topic_specs(kafka.topics))
    load = _load(31)
    with FollowedRates(kafka) as rates, Followed(kafka, kafka.topics.gaps) as gaps:
        with running_worker(kafka, **_BLOCK) as first:
            lines = _draw(load, 3_000)
            send(kafka, lines, per_record=(1,))
            assert until_rated(rates, load.sent) == load.sent
            first.kill()
            first.wait(20)
        send(kafka, lines, per_record=(1, 7))
        send(kafka, _draw(load, 2_000), per_record=(1,))
        with running_worker(kafka, **_BLOCK):
            assert until_rated(rates, load.sent) == load.sent
            send(kafka, lines[-500:], per_record=(3,))
            send(kafka, _draw(load, 500), per_record=(3,))
            assert until_rated(rates, load.sent) == load.sent
            assert differences(load.expected(), rates.totals()) == {}
            said = _last(gaps, {}, "source")
    assert _missing(said) == {}
    assert sum(line["repeats"] for line in said.values()) == 3_500
    assert not any(line["shared"] for line in said.values())


def test_a_gap_opens_and_closes(kafka: KafkaSettings) -> None:
    """Events that are held back are missing on usage.gaps and raise an alert, also beyond a change of worker; when they
    come they are counted, late as they are, and the alerts are resolved."""
    create_topics(kafka, topic_specs(kafka.topics))
    load = _load(32)
    lines = _draw(load, 2_000)
    held = [line for source, line in lines if source == "service-3#0"][20:30]
    late = [("service-3#0", line) for line in held]
    with (
        FollowedRates(kafka) as rates,
        Followed(kafka, kafka.topics.gaps) as gaps,
        Followed(kafka, kafka.topics.alerts) as alerts,
    ):
        with running_worker(kafka, **_BLOCK) as first:
            send(kafka, [line for line in lines if line not in late], per_record=(1,))
            assert until_rated(rates, load.sent - 10) == load.sent - 10
            said, told = _last(gaps, {}, "source"), _last(alerts, {}, "alert_id")
            assert _missing(said) == {"service-3#0": [(20, 29)]}
            assert [(one["state"], one["rule"], one["key"]) for one in told.values()] == [
                ("raised", "gap", ["service-3#0"])
            ]
            first.terminate()
            first.wait(20)
        with running_worker(kafka, **_BLOCK):
            send(kafka, _draw(load, 500), per_record=(1,))
            send(kafka, [*late[:4], *late[6:]], per_record=(1,))
            assert until_rated(rates, load.sent - 2) == load.sent - 2
            assert _missing(_last(gaps, said, "source")) == {"service-3#0": [(24, 25)]}
            send(kafka, late[4:6], per_record=(1,))
            assert until_rated(rates, load.sent) == load.sent
            assert differences(load.expected(), rates.totals()) == {}
            assert _missing(_last(gaps, said, "source")) == {}
            (alert,) = _last(alerts, told, "alert_id").values()
    assert alert["state"] == "resolved"


def test_a_rejected_line_is_no_gap(kafka: KafkaSettings) -> None:
    """Lines that are rejected leave no gap where their number can be read, and one where it cannot, also beyond a
    change of worker; mended and sent again under their numbers they count."""
    create_topics(kafka, topic_specs(kafka.topics))
    load = _load(36)
    lines = _draw(load, 2_000)
    places = [place for place, (source, _) in enumerate(lines) if source == "service-3#0"]
    spoilt = dict(enumerate(lines))
    for place in places[20:25]:
        spoilt[place] = ("service-3#0", lines[place][1].replace(b'"seq"', b'"prompt":"x","seq"'))
    spoilt[places[30]] = ("service-3#0", lines[places[30]][1][:-1])
    with FollowedRates(kafka) as rates, Followed(kafka, kafka.topics.gaps) as gaps:
        with running_worker(kafka, **_BLOCK) as first:
            send(kafka, [spoilt[place] for place in range(len(lines))], per_record=(1,))
            assert until_rated(rates, load.sent - 6) == load.sent - 6
            said = _last(gaps, {}, "source")
            assert _missing(said) == {"service-3#0": [(30, 30)]}
            first.terminate()
            first.wait(20)
        with running_worker(kafka, **_BLOCK):
            send(kafka, [lines[place] for place in [*places[20:25], places[30], places[20]]], per_record=(1,))
            send(kafka, _draw(load, 500), per_record=(1,))
            assert until_rated(rates, load.sent) == load.sent
            assert differences(load.expected(), rates.totals()) == {}
            assert _missing(_last(gaps, said, "source")) == {}
    assert [line["repeats"] for line in said.values()] == [1]


def test_a_recreated_topic_opens_no_gap(kafka: KafkaSettings) -> None:
    """Workers that live through a topic's end carry over where its sources stood: what goes on in the new topic is no
    gap, and what comes again is a repeat."""
    create_topics(kafka, topic_specs(kafka.topics))
    load = _load(33)
    with (
        running_worker(kafka, **_BLOCK),
        FollowedRates(kafka) as rates,
        Followed(kafka, kafka.topics.gaps) as gaps,
    ):
        lines = _draw(load, 2_000)
        send(kafka, lines, per_record=(1,))
        assert until_rated(rates, load.sent) == load.sent
        admin = connect_admin(kafka)
        admin.delete_topics([kafka.topics.usage])[kafka.topics.usage].result()
        create_topics(kafka, topic_specs(kafka.topics))
        send(kafka, lines[-100:], per_record=(1,))
        send(kafka, _draw(load, 2_000), per_record=(1,))
        assert until_rated(rates, load.sent) == load.sent
        assert differences(load.expected(), rates.totals()) == {}
        said = _last(gaps, {}, "source")
    assert _missing(said) == {}
    assert sum(line["repeats"] for line in said.values()) == 100


def test_another_price_book_leaves_sums_that_agree(kafka: KafkaSettings, tmp_path: Path) -> None:
    """A worker with another price book than the one that was killed writes its block again as a whole: all series come
    to the same cost, which lies between what the books say, and nothing is counted twice."""
    create_topics(kafka, topic_specs(kafka.topics))
    load = _load(34)
    book = tmp_path / "prices.toml"
    book.write_text(_BOOK)
    with FollowedRates(kafka) as rates:
        with running_worker(kafka, flush_seconds=0.1, **_BLOCK) as first:
            send(kafka, _draw(load, 3_000), per_record=(1,))
            while rates.read(quiet_seconds=0.05) == 0:
                sleep(0.01)
            first.kill()
            first.wait(20)
        with running_worker(kafka, prices=book, **_BLOCK):
            assert until_rated(rates, load.sent) == load.sent
            priced = _costs(rates)
            send(kafka, _draw(load, 1_000), per_record=(1,))
            assert until_rated(rates, load.sent) == load.sent
    assert len({cost for cost, _ in _costs(rates).values()}) == 1
    assert len({unpriced for _, unpriced in _costs(rates).values()}) == 1
    assert len(set(priced.values())) == 1
    cost, unpriced = priced["total"]
    expected = {key: total for key, total in load.expected().items() if key[0] == "total"}
    assert cost > 0
    assert unpriced < sum(total[2] for total in expected.values())


def _costs(rates: FollowedRates) -> dict[str, tuple[Decimal, int]]:
    """Sum up each series: what it cost, and how many events have no price."""
    sums: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for (series, _, _), total in rates.totals().items():
        sums[series][0] += total[-1]
        sums[series][1] += total[2]
    assert sums.keys() == {spec.name for spec in DEFAULT_SERIES}
    return {series: (Decimal(cost), unpriced) for series, (cost, unpriced) in sums.items()}


def test_entries_do_not_pile_up(kafka: KafkaSettings) -> None:
    """Through many blocks and two workers, usage.positions comes to hold one entry for each source and one for the
    price book, when all is compacted."""
    create_topics(kafka, topic_specs(kafka.topics))
    load = _load(35)
    with FollowedRates(kafka) as rates:
        for _ in range(2):
            with running_worker(kafka, block_offsets=50, flush_seconds=0.2) as worker:
                for _ in range(3):
                    send(kafka, _draw(load, 1_000), per_record=(1,))
                    assert until_rated(rates, load.sent) == load.sent
                deadline = monotonic() + 30
                while _most_entries(kafka) > 1 and monotonic() < deadline:
                    send(kafka, _draw(load, 8), per_record=(1,))
                    until_rated(rates, load.sent)
                assert _most_entries(kafka) == 1
                worker.terminate()
                worker.wait(20)


def _most_entries(kafka: KafkaSettings) -> int:
    """Say how many entries that source has which has most, or that partition's book."""
    counts: dict[object, int] = defaultdict(int)
    for number, entries in load_entries(kafka, kafka.topics.positions, range(4)).items():
        for key in entries.positions:
            counts[key.source] += 1
        counts[number] += len(entries.editions)
    return max(counts.values())
