"""Does a gateway refuse calls of services that are not Python, by what is on ``cost.quotas``?"""

from pathlib import Path
from time import monotonic, sleep

import pytest
from tests.brokers import EmbeddedBroker
from tests.gateways import running_gateway
from tests.quotas import limit, send_quotas, standing, ticked

from spendgauge.schemas import SystemClock, topic_specs
from spendgauge.schemas.kafka import create_topics

pytestmark = pytest.mark.integration

CHECK = "/v1/quota/check"


def test_a_gateway_refuses_and_still_counts(tmp_path: Path) -> None:
    """Over quota a check is 429 with the limit and when to come back; usage is taken all the same, for it is spent."""
    now_ms = SystemClock().now_ms()
    resets_at = now_ms // 1000 + 600
    with EmbeddedBroker() as broker:
        kafka = broker.settings()
        create_topics(kafka, topic_specs(kafka.topics, partitions=1))
        known = (limit("a user", hard=5), standing("a user", 4, resets_at=resets_at), ticked(now_ms))
        send_quotas(kafka, *(line.entry() for line in known))
        with running_gateway(tmp_path, "--open", kafka=kafka.kafka) as gateway:
            deadline = monotonic() + 20
            while not (allowed := gateway.send({"user_id": "u1"}, CHECK).json)["quotas"]:
                assert monotonic() < deadline
                sleep(0.1)
            (state,) = allowed["quotas"]
            assert (state["quota"], state["key"], state["hard"]) == ("a user", ["u1"], "5.000000000000")
            assert (state["spent"], state["reserved"]) == ("4.000000000000", "0.000000000000")

            held = {"user_id": "u1", "estimate_usd": "0.75", "hold_seconds": 60}
            assert gateway.send(held, CHECK).status == 200
            refused = gateway.send(held, CHECK)
            assert refused.status == 429
            assert 590 <= int(refused.headers["retry-after"]) <= 600
            told = refused.json
            assert (told["quota"], told["limit"], told["spent"]) == ("a user", "5.000000000000", "4.000000000000")
            assert (told["reserved"], told["estimate"]) == ("0.750000000000", "0.750000000000")
            assert told["message"].startswith("quota 'a user' of u1 has a hard limit of 5.00 USD: 4.00 USD is spent")
            assert gateway.send({"user_id": "u2", "estimate_usd": "5"}, CHECK).status == 200
            usage = {"provider": "anthropic", "model": "claude-haiku-4-5", "output_tokens": 7, "user_id": "u1"}
            assert gateway.send(usage).status == 202
