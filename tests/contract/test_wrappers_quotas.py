"""Does a tracked client with a guard send what may be paid, nothing else, and hold what it costs?"""

import asyncio
import gc
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

import anthropic
import openai
import pytest
from tests.providers.server import Played
from tests.tracked import (
    Way,
    anthropic_ways,
    asked_of_claude,
    asked_of_gpt,
    claude,
    gpt,
    openai_ways,
    tokens,
    tokens_served,
)

from spendgauge.producers import QuotaExceeded, RecordingProducer, calculate_cost, track, usage_context
from spendgauge.producers.quotas import FakeQuotaGuard, QuotaUnknown
from spendgauge.producers.wrappers import unobserved

WAYS = {f"claude {name}": (claude, way) for name, way in anthropic_ways().items()} | {
    f"gpt {name}": (gpt, way) for name, way in openai_ways().items()
}


@pytest.fixture
def guard() -> FakeQuotaGuard:
    """A guard with a limit of one dollar and one of a thousand tokens for the feature of the tracked clients."""
    fake = FakeQuotaGuard("support-bot")
    fake.limit("usd", hard=1, series="feature", key=["triage"])
    fake.limit("tokens", hard=1000, unit="tokens", series="feature", key=["triage"])
    return fake


def held(guard: FakeQuotaGuard) -> dict[str, Any]:
    """Say what is held of each limit."""
    return {state.verdict.quota: state.verdict.reserved for state in guard.standings(feature="triage")}


def cost(producer: RecordingProducer) -> Decimal:
    """Add up what the events cost."""
    costs = [calculate_cost(None, event).usd for event in producer.events]
    return sum((usd for usd in costs if usd is not None), Decimal())


@pytest.mark.parametrize(("make", "way"), WAYS.values(), ids=WAYS)
def test_a_call_holds_what_it_has_cost(
    make: Callable[..., Any], way: Way, played: Played, producer: RecordingProducer, guard: FakeQuotaGuard
) -> None:
    """Whichever method makes a call, what it holds when it is over is what its event costs, in USD and in tokens."""
    client = make(played, producer, guard=guard, estimate=("0.75", 600))
    way(client)
    assert len(producer.events) == 1
    assert held(guard) == {"usd": cost(producer), "tokens": tokens_served(played)}
    assert 0 < cost(producer) < Decimal("0.75")
    assert (guard.refusals, unobserved(client)) == ([], 0)


@pytest.mark.parametrize(("make", "way"), WAYS.values(), ids=WAYS)
def test_a_refused_call_is_never_sent(
    make: Callable[..., Any], way: Way, played: Played, producer: RecordingProducer, guard: FakeQuotaGuard
) -> None:
    """Where the estimate is more than what is left, QuotaExceeded comes as it is: nothing sent, repeated or counted."""
    guard.spend("usd", "0.30", key=["triage"])
    client = make(played, producer, guard=guard, estimate="0.75")
    with pytest.raises(QuotaExceeded, match=r"this call may take 0\.75 USD"):
        way(client)
    assert (played.served, producer.events, len(guard.refusals)) == ([], [], 1)
    assert held(guard) == {"usd": 0, "tokens": 0}


def test_parallel_calls_know_of_each_other(played: Played, producer: RecordingProducer, guard: FakeQuotaGuard) -> None:
    """Of eight streams that begin at once four estimates fit: four are refused, and four hold theirs to the end."""

    async def begin(client: Any) -> Any:
        try:
            return await client.messages.create(stream=True, **asked_of_claude())
        except QuotaExceeded:
            return None

    async def run() -> None:
        options: dict[str, Any] = {
            "kind": anthropic.AsyncAnthropic,
            "play": "stall",
            "guard": guard,
            "estimate": "0.25",
        }
        async with claude(played, producer, **options) as client:
            streams = [one for one in await asyncio.gather(*(begin(client) for _ in range(8))) if one is not None]
            assert (len(streams), len(played.served), held(guard)["usd"]) == (4, 4, 1)
            for stream in streams:
                await anext(aiter(stream))
                await stream.close()

    asyncio.run(run())
    assert [event.status for event in producer.events] == ["cancelled"] * 4
    assert held(guard) == {"usd": cost(producer), "tokens": tokens(producer.events)}


@pytest.mark.parametrize("how", ["429", "529", "reset"])
def test_a_call_that_failed_holds_nothing(
    how: str, played: Played, producer: RecordingProducer, guard: FakeQuotaGuard
) -> None:
    """What the provider refused, and what never reached it, is let go of."""
    client = claude(played, producer, play=how, max_retries=0, guard=guard, estimate=("0.75", 600))
    with pytest.raises(anthropic.APIError):
        client.messages.create(**asked_of_claude())
    assert held(guard) == {"usd": 0, "tokens": 0}
    assert [event.status for event in producer.events] == ["error"]


def test_each_attempt_is_asked_for(played: Played, producer: RecordingProducer, guard: FakeQuotaGuard) -> None:
    """A repetition is checked anew: a limit that was reached meanwhile stops it, though the first attempt was sent."""
    asked: list[Mapping[str, Any]] = []

    def estimate(body: Mapping[str, Any]) -> str:
        asked.append(body)
        if len(asked) == 2:
            guard.spend("usd", 1, key=["triage"])
        return "0.01"

    client = gpt(played, producer, play="500,ok", guard=guard, estimate=estimate)
    with pytest.raises(QuotaExceeded):
        client.chat.completions.create(**asked_of_gpt())
    assert [served.attempt for served in played.served] == [1]
    assert asked == [asked_of_gpt()] * 2
    assert held(guard)["usd"] == 0


