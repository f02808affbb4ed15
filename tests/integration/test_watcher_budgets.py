"""Does a live watcher know to the picodollar what was spent, and say it once, when it is killed amid all of it?"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from random import Random
from time import monotonic, sleep

import pytest
from confluent_kafka import Producer
from tests.alerting_worlds import contribution
from tests.apache_kafka import ApacheKafka
from tests.loads import Followed
from tests.topic_logs import read_log
from tests.watchers import running_watcher

from spendgauge.schemas import KafkaSettings, SystemClock, topic_specs
from spendgauge.schemas.compacted import read_compacted
from spendgauge.schemas.kafka import create_topics
from spendgauge.schemas.quotas import QuotaStanding, amount_of, read_quota
from spendgauge.schemas.rates import RateContribution
from spendgauge.schemas.topics import TopicSpec
from spendgauge.streams.ledger import AccountKey
from spendgauge.streams.rating.rates import rates_partition

pytestmark = pytest.mark.integration

_MINUTES, _USERS, _PATIENCE_SECONDS = 90, 20, 90.0
_USD = 10**12
_BUDGETS = """
[[budget]]
name = "a user"
series = "user_id"
key = ["*"]
usd = 100
period = "rolling"
days = 2
lines = [50]

[[quota]]
name = "a user"
series = "user_id"
key = ["*"]
hard = 100
period = "rolling"
days = 2
"""


def _lines(first: int, random: Random) -> list[RateContribution]:
    """Draw what users spend, about sixty dollars each: a block every ten minutes, each line in two versions."""
    lines = []
    for minute in range(_MINUTES):
        for user in range(_USERS):
            cost, second = random.randrange(2 * 2 * _USD // 3), (first + minute) * 60
            for version, told in enumerate((cost // 3, cost)):
                number = 2 * (minute * _USERS + user) + version
                lines.append(contribution(("user_id", (f"u{user}",)), second, told, block=minute // 10, version=number))
    return lines


def _send(kafka: KafkaSettings, lines: Sequence[RateContribution]) -> None:
    producer = Producer({"bootstrap.servers": kafka.kafka, "linger.ms": 20})
    for line in lines:
        place = rates_partition(line.series, line.key, 4)
        producer.produce(kafka.topics.rates, line.model_dump_json().encode(), partition=place)
    assert producer.flush(20) == 0


def _spent(lines: Sequence[RateContribution]) -> dict[AccountKey, int]:
    last = {(line.key, line.pane_start, line.block): line for line in sorted(lines, key=lambda line: line.version)}
    spent: Counter[AccountKey] = Counter()
    for line in last.values():
        spent[line.series, line.key] += amount_of(line.cost_usd, "usd")
    return dict(spent)


def _standings(kafka: KafkaSettings) -> dict[AccountKey, int]:
    found = [read_quota(value) for value in read_compacted(kafka, kafka.topics.quotas).values()]
    return {(one.series, one.key): amount_of(one.spent, "usd") for one in found if isinstance(one, QuotaStanding)}


def _wait_for(kafka: KafkaSettings, spent: dict[AccountKey, int]) -> None:
    deadline = monotonic() + _PATIENCE_SECONDS
    while (found := _standings(kafka)) != spent:
        assert monotonic() < deadline, f"{found} is not {spent}"
        sleep(0.3)


def test_balances_survive_a_kill_and_a_replay(own_kafka: KafkaSettings, tmp_path: Path) -> None:
    """Killed when half is read, with lines that come again and others that were missed meanwhile: standings are the
    sums of all, and each user's line is told once."""
    path = tmp_path / "budgets.toml"
    path.write_text(_BUDGETS)
    lines = _lines(SystemClock().now_ms() // 60_000 - _MINUTES - 3, Random(7))
    half = len(lines) // 2 + 1
    with Followed(own_kafka, own_kafka.topics.alerts) as followed:
        _send(own_kafka, lines[:half])
        with running_watcher(own_kafka, "all", budgets=path) as watcher:
            _wait_for(own_kafka, _spent(lines[:half]))
            watcher.kill()
        _send(own_kafka, [*lines[half // 2 : half], *lines[half:]])
        with running_watcher(own_kafka, "all", budgets=path):
            _wait_for(own_kafka, _spent(lines))
            expected = {key for key, spent in _spent(lines).items() if spent >= 50 * _USD}
            raised = _raised(followed, len(expected))
        with running_watcher(own_kafka, "all", budgets=path, watch_group="another"):
            sleep(5)
            raised += _raised(followed, 0)
    assert raised == Counter(user for _, (user,) in expected)


@pytest.mark.usefixtures("java_and_maven")
def test_what_compaction_leaves_is_all_that_is_needed(tmp_path: Path) -> None:
    """Apache Kafka compacts what is kept each time that a watcher was killed: its successor still knows to the
    picodollar what was spent, of lines that come again too, and each user's line is told once."""
    path = tmp_path / "budgets.toml"
    path.write_text(_BUDGETS)
    lines = _lines(SystemClock().now_ms() // 60_000 - _MINUTES - 3, Random(11))
    expected = {key for key, spent in _spent(lines).items() if spent >= 50 * _USD}
    with ApacheKafka(tmp_path) as cluster:
        kafka = cluster.settings()
        create_topics(kafka, [replace(spec, config=spec.config | _eager(spec)) for spec in topic_specs(kafka.topics)])
        with Followed(kafka, kafka.topics.alerts) as followed:
            for begin, end in ((0, 1), (0, 2), (1, 3)):
                told = lines[: end * len(lines) // 3]
                _send(kafka, told[begin * len(lines) // 3 :])
                with running_watcher(kafka, "all", budgets=path, session_timeout_seconds=6) as watcher:
                    _wait_for(kafka, _spent(told))
                    _wait_until_compacted(kafka, end - 1)
                    raised = _raised(followed, len(expected) if end == 3 else 0)
                    watcher.kill()
    assert raised == Counter(user for _, (user,) in expected)


def _eager(spec: TopicSpec) -> dict[str, str]:
    """Have what is compacted compacted at once: half a second after the next record."""
    often = {"segment.ms": "500", "min.cleanable.dirty.ratio": "0.01", "delete.retention.ms": "100"}
    return often if spec.config["cleanup.policy"] == "compact" else {}


def _wait_until_compacted(kafka: KafkaSettings, watchers: int) -> None:
    """Wait until records of those watchers that came before are gone."""
    deadline = monotonic() + _PATIENCE_SECONDS
    while watchers and not _holes(kafka):
        assert monotonic() < deadline, "Kafka did not compact it"
        sleep(0.3)


def _holes(kafka: KafkaSettings) -> int:
    """Count the offsets below the last one that hold no record any more."""
    last: dict[int, int] = {}
    records = read_log(kafka, kafka.topics.watch)
    for record in records:
        last[record.partition] = max(record.offset, last.get(record.partition, 0))
    return sum(last.values()) + len(last) - len(records)


def _raised(followed: Followed, least: int) -> Counter[str]:
    """Read which users' line is told, until there are so many, and a moment longer."""
    found: Counter[str] = Counter()
    deadline = monotonic() + _PATIENCE_SECONDS
    while found.total() < least:
        assert monotonic() < deadline, f"only {found} were told"
        found += _told(followed, 0.2)
    return found + _told(followed, 1.0)


def _told(followed: Followed, quiet_seconds: float) -> Counter[str]:
    lines = followed.lines(quiet_seconds=quiet_seconds)
    return Counter(line["key"][0] for line in lines if (line["rule"], line["state"]) == ("budget", "raised"))
