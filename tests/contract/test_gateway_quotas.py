"""What does a gateway say of quotas to services that are not Python, where no broker is reached?"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.gateways import RunningGateway, running_gateway

from spendgauge.producers.gateway.keys import add_key

CHECK = "/v1/quota/check"


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    """A gateway that lets calls pass while nobody knows, and whose key may ask for two teams."""
    folder = tmp_path_factory.mktemp("gateway")
    token = add_key(folder / "keys.toml", "bot", fixed={}, allowed={"team": ["search", "ads"]}, now_ms=0)
    with running_gateway(folder, "--keys", str(folder / "keys.toml"), token=token) as running:
        yield running


@pytest.mark.parametrize(
    ("question", "status", "message"),
    [
        ({"team": "ads", "estimate_usd": "0.05", "estimate_tokens": 3, "hold_seconds": 0.5}, 200, None),
        ({"team": "ads", "user_id": None}, 200, None),
        ({"team": "sales"}, 422, "team must have one of the values that the key bot may give"),
        ({}, 422, "team must have one of the values that the key bot may give"),
        ({"team": "ads", "estimate_usd": 0.05}, 422, "estimate_usd"),
        ({"team": "ads", "estimate_usd": "-1"}, 422, "estimate_usd"),
        ({"team": "ads", "estimate_tokens": -1}, 422, "estimate_tokens"),
        ({"team": "ads", "hold_seconds": 601}, 422, "hold_seconds"),
        ({"team": "ads", "prompt": "hello"}, 422, "prompt"),
        ([], 422, ""),
        (b"{", 400, "JSON"),
    ],
)
def test_a_question_is_answered_or_refused(
    gateway: RunningGateway, question: Any, status: int, message: str | None
) -> None:
    """A question that a key may ask is answered; any other is refused with the field, and is no usage."""
    reply = gateway.send(question, CHECK)
    assert reply.status == status, reply.body
    if message is None:
        assert reply.json == {"allowed": True, "reason": "ok", "quotas": []}
    else:
        assert message in reply.json["message"]


def test_only_keys_may_ask_in_json(gateway: RunningGateway) -> None:
    """Who has no key learns nothing, and another content type is named."""
    assert gateway.send({}, CHECK, authorization=None).status == 401
    assert gateway.send(b"a=b", CHECK, content_type="text/plain").status == 415


def test_the_figures_count_checks(gateway: RunningGateway) -> None:
    """Questions are counted by key and limit."""
    gateway.send({"team": "ads"}, CHECK)
    text = gateway.get("/metrics").body.decode()
    assert 'spendgauge_gateway_quota_checks_total{key="bot",reason="ok"}' in text
    assert 'spendgauge_gateway_requests_total{route="/v1/quota/check",status="200"}' in text


def test_nobody_knows(tmp_path: Path) -> None:
    """Where that is wanted, calls are refused while nobody knows what is spent: 503, and when to ask again."""
    with running_gateway(tmp_path, "--open", quota_unknown="refuse") as strict:
        reply = strict.send({}, CHECK)
        assert (reply.status, reply.headers["retry-after"]) == (503, "10")
        assert "nobody knows what is spent" in reply.json["message"]
        assert strict.send().status == 202  # usage is taken: it is spent already
