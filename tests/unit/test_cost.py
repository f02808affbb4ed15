"""Does a service's own price of a call agree with the worker's and the sink's, and does it say why there is none?"""

import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.prices import ANOTHER_ID, MS, NOW, Case, call, cases, contexts, edges, frame_of

from spendgauge.producers import CallCost, InvalidEventError, calculate_cost
from spendgauge.producers.adapters import anthropic_events, openai_events
from spendgauge.schemas import LEAVES, PriceFileError, UsageEvent
from spendgauge.schemas.money import usd
from spendgauge.schemas.prices import PriceBook

HAIKU = "claude-haiku-4-5-20251001"
EVERYWHERE = """
[[price]]
provider = "*"
model = "*"
multiplier = "0.333333"

[[price]]
provider = "*"
model = "*5*"
from = 2026-02-01
until = 2026-10-01
usd_per_mtok = { input = "0.0000005", cache_read = "7.25", reasoning = "3" }
usd_per_1000_requests = "1.5"

[[price]]
provider = "openai"
model = "*mini*"
service_tier = "flex"
multiplier = "0.4"

[[price]]
provider = "a*"
model = "claude-*"
like = "anthropic"
"""
"""Discounts, odd prices, fees, dates and tiers over most of the catalogue."""


@pytest.fixture(autouse=True)
def _no_price_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test sees the reader's own prices."""
    monkeypatch.delenv("SPENDGAUGE_PRICES", raising=False)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[Path | None, PriceBook]:
    """Price files, and the book that a worker makes of each."""
    path = tmp_path_factory.mktemp("prices") / "prices.toml"
    path.write_text(EVERYWHERE, encoding="utf-8")
    return {None: PriceBook.load(), path: PriceBook.load(path)}


def agree(book: PriceBook, path: Path | None, events: list[UsageEvent]) -> int:
    """Hold what a service says of each event to what the frame of all says; count those that have a price."""
    priced = book.price(frame_of(events)).select("cost_picodollars", "price_version").rows()
    for event, (cost, version) in zip(events, priced, strict=True):
        ours = calculate_cost(event.model, event, prices=path)
        assert (ours.usd, ours.price_version) == (None if cost is None else usd(cost), version), event
        assert bool(ours.unpriced_because) == (cost is None), event
    return sum(cost is not None for cost, _ in priced)


def at_the_edges(case: Case) -> Iterator[UsageEvent]:
    """Make calls just before and at each date, hour and input size where a model's price changes; tiers take turns."""
    times, sizes = edges(case.info)
    tiers = list(contexts)
    moments = [NOW, datetime(2026, 3, 1, tzinfo=UTC), *(t + shift for t in times for shift in (-MS, timedelta()))]
    for turn, at in enumerate(moments):
        for size in (1_001, *(s + shift for s in sizes for shift in (0, 1))):
            parts = {
                "cache_read_tokens": size // 2,
                "cache_write_1h_tokens": size // 7,
                "input_audio_tokens": size // 11,
            }
            outputs = {"output_tokens": 977, "reasoning_tokens": 311, "output_audio_tokens": 13}
            fields: dict[str, Any] = {"input_tokens": size - sum(parts.values()), **parts, **outputs}
            yield call(case.provider, case.model, at=at, service_tier=tiers[turn % len(tiers)], **fields)


def test_every_model_costs_what_the_book_says(files: dict[Path | None, PriceBook]) -> None:
    """All models, at every edge of their prices, in all tiers, with and without a price file: the same picodollars, the
    same version, and a reason exactly where there is no price."""
    events = [event for case in cases() for event in at_the_edges(case)]
    for path, book in files.items():
        assert agree(book, path, events) > len(events) // 3


@st.composite
def calls(draw: st.DrawFn) -> UsageEvent:
    """Draw an event of any model, correction or not, often near an edge of its prices."""
    case = draw(st.sampled_from(cases()))
    times, sizes = edges(case.info)
    at = datetime(2025, 6, 1, tzinfo=UTC) + draw(st.integers(0, 2 * 365 * 86_400_000)) * MS
    if draw(st.booleans()) and times:
        at = draw(st.sampled_from(times)) + draw(st.integers(-2, 2)) * MS
    counts = {leaf: draw(st.one_of(st.just(0), st.integers(0, 300_000))) for leaf in LEAVES}
    counts["web_search_requests"] = draw(st.sampled_from([0, 0, 0, 2]))
    if draw(st.booleans()) and sizes:
        counts["input_tokens"] = draw(st.sampled_from(sizes)) + draw(st.integers(-1, 1))
        counts |= dict.fromkeys(("cache_read_tokens", "cache_write_5m_tokens", "cache_write_1h_tokens"), 0)
        counts["input_audio_tokens"] = 0
    fields: dict[str, Any] = {**counts, "reasoning_tokens": draw(st.integers(0, counts["output_tokens"]))}
    fields["service_tier"] = draw(st.sampled_from(list(contexts)))
    fields["status"] = draw(st.sampled_from(["ok", "error", "cancelled"]))
    if draw(st.booleans()):
        fields |= {"kind": "adjustment", "adjusts": ANOTHER_ID}
        fields["input_tokens"] = -fields["input_tokens"]
    return call(case.provider, case.model, at=at, **fields)


