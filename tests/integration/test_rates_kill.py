"""What is left of a worker that is killed? Nothing that is wrong: the highest versions sum up exactly."""

import os
from contextlib import ExitStack
from random import Random
from time import sleep

import pytest
from tests.loads import FollowedRates, Load, differences, send
from tests.workers import running_worker, until_rated

from spendgauge.schemas import KafkaSettings, SystemClock, topic_specs
from spendgauge.schemas.kafka import create_topics

pytestmark = pytest.mark.integration

_EVENTS = int(os.environ.get("SPENDGAUGE_TEST_KILL_EVENTS", "200000"))
_KILLS = int(os.environ.get("SPENDGAUGE_TEST_KILLS", "4"))
_SEED = int(os.environ.get("SPENDGAUGE_TEST_KILL_SEED", "3"))
_SPREAD_MS = 120_000


def test_killed_workers_leave_exact_totals(kafka: KafkaSettings) -> None:
    """Two workers, one of them killed again and again at random: every series, key and pane sums up exactly.

    The other takes over, the next comes and is killed amid the rebalance, the rebuild or the work, as chance has it;
    records of one event and of many come all the while.
    """
    create_topics(kafka, topic_specs(kafka.topics))
    load = Load(seed=_SEED, start_ms=SystemClock().now_ms() - 3_600_000)
    draw = Random(_SEED)
    with ExitStack() as stack, FollowedRates(kafka) as rates:
        workers = [stack.enter_context(running_worker(kafka)) for _ in range(2)]
        for _ in range(_KILLS):
            lines = load.lines(_EVENTS // (_KILLS + 1), spread_ms=_SPREAD_MS)
            send(kafka, lines, per_record=(1, 1, 5, 40), seed=draw.randrange(100))
            sleep(draw.uniform(0, 4))
            victim = draw.randrange(2)
            workers[victim].kill()
            workers[victim] = stack.enter_context(running_worker(kafka))
        rest = load.lines(_EVENTS - load.sent, spread_ms=_SPREAD_MS)
        send(kafka, rest, per_record=(1, 1, 5, 40), seed=draw.randrange(100))
        requests = until_rated(rates, load.sent)
        assert differences(load.expected(), rates.totals()) == {}
        assert requests == _EVENTS
