"""What is left of a failure? Nothing: on either broker the topics hold exactly what the log says, whoever died."""

import os
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from time import sleep

import pytest
from tests.apache_kafka import ApacheKafka, require_tools
from tests.brokers import EmbeddedBroker, frozen, running_brokers
from tests.scenes import SESSION_SECONDS, Scene, playing

pytestmark = pytest.mark.integration

SEED = int(os.environ.get("SPENDGAUGE_FAILURE_SEED", "1"))

_numbers = count()


@pytest.fixture(scope="session", params=["embedded", "kafka"])
def brokers(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ApacheKafka | EmbeddedBroker]:
    """Run each kind of broker once."""
    if request.param == "kafka":
        require_tools()
    with running_brokers(request.param, tmp_path_factory.mktemp(request.param)) as running:
        yield running


@pytest.fixture
def scene(brokers: ApacheKafka | EmbeddedBroker, tmp_path: Path) -> Iterator[Scene]:
    """Set a scene with topics and a group that no other test has."""
    with playing(brokers, tmp_path, prefix=f"f{next(_numbers)}.", seed=SEED) as scene:
        yield scene


def test_workers_come_and_go(scene: Scene) -> None:
    """Two to four workers join, leave, are killed and replaced under load; one sleeps longer than its session and
    comes back as a zombie: everything is counted once, and nothing else is written."""
    fleet, draw = scene.fleet, scene.draw
    with scene.feeding(12_000):
        fleet.join()
        fleet.join()
        scene.until_started()
        actions = ["join", "join", "leave", "kill", "kill"]
        draw.shuffle(actions)
        zombie = fleet.workers[0]
        for place, action in enumerate(actions):
            if place == 1:
                zombie.pause()
            sleep(draw.uniform(0, 2))
            others = [worker for worker in fleet.workers if worker is not zombie]
            if action == "join" or len(others) < 2:
                fleet.join()
            if action == "leave":
                fleet.leave(draw.choice(others[:2]))
            elif action == "kill":
                fleet.kill(draw.choice(others[:2]))
    scene.until_rated()
    zombie.resume()
    scene.feed(2_000)
    scene.finish()
    assert scene.verdict() == {}


def test_a_frozen_broker_is_waited_for(scene: Scene) -> None:
    """A broker that does not answer for longer than a session, in the middle of the work, loses and doubles nothing,
    and no worker gives up."""
    brokers, fleet, draw = scene.brokers, scene.fleet, scene.draw
    fleet.join()
    fleet.join()
    with scene.feeding(6_000):
        scene.until_started()
        sleep(draw.uniform(0, 1))
        with frozen(brokers, draw.choice(brokers.nodes)):
            sleep(SESSION_SECONDS + 1)
    scene.finish()
    assert scene.verdict() == {}


def test_a_killed_coordinator_is_replaced(scene: Scene) -> None:
    """The broker that coordinates the group is killed under load: the group goes on with another, and the broker may
    come back. (The embedded broker keeps all in memory: who kills it has deleted the topics.)"""
    if not isinstance(scene.brokers, ApacheKafka):
        pytest.skip("the embedded broker forgets everything when it is killed")
    brokers, fleet, draw = scene.brokers, scene.fleet, scene.draw
    fleet.join()
    fleet.join()
    with scene.feeding(6_000):
        scene.until_started()
        sleep(draw.uniform(0, 1))
        node = brokers.coordinator(scene.group)
        brokers.kill(node)
        try:
            scene.until_it_goes_on()
        finally:
            brokers.start(node)
            brokers.wait(node)
    scene.finish()
    assert scene.verdict() == {}


def test_a_recreated_topic_begins_anew(scene: Scene) -> None:
    """A topic that is deleted and created again under running workers is rated from its start; what was rated of the
    old one stays."""
    fleet = scene.fleet
    fleet.join()
    fleet.join()
    scene.feed(1_000)
    scene.until_rated()
    scene.feed(2_000)
    scene.until_rated()
    scene.recreate_topic()
    scene.feed(4_000)
    scene.finish()
    assert scene.verdict() == {}


def test_prices_change_between_crash_and_recovery(scene: Scene) -> None:
    """A worker is killed amid a block, and those that follow have other prices; another one with the old prices was
    frozen meanwhile and comes back. What is settled keeps its prices, and no block is priced by two books."""
    fleet, draw = scene.fleet, scene.draw
    zombie, victim = fleet.join(), fleet.join()
    with scene.feeding(5_000):
        scene.until_started()
        sleep(draw.uniform(0.5, 1.5))
        zombie.pause()
        fleet.kill(victim)
        committed = scene.committed()
        fleet.join(prices=scene.books[1])
        fleet.join(prices=scene.books[1])
    scene.until_rated()
    assert scene.books_out_of_order(committed) == []
    zombie.resume()
    scene.feed(1_000)
    scene.finish()
    assert scene.verdict() == {}