@settings(deadline=None)  # machines are shared
@given(st.lists(calls(), min_size=1, max_size=10))
def test_any_event_costs_what_the_book_says(files: dict[Path | None, PriceBook], events: list[UsageEvent]) -> None:
    """Whatever was used, whenever, in any tier, with any outcome: one by one and as a frame it costs the same."""
    for path, book in files.items():
        agree(book, path, events)


def test_a_call_written_out() -> None:
    """1,000 x 3 + 20,000 x 0.30 + 500 x 15 USD per million is 0.0165, exactly, and the version says whose prices."""
    usage = {"input_tokens": 1_000, "cache_read_tokens": 20_000, "output_tokens": 500}
    cost = calculate_cost("claude-sonnet-4-5", usage)
    assert (cost.usd, cost.unpriced_because) == (Decimal("0.0165"), "")
    assert cost.price_version.startswith("genai-prices ")


@pytest.mark.parametrize(
    ("model", "cost"),
    [(HAIKU, "0.004069"), ("claude-sonnet-4-5-20250929", "0.012207"), ("claude-opus-4-5-20251101", "0.020345")],
)
def test_the_seeds_call(model: str, cost: str) -> None:
    """The seeds' 1,234 tokens in and 567 out, at 1 and 5, 3 and 15, 5 and 25 USD per million."""
    assert calculate_cost(model, {"input_tokens": 1_234, "output_tokens": 567}).usd == Decimal(cost)


UNPRICED = [
    ("claude-99", {}, "no price is known for a model claude-99"),
    ("gpt-5", {"provider": "nobody"}, "no price is known for a model gpt-5 of nobody"),
    ("claude-sonnet-4-5", {"service_tier": "priority"}, "has no known price in the service tier priority"),
    ("deepseek-chat", {"provider": "deepseek", "service_tier": "batch"}, "in the service tier batch"),
    ("mistral-large-latest", {"web_search_requests": 1}, "no known price for the web_search_requests"),
    ("whisper-1", {}, "without a price that an event's counts can use"),
]


@pytest.mark.parametrize(("model", "fields", "reason"), UNPRICED)
def test_what_has_no_price_says_why(model: str, fields: dict[str, Any], reason: str) -> None:
    """Nothing is zero because it is not known: the cost is None, and a sentence says what is missing."""
    cost = calculate_cost(model, {"input_tokens": 1_000, **fields})
    assert (cost.usd, cost.price_version) == (None, "")
    assert reason in cost.unpriced_because


NAMES = [
    ("claude-haiku-4-5", "0.001"),
    ("anthropic/claude-haiku-4-5", "0.001"),
    ("gpt-5", "0.00125"),
    ("openai/gpt-5", "0.00125"),
    ("gemini-2.5-flash", "0.0003"),
]


@pytest.mark.parametrize(("model", "cost"), NAMES)
def test_a_model_that_is_named_alone_is_found(model: str, cost: str) -> None:
    """The usual names say whose model it is; a provider may stand before a slash."""
    assert calculate_cost(model, {"input_tokens": 1_000}).usd == Decimal(cost)


def test_what_is_given_wins() -> None:
    """Tier, time and provider of the usage hold unless they are given; a field that is None is not given."""
    usage: dict[str, Any] = {"input_tokens": 1_000, "service_tier": "batch", "output_tokens": None}
    assert calculate_cost(HAIKU, usage).usd == Decimal("0.0005")
    assert calculate_cost(HAIKU, usage, service_tier="standard").usd == Decimal("0.001")
    early, late = (datetime(2025, 6, 1, hour, tzinfo=UTC) for hour in (0, 12))
    v3 = call("deepseek", "deepseek-chat", at=early, input_tokens=10**6)
    assert calculate_cost(None, v3).usd == Decimal("0.135")  # half of it at night
    assert calculate_cost(None, v3, at=late).usd == Decimal("0.27")
    eu = {"provider": "aws.bedrock", "model": "eu.anthropic.claude-sonnet-4-5-20250929-v1:0", "input_tokens": 1_000}
    assert calculate_cost(eu["model"], eu).usd == calculate_cost(None, eu).usd == Decimal("0.0033")  # type: ignore[arg-type] # a name