def test_a_stream_holds_its_estimate_until_it_ends(
    played: Played, producer: RecordingProducer, guard: FakeQuotaGuard
) -> None:
    """While an answer comes its estimate is held; a stream that is dropped holds what its event says it has used."""
    client = gpt(played, producer, play="stall", guard=guard, estimate=("0.75", 600))
    stream = client.responses.create(model="gpt-5-mini", input="Hello", stream=True)
    next(iter(stream))
    assert held(guard) == {"usd": Decimal("0.75"), "tokens": 600}
    del stream
    gc.collect()
    assert held(guard) == {"usd": cost(producer), "tokens": tokens(producer.events)}


def test_what_has_no_price_stays_at_its_estimate(
    played: Played, producer: RecordingProducer, guard: FakeQuotaGuard
) -> None:
    """Of a model that nobody has a price for the tokens are known, and the USD are what was expected."""
    client = claude(played, producer, guard=guard, estimate=("0.75", 600))
    client.messages.create(**asked_of_claude(model="nobody-knows-1"))
    assert held(guard) == {"usd": Decimal("0.75"), "tokens": tokens_served(played)}


def test_a_request_that_is_never_sent_holds_nothing(
    played: Played, producer: RecordingProducer, guard: FakeQuotaGuard
) -> None:
    """What was built and dropped, as where signing a request fails, is let go of; other requests are not asked for."""
    http = claude(played, producer, guard=guard, estimate="0.75")._client
    request = http.build_request("POST", "/v1/messages", json=asked_of_claude())
    assert held(guard)["usd"] == Decimal("0.75")
    del request
    assert held(guard)["usd"] == 0
    http.build_request("POST", "/v1/messages/count_tokens", json=asked_of_claude())
    assert held(guard)["usd"] == 0


def test_a_call_that_nobody_could_observe_stays_at_its_estimate(
    played: Played, producer: RecordingProducer, guard: FakeQuotaGuard, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error of our own costs the caller nothing, and the quota no more and no less than was expected."""
    client = claude(played, producer, guard=guard, estimate=("0.75", 600))
    monkeypatch.setattr("spendgauge.producers.wrappers.attempts.Attempt._open", lambda *_: 1 / 0)
    assert client.messages.create(**asked_of_claude()).content
    gc.collect()
    assert held(guard) == {"usd": Decimal("0.75"), "tokens": 600}
    assert unobserved(client) == 1


def test_the_quota_is_that_of_the_event(played: Played, producer: RecordingProducer, guard: FakeQuotaGuard) -> None:
    """A call falls under the quotas of the dimensions that its event has: the context's, the client's, the model's."""
    guard.limit("a user", hard=1, series="user_id+provider+model", key=["u1", "openai", "*"])
    guard.spend("a user", 1, key=["u1", "openai", "gpt-5-mini"])
    client = gpt(played, producer, guard=guard)
    with usage_context(user_id="u1", tags={"plan": "free"}):
        with pytest.raises(QuotaExceeded, match="'a user' of u1"):
            client.responses.create(model="gpt-5-mini", input="Hello")
        client.responses.create(model="gpt-5", input="Hello")
    client.responses.create(model="gpt-5-mini", input="Hello")
    assert len(played.served) == 2


def test_an_estimate_of_ones_own_may_fail(played: Played, producer: RecordingProducer, guard: FakeQuotaGuard) -> None:
    """What the caller's function raises is the caller's to see, and nothing is sent without an estimate."""
    client = gpt(played, producer, guard=guard, estimate=lambda body: body["max_tokens"])
    with pytest.raises(KeyError, match="max_tokens"):
        client.chat.completions.create(**asked_of_gpt())
    assert played.served == []


def test_nobody_knows_is_another_error(played: Played, producer: RecordingProducer) -> None:
    """A guard that fails closed says so in its own words, through the SDK."""
    guard = FakeQuotaGuard("support-bot", quota_unknown="refuse")
    guard.set_known(False)
    with pytest.raises(QuotaUnknown):
        claude(played, producer, guard=guard).messages.create(**asked_of_claude())
    assert played.served == []


@pytest.mark.parametrize(
    ("estimate", "error"),
    [(0.05, TypeError), ("1e400", ValueError), (("0.05", -1), ValueError), (("0.05", 1, 2), TypeError)],
)
def test_an_estimate_that_cannot_be_meant_is_refused_at_once(estimate: Any, error: type[Exception]) -> None:
    """What would fail at each call fails where the client is tracked."""
    with openai.OpenAI(api_key="k") as client, pytest.raises(error):
        track(client, producer=RecordingProducer(), guard=FakeQuotaGuard(), estimate=estimate)


def test_an_estimate_without_a_guard_is_refused() -> None:
    """Whoever says what a call may cost means it to be checked: a guard that was forgotten is said at once."""
    with openai.OpenAI(api_key="k") as client, pytest.raises(TypeError, match="give guard, too"):
        track(client, producer=RecordingProducer(), estimate="0.05")


def test_what_is_no_guard_is_refused_at_once() -> None:
    """A guard's name, say, is one sentence that says where a guard comes from."""
    not_a_guard: Any = "g"
    with openai.OpenAI(api_key="k") as client, pytest.raises(TypeError, match=r"^guard = 'g' is no guard: give what "):
        track(client, producer=RecordingProducer(), guard=not_a_guard)
