"""What is left of a failure? Nothing: on either broker the topics hold exactly what the log says, whoever died."""

import os
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from time import sleep

import pytest
from tests.apache_kafka import ApacheKafka, require_tools
from tests.brokers import EmbeddedBroker, down, frozen, running_brokers
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
    zombie, _ = scene.start_workers()
    actions = ["join", "join", "leave", "kill", "kill"]
    draw.shuffle(actions)
    with scene.feeding(8_000):
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
    scene.feed(1_000)
    scene.finish()
    assert scene.verdict() == {}


def test_brokers_fail(scene: Scene) -> None:
    """A broker does not answer for longer than a session; then the one that coordinates the group is killed, and comes
    back later. Both under load: nothing is lost or doubled, and no worker gives up.

    (The embedded broker is only frozen: it keeps all in memory, and forgets everything when it is killed.)
    """
    brokers, draw = scene.brokers, scene.draw
    scene.start_workers()
    with scene.feeding(6_000):
        sleep(draw.uniform(0, 1))
        with frozen(brokers, draw.choice(brokers.nodes)):
            sleep(SESSION_SECONDS + 1)
        if isinstance(brokers, ApacheKafka):
            scene.until_it_goes_on()
            with down(brokers, brokers.coordinator(scene.group)):
                scene.until_it_goes_on()
    scene.finish()
    assert scene.verdict() == {}


def test_a_recreated_topic_begins_anew(scene: Scene) -> None:
    """A topic that is deleted and created again under running workers is rated from its start; what was rated of the
    old one stays."""
    scene.start_workers()
    scene.feed(2_000)
    scene.until_rated()
    scene.recreate_topic()
    scene.feed(3_000)
    scene.finish()
    assert scene.verdict() == {}


def test_prices_change_between_crash_and_recovery(scene: Scene) -> None:
    """A worker is killed amid a block, and those that follow have other prices; another one with the old prices was
    frozen meanwhile and comes back. What is settled keeps its prices, and no block is priced by two books."""
    fleet, draw = scene.fleet, scene.draw
    zombie, victim = scene.start_workers()
    with scene.feeding(3_000):
        sleep(draw.uniform(0, 1.5))
        zombie.pause()
        fleet.kill(victim)
        committed = scene.committed()
        fleet.join(prices=scene.books[1])
        fleet.join(prices=scene.books[1])
    scene.feed(500)
    scene.until_rated()
    assert scene.books_out_of_order(committed) == []
    zombie.resume()
    scene.feed(1_000)
    scene.finish()
    assert scene.verdict() == {}