def test_another_model_would_have_cost() -> None:
    """The usage of one model can be priced as another's, whoever sells that."""
    event = call("anthropic", "claude-opus-4-5", input_tokens=1_000_000 // 10)
    assert calculate_cost(None, event).usd == Decimal("0.5")
    assert calculate_cost("claude-haiku-4-5", event).usd == Decimal("0.1")
    assert calculate_cost("gpt-5", event).usd == Decimal("0.125")


def test_what_adapters_give_is_priced_as_one_call() -> None:
    """An answer's events are one call: an advisor's part is added; where a part is unpriced, so is the whole."""
    message = {
        "model": HAIKU,
        "usage": {
            "input_tokens": 1_000,
            "output_tokens": 100,
            "iterations": [{"type": "advisor_message", "model": "claude-opus-4-5", "input_tokens": 1_000}],
        },
    }
    assert calculate_cost(None, anthropic_events(message)).usd == Decimal("0.0065")  # 0.0015 + 1,000 x 5
    message["usage"]["iterations"][0]["model"] = "claude-99"  # type: ignore[index] # as the answer is nested
    cost = calculate_cost(None, anthropic_events(message))
    assert cost.usd is None
    assert "claude-99" in cost.unpriced_because
    assert calculate_cost(None, openai_events({"model": "gpt-5"})) == CallCost(None, "", "there is no usage to price")


WRONG: list[tuple[Any, str]] = [
    ({"prompt_tokens": 5}, "prompt_tokens is not a field of a usage event"),
    ({"input_tokens": -5}, "input_tokens -5 must be >= 0"),
    ({"input_tokens": 5.5}, "input_tokens 5.5: input should be a valid integer"),
    (SimpleNamespace(input_tokens=5), "a SimpleNamespace is no usage: give fields such as input_tokens, or what an"),
    ("four", "a str is no usage"),
]


@pytest.mark.parametrize(("usage", "reason"), WRONG)
def test_what_is_no_usage_is_refused(usage: Any, reason: str) -> None:
    """A field that nobody would price, or a provider's object as it came, is an error and never a price of zero."""
    with pytest.raises(InvalidEventError, match=reason):
        calculate_cost(HAIKU, usage)
    with pytest.raises(InvalidEventError, match="has no time zone"):
        calculate_cost(HAIKU, {}, at=datetime(2026, 1, 1))  # noqa: DTZ001 - the mistake


def test_the_users_own_prices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A price file holds where it is given or SPENDGAUGE_PRICES names it, and knows models that nobody else does."""
    path = tmp_path / "prices.toml"
    path.write_text('[[price]]\nprovider="vllm"\nmodel="llama-own*"\nusd_per_mtok={input="0.20", output="0.40"}')
    usage = {"input_tokens": 1_000, "output_tokens": 1_000}
    cost = calculate_cost("llama-own-70b", usage, prices=path)
    assert (cost.usd, cost.price_version.partition("@")[0]) == (Decimal("0.0006"), "prices.toml")
    assert calculate_cost("llama-own-70b", usage).usd is None
    monkeypatch.setenv("SPENDGAUGE_PRICES", str(path))
    assert calculate_cost("llama-own-70b", usage) == cost
    with pytest.raises(PriceFileError, match=r"none\.toml cannot be read"):
        calculate_cost(HAIKU, usage, prices=str(tmp_path / "none.toml"))


def test_pricing_a_call_needs_no_frames() -> None:
    """A service that prices calls loads neither Polars nor numba, and one that only emits loads no prices at all."""
    script = """
import sys
from spendgauge.producers import RecordingProducer, calculate_cost, create_producer, estimate_tokens
RecordingProducer().emit(provider="p", model="m")
assert not {"genai_prices", "tomllib", "polars", "numpy"} & sys.modules.keys()
assert estimate_tokens("Hello world!") == 3
assert calculate_cost("claude-haiku-4-5", {"input_tokens": 1}).usd
print({"polars", "numba", "numpy", "orjson", "faust"} & sys.modules.keys() or "none")
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "none\n"
