"""Does what a gateway answered reach Kafka, whatever becomes of the broker and of the gateway?"""

from pathlib import Path

import pytest
from tests.brokers import EmbeddedBroker, frozen
from tests.gateways import running_gateway
from tests.producers import CALL, positions, read_back, unpacked

from spendgauge.schemas import SystemClock, topic_specs
from spendgauge.schemas.kafka import create_topics

pytestmark = pytest.mark.integration

CLOCK = SystemClock()


def test_no_answered_event_is_lost_in_an_outage_and_a_kill(tmp_path: Path) -> None:
    """The broker is silent, the gateway answers on and is killed; the broker comes back, and the next gateway hands
    over all that was answered, without a gap, each event under one source and number."""
    ids = []
    with EmbeddedBroker() as broker:
        create_topics(broker.settings(), topic_specs(broker.settings().topics))
        with running_gateway(tmp_path, "--open", kafka=broker.address) as gateway:
            ids += gateway.send([CALL] * 300).ids
            with frozen(broker, 0):
                for _ in range(10):
                    ids += gateway.send([CALL] * 50).ids
                gateway.process.kill()
                gateway.process.wait()
        with running_gateway(tmp_path, "--open", kafka=broker.address) as gateway:
            ids += gateway.send([CALL] * 20).ids
            deadline = CLOCK.monotonic() + 20
            while list(gateway.spool.glob("*/*.spool")) and CLOCK.monotonic() < deadline:
                CLOCK.sleep(0.1)
            gateway.process.terminate()
            assert gateway.process.wait(10) == 0
        records = read_back(broker.settings(), events=len(ids))
    found = {(event.source, event.seq): event.event_id for event in unpacked(records)}
    assert len(ids) == 820
    assert sorted(found.values()) == sorted(ids)
    assert all(set(seqs) == set(range(len(set(seqs)))) for seqs in positions(records).values())
