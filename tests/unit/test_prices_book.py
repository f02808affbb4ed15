"""What must a price hold to, whatever the figures are? Arithmetic written out, and the laws of a price book."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from importlib.metadata import version
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.prices import ANOTHER_ID, MS, NOW, Case, call, cases, frame_of

from spendgauge.schemas import LEAVES, UsageEvent
from spendgauge.schemas.events import MAX_TOKENS
from spendgauge.schemas.money import picodollars, usd_text
from spendgauge.schemas.prices import Billable, Key, PriceBook
from spendgauge.schemas.prices import book as book_module
from spendgauge.schemas.prices import tariff as tariff_module
from spendgauge.schemas.prices.columns import PriceTable
from spendgauge.schemas.prices.segments import DAY_MS, Segment
from spendgauge.schemas.prices.units import MAX_USD_PER_1000, MAX_USD_PER_MTOK, Rates, rates_of, round_half_even

CLAUDE = ("anthropic", "claude-sonnet-4-5-20250929")
HAIKU = ("anthropic", "claude-haiku-4-5-20251001")
GPT = ("openai", "gpt-5")


@pytest.fixture(scope="module")
def book() -> PriceBook:
    return PriceBook.load()


def usd(book: PriceBook, event: UsageEvent) -> str:
    """Price an event both ways and write the one answer."""
    cost = book.price_event(event)
    assert book.price(frame_of([event]))["cost_picodollars"].to_list() == [cost]
    return "unpriced" if cost is None else usd_text(cost)


def test_anthropic_call_written_out(book: PriceBook) -> None:
    """Anthropic's input excludes the cache: each of the five counts is charged once, at its own price."""
    event = call(
        *CLAUDE,
        input_tokens=1_000,
        cache_read_tokens=20_000,
        cache_write_5m_tokens=4_000,
        cache_write_1h_tokens=2_000,
        output_tokens=500,
        usage_convention="exclusive",
    )
    assert usd(book, event) == "0.043500000000"
    # 1,000 x 3 + 20,000 x 0.30 + 4,000 x 3.75 + 2,000 x 6 + 500 x 15, per million


def test_openai_call_written_out(book: PriceBook) -> None:
    """OpenAI's 21,000 input tokens include 20,000 cached ones: as leaves 1,000 and 20,000, none charged twice."""
    event = call(
        *GPT,
        input_tokens=1_000,
        cache_read_tokens=20_000,
        output_tokens=500,
        reasoning_tokens=400,
        usage_convention="inclusive",
    )
    assert usd(book, event) == "0.008750000000"
    # 1,000 x 1.25 + 20,000 x 0.125 + 500 x 10, per million; the 400 reasoning tokens are in the 500 already


def test_seed_figures(book: PriceBook) -> None:
    """The seeds' call of 1,234 in and 567 out: Sonnet 4.5 as they have it, Haiku 4.5 at its real 1 and 5."""
    assert usd(book, call(*CLAUDE, input_tokens=1_234, output_tokens=567)) == "0.012207000000"
    assert usd(book, call(*HAIKU, input_tokens=1_234, output_tokens=567)) == "0.004069000000"
    opus = call("anthropic", "claude-opus-4-5-20251101", input_tokens=1_234, output_tokens=567)
    assert usd(book, opus) == "0.020345000000"


@pytest.mark.parametrize(("size", "cost"), [(200_000, "0.600000000000"), (200_001, "1.200006000000")])
def test_long_context_applies_to_all_tokens(book: PriceBook, size: int, cost: str) -> None:
    """Above 200,000 input tokens of any leaf every token costs the higher price, not only those above."""
    assert usd(book, call(*CLAUDE, input_tokens=size)) == cost
    cached = call(*CLAUDE, input_tokens=1, cache_read_tokens=size - 1)
    each = (3, "0.3") if size == 200_000 else (6, "0.6")
    assert usd(book, cached) == usd_text(picodollars((each[0] + (size - 1) * Decimal(each[1])) / 10**6))


def test_a_cache_write_of_an_hour_costs_twice_the_input(book: PriceBook) -> None:
    """Where the catalogue knows only the five-minute price of a Claude model, an hour still costs 2 x input."""
    old = ("aws.bedrock", "anthropic.claude-3-7-sonnet-20250219-v1:0")
    assert usd(book, call(*old, cache_write_5m_tokens=1_000_000 // 10)) == "0.375000000000"
    assert usd(book, call(*old, cache_write_1h_tokens=1_000_000 // 10)) == "0.600000000000"
    key = Key(*old, "standard")
    assert "supplements.toml@" in book.quote(key, at_ms=0).price_version


def test_a_web_search_without_a_price_leaves_the_event_unpriced(book: PriceBook) -> None:
    """A search that nobody has a price for is not free: the event has no cost rather than too low a one."""
    assert usd(book, call(*CLAUDE, input_tokens=100, web_search_requests=3)) == "0.030300000000"
    unknown = ("together", "meta-llama/Llama-3.3-70B-Instruct-Turbo")
    assert usd(book, call(*unknown, input_tokens=100)) != "unpriced"
    assert usd(book, call(*unknown, input_tokens=100, web_search_requests=1)) == "unpriced"


def test_a_request_fee_is_paid_once_by_a_request_that_was_served(book: PriceBook) -> None:
    """Sonar's fee for the request itself is 0.012 USD; a failed request and a correction do not pay it."""
    fields: dict[str, Any] = {"input_tokens": 100, "output_tokens": 50}
    assert usd(book, call("perplexity", "sonar", **fields)) == "0.012150000000"
    assert usd(book, call("perplexity", "sonar", status="cancelled", **fields)) == "0.012150000000"
    assert usd(book, call("perplexity", "sonar", status="error", **fields)) == "0.000150000000"
    assert usd(book, call("perplexity", "sonar", kind="adjustment", adjusts=ANOTHER_ID, **fields)) == "0.000150000000"


def test_reasoning_with_a_price_of_its_own(book: PriceBook) -> None:
    """Sonar Deep Research charges reasoning at 3 instead of 8: 600 x 8 + 400 x 3, per million."""
    event = call("perplexity", "sonar-deep-research", output_tokens=1_000, reasoning_tokens=400)
    assert usd(book, event) == "0.006000000000"


def test_free_models_cost_nothing_and_say_why(book: PriceBook) -> None:
    """Zero is a price too where the model is known to be free, and its version is not empty."""
    priced = book.price(frame_of([call("openai", "omni-moderation-latest", input_tokens=5)]))
    assert priced["cost_picodollars"].to_list() == [0]
    assert "supplements.toml@" in priced["price_version"][0]


BATCHES = [
    ("anthropic", "claude-sonnet-4-5", "batch", "0.900000000000"),
    ("anthropic", "claude-2", "batch", "1.600000000000"),
    ("aws.bedrock", "global.anthropic.claude-haiku-4-5-20251001-v1:0", "batch", "0.300000000000"),
    ("openai", "gpt-5", "batch", "0.562500000000"),
    ("openai", "gpt-5", "priority", "2.250000000000"),
    ("azure", "gpt-5", "batch", "0.562500000000"),
    ("azure", "gpt-5", "priority", "unpriced"),  # OpenAI's priority price is not Azure's
    ("openai", "gpt-4-turbo", "flex", "2.000000000000"),
    ("voyageai", "voyage-4", "batch", "0.004020000000"),
    ("anthropic", "claude-sonnet-4-5", "priority", "unpriced"),
    ("deepseek", "deepseek-chat", "batch", "unpriced"),
    ("google", "claude-haiku-4-5", "batch", "unpriced"),
]


@pytest.mark.parametrize(("provider", "model", "tier", "cost"), BATCHES)
def test_service_tiers(book: PriceBook, provider: str, model: str, tier: str, cost: str) -> None:
    """A tier costs what the catalogue says, or a published share of the standard price; else it is unpriced."""
    event = call(provider, model, service_tier=tier, input_tokens=100_000, output_tokens=100_000)
    assert usd(book, event) == cost


def test_a_batch_price_before_the_catalogue_dates_it(book: PriceBook) -> None:
    """The catalogue dates Claude's batch prices from the day it checked them; the published half holds before too."""
    early = datetime(2026, 10, 13, 23, 59, 59, tzinfo=UTC)
    event = call(*HAIKU, at=early, service_tier="batch", input_tokens=1_000, cache_read_tokens=1_000)
    assert usd(book, event) == "0.000550000000"
    assert usd(book, event.model_copy(update={"occurred_at": early + timedelta(seconds=1)})) == "0.000550000000"


def test_time_of_day(book: PriceBook) -> None:
    """DeepSeek V3 costs 0.27 from 00:30 to 16:30 UTC, half of it at night; the end of an hour is open."""
    day = datetime(2025, 6, 1, tzinfo=UTC)
    hours = [timedelta(minutes=30) - MS, timedelta(minutes=30), timedelta(hours=16, minutes=30) - MS]
    events = [call("deepseek", "deepseek-chat", at=day + t, input_tokens=10**6) for t in (*hours, hours[-1] + MS)]
    costs = book.price(frame_of(events))["cost_picodollars"]
    assert costs.to_list() == [135 * 10**9, 270 * 10**9, 270 * 10**9, 135 * 10**9]


leaves = st.fixed_dictionaries({leaf: st.integers(0, 3_000) for leaf in LEAVES if leaf != "web_search_requests"})
known = st.sampled_from([CLAUDE, HAIKU, GPT, ("google", "gemini-2.5-pro"), ("openai", "gpt-audio")])


@settings(deadline=None)  # machines are shared
@given(known, leaves, leaves)
def test_cost_is_additive(book: PriceBook, model: tuple[str, str], a: dict[str, Any], b: dict[str, Any]) -> None:
    """Within one tier the cost of the sum is the sum of the costs, exactly."""
    both: dict[str, Any] = {leaf: a[leaf] + b[leaf] for leaf in a}
    costs = book.price(frame_of([call(*model, **fields) for fields in (a, b, both)]))["cost_picodollars"]
    assert costs[0] + costs[1] == costs[2]


@settings(deadline=None)  # machines are shared
@given(st.sampled_from(cases()), leaves, leaves)
def test_cost_grows_with_tokens(book: PriceBook, case: Case, a: dict[str, Any], b: dict[str, Any]) -> None:
    """Within one tier more tokens of any kind never cost less, whatever the model."""
    more: dict[str, Any] = {leaf: a[leaf] + b[leaf] for leaf in a}
    less, cost = (book.price_event(call(case.provider, case.model, **fields)) for fields in (a, more))
    assert (less is None) == (cost is None)
    if less is not None and cost is not None:
        assert 0 <= less <= cost


@settings(deadline=None)  # machines are shared
@given(st.sampled_from(cases()), leaves, st.integers(0, 3_000))
def test_a_reversal_cancels(book: PriceBook, case: Case, counts: dict[str, Any], thousands: int) -> None:
    """An adjustment that takes every leaf back costs exactly minus the event: the same tier, sign and rounding."""
    counts["cache_read_tokens"] += 1_000 * thousands
    event = call(case.provider, case.model, status="error", **counts)
    back: dict[str, Any] = {leaf: -count for leaf, count in counts.items()}
    reversal = call(case.provider, case.model, kind="adjustment", adjusts=ANOTHER_ID, **back)
    cost, undone = book.price(frame_of([event, reversal]))["cost_picodollars"]
    assert (cost is None and undone is None) or cost + undone == 0


def test_the_largest_event_fits(book: PriceBook) -> None:
    """At the highest price that is used, an event with the most of every leaf stays below 1e18 picodollars."""
    names = ("input", "cache_read", "cache_write", "output", "input_audio", "output_audio")
    rates = rates_of({**dict.fromkeys(names, MAX_USD_PER_MTOK), "web_search": MAX_USD_PER_1000})
    assert rates is not None
    counts = [1_000_000 if leaf == "web_search_requests" else MAX_TOKENS for leaf in LEAVES]
    assert sum(n * (rate or 0) for n, rate in zip(counts, rates.leaves, strict=True)) < 10**18 * 10**12
    assert rates_of({"input": MAX_USD_PER_MTOK + Decimal("0.000001")}) is None
    whole: dict[str, Any] = {leaf: MAX_TOKENS for leaf in LEAVES if leaf != "web_search_requests"}
    costliest = call("openai", "o1-pro", **whole)
    assert usd(book, costliest) == usd_text(MAX_TOKENS * (5 * 150 + 2 * 600) * 10**6)


@settings(deadline=None)  # machines are shared
@given(st.integers(-(10**30), 10**30))
def test_rounding_is_half_even_on_both_sides(yoctodollars: int) -> None:
    """A sum is rounded as decimal rounds half to even, the same for a debit and a credit."""
    exact = Decimal(yoctodollars).scaleb(-12)
    assert round_half_even(yoctodollars) == int(exact.quantize(Decimal(1), ROUND_HALF_EVEN))
    assert round_half_even(-yoctodollars) == -round_half_even(yoctodollars)


@pytest.mark.parametrize(("tokens", "cost"), [(6, 250_000), (30, 1_250_000), (10**8, 4_166_666_666_667)])
def test_prices_below_a_picodollar_a_token(book: PriceBook, tokens: int, cost: int) -> None:
    """41,666.666666666664 picodollars a token: the event is rounded once, at the end."""
    event = call("openrouter", "google/gemini-3.8-flash", cache_write_5m_tokens=tokens)
    assert usd(book, event) == usd_text(cost)


rate = st.integers(0, 10**21)  # yoctodollars: MAX_USD_PER_MTOK
counts = st.integers(0, MAX_TOKENS)


@settings(deadline=None)  # machines are shared
@given(
    st.tuples(*[st.none() | rate] * len(LEAVES)),
    st.integers(-(10**21), 10**21),
    st.integers(0, 10**23),
    st.lists(st.tuples(*[counts] * (len(LEAVES) - 1)), min_size=1, max_size=4),
)
def test_a_frame_is_summed_as_its_events_are(
    rates: tuple[int | None, ...], reasoning: int, request: int, used: list[tuple[int, ...]]
) -> None:
    """Whatever the rates: the compiled pass gives what exact integers give, for a debit, a credit and a failed call."""
    every = Segment(-(2**62), 2**62, 0, DAY_MS, -1, 2**62, Rates(rates, reasoning, request), "mine")
    key = Key("who", "what", "standard")
    table = PriceTable.empty().extended({key: (every,)})
    events = []
    for tokens in used:
        leaves: dict[str, Any] = dict(
            zip((leaf for leaf in LEAVES if leaf != "web_search_requests"), tokens, strict=True)
        )
        back: dict[str, Any] = {leaf: -count for leaf, count in leaves.items()}
        events += [
            call(*key[:2], **leaves, reasoning_tokens=leaves["output_tokens"] // 2),
            call(*key[:2], **leaves, status="error"),
            call(*key[:2], kind="adjustment", adjusts=ANOTHER_ID, **back),
        ]
    priced = table.priced(frame_of(events))
    assert priced is not None
    wanted = [Billable.of(event).cost(every.rates) for event in events]
    assert priced["cost_picodollars"].to_list() == wanted
    assert priced["price_version"].to_list() == ["" if cost is None else "mine" for cost in wanted]


def test_a_frame_keeps_its_rows_and_columns(book: PriceBook) -> None:
    """Pricing adds two columns and changes neither the rows' order nor anything else; an empty frame stays empty."""
    models = [CLAUDE, ("no", "body"), GPT, ("deepseek", "deepseek-chat")]
    events = [call(*models[i % 4], at=NOW + i * timedelta(hours=7), input_tokens=i) for i in range(100)]
    frame = frame_of(events).with_columns(offset=pl.int_range(100))
    priced = book.price(frame)
    assert priced.drop("cost_picodollars", "price_version").equals(frame)
    assert priced["cost_picodollars"].to_list() == [book.price_event(event) for event in events]
    assert book.price(priced).equals(priced)
    assert book.price(frame.clear()).schema == priced.schema


def test_every_row_says_which_price_priced_it(book: PriceBook) -> None:
    """The version names the library's release, and the packaged additions where they took part; unpriced: empty."""
    events = [call(*GPT, input_tokens=1), call(*GPT, service_tier="flex", at=datetime(2026, 1, 1, tzinfo=UTC))]
    versions = book.price(frame_of([*events, call("no", "body")]))["price_version"].to_list()
    listed = f"genai-prices {version('genai-prices')}"
    assert versions[0] == listed
    assert versions[1].startswith(f"{listed} + supplements.toml@")
    assert versions[2] == ""
    assert book.version == versions[1]


def test_a_quote_says_the_unit_prices(book: PriceBook) -> None:
    """A quote is what one more token of each leaf costs at this time and size."""
    at_ms = int(NOW.timestamp()) * 1000
    quote = book.quote(Key(*CLAUDE, "standard"), at_ms=at_ms, input_tokens=200_001)
    assert quote.usd_per_mtok["input_tokens"] == 6
    assert quote.usd_per_mtok["output_tokens"] == Decimal("22.5")
    assert quote.usd_per_web_search == Decimal("0.01")
    assert quote.usd_per_request == 0
    assert book.quote(Key("perplexity", "sonar", "standard"), at_ms=at_ms).usd_per_request == Decimal("0.012")
    unknown = book.quote(Key("no", "body", "standard"), at_ms=at_ms)
    assert set(unknown.usd_per_mtok.values()) == {None}
    assert unknown.price_version == ""


def test_threads_agree(book: PriceBook) -> None:
    """Frames priced by several threads at once, each with names that are new to the book, cost what they cost alone."""
    frames = [
        frame_of([call(case.provider, case.model, input_tokens=7, output_tokens=3) for case in cases()[i::16]])
        for i in range(16)
    ]
    fresh = PriceBook.load()
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(fresh.price, [*frames, *reversed(frames)]))
    alone = [book.price(frame) for frame in frames]
    assert all(a.equals(b) for a, b in zip(together, [*alone, *reversed(alone)], strict=True))


def test_names_do_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """A book forgets when it knows too many names, and still prices what it is given."""
    for module in (book_module, tariff_module):
        monkeypatch.setattr(module, "MAX_KEYS", 10)
    small = PriceBook.load()
    for start in range(0, 100, 25):
        junk = [call("anthropic", f"made-up-{start + i}") for i in range(25)]
        costs = small.price(frame_of([*junk, call(*HAIKU, input_tokens=1)]))["cost_picodollars"].to_list()
        assert costs == [*[None] * 25, 10**6]
    assert len(small._compiled) <= 26
    assert len(small._table.codes) <= 26


def test_the_catalogue_is_read_when_a_book_is_loaded() -> None:
    """Importing the package reads no catalogue; loading a book opens no connection and warns of nothing."""
    script = """
import socket, sys
import spendgauge.schemas.prices as prices
assert not any(name.startswith("genai_prices") for name in sys.modules)
def refuse(*_): raise AssertionError("pricing must not use the network")
socket.socket.connect = socket.getaddrinfo = refuse
prices.PriceBook.load()
"""
    subprocess.run([sys.executable, "-W", "error", "-c", script], check=True, timeout=60)
