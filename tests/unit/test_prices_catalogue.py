"""Is every price of the catalogue ours too, to the last digit? Checked against genai-prices' own ``calc_price``."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from genai_prices import types as library
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.prices import MS, NOW, Case, call, cases, contexts, edges, frame_of, has_price, library_cost

from spendgauge.schemas import LEAVES, UsageEvent
from spendgauge.schemas.money import picodollars
from spendgauge.schemas.prices import PriceBook

START = datetime(2023, 1, 1, tzinfo=UTC)
FREE = {
    ("openai", "moderation"),
    *(("google", f"gemma-{name}") for name in ("3", "3n", "4-26b-a4b-it", "4-31b-it")),
    *(("github-copilot", f"gpt-{name}") for name in ("3.5-turbo", "4.1", "4o", "4o-mini")),
}


@pytest.fixture(scope="module")
def book() -> PriceBook:
    return PriceBook.load()


def expected(case: Case, event: UsageEvent) -> int | None:
    """Say what the event must cost: the library's figure where it has a price for all that was used, else nothing."""
    cost, price = library_cost(event)
    if case.info.id.endswith(":free") or (case.provider, case.info.id) in FREE:
        return None if event.web_search_requests else 0
    if not has_price(price, "input_mtok"):
        return None
    if event.web_search_requests and not has_price(price, "web_searches_kcount"):
        return None
    return cost


def fields(case: Case, counts: dict[str, int]) -> dict[str, int]:
    """Leave out the one leaf that we price differently on purpose (see the one-hour cache write's own test)."""
    if "claude" in case.info.id.lower():
        counts["cache_write_1h_tokens"] = 0
    return counts


def usage_at(case: Case, at: datetime, size: int) -> UsageEvent:
    """Build a call with this many input tokens in all leaves, none of them equal."""
    parts = {"cache_read_tokens": size // 2, "cache_write_5m_tokens": size // 7, "input_audio_tokens": size // 11}
    rest = size - sum(parts.values())
    outputs = {"output_tokens": 977, "reasoning_tokens": 311, "output_audio_tokens": 13}
    return call(case.provider, case.model, at=at, input_tokens=rest, **parts, **outputs)


def test_every_model_at_every_edge_costs_what_the_library_says(book: PriceBook) -> None:
    """All models, just before and at each date, hour and input size where a price changes: the same figure."""
    events, wanted = [], []
    for case in cases():
        times, sizes = edges(case.info)
        for at in {NOW, START, *(t + shift for t in times for shift in (-MS, timedelta()))}:
            for size in {1_001, *(s + shift for s in sizes for shift in (0, 1))}:
                events.append(usage_at(case, at, size))
                wanted.append(expected(case, events[-1]))
    priced = book.price(frame_of(events))["cost_picodollars"].to_list()
    wrong = [
        (e.provider, e.model, e.occurred_at, w, p) for e, w, p in zip(events, wanted, priced, strict=True) if w != p
    ]
    assert wrong == []
    assert len(cases()) > 2_000
    assert sum(cost is not None for cost in priced) > 0.9 * len(priced)


@st.composite
def calls(draw: st.DrawFn) -> tuple[Case, UsageEvent]:
    """Draw a call of any model, often near a date, an hour or an input size at which its price changes."""
    case = draw(st.sampled_from(cases()))
    times, sizes = edges(case.info)
    at = START + draw(st.integers(0, 5 * 365 * 86_400_000)) * MS
    if draw(st.booleans()) and times:
        at = draw(st.sampled_from(times)) + draw(st.integers(-2, 2)) * MS
    counts = {leaf: draw(st.one_of(st.just(0), st.integers(0, 400_000))) for leaf in LEAVES}
    counts["web_search_requests"] = draw(st.sampled_from([0, 0, 0, 1, 17]))
    counts = fields(case, counts)
    if draw(st.booleans()) and sizes:
        others = sum(counts[leaf] for leaf in LEAVES[1:4]) + counts["input_audio_tokens"]
        counts["input_tokens"] = max(draw(st.sampled_from(sizes)) + draw(st.integers(-1, 2)) - others, 0)
    counts["reasoning_tokens"] = draw(st.integers(0, counts["output_tokens"]))
    return case, call(case.provider, case.model, at=at, **counts)


@settings(deadline=None)  # machines are shared
@given(st.lists(calls(), min_size=1, max_size=12))
def test_any_usage_of_any_model_costs_what_the_library_says(
    book: PriceBook, drawn: list[tuple[Case, UsageEvent]]
) -> None:
    """Whatever was used, whenever: frame and event cost calc_price's exact Decimal, rounded to a picodollar."""
    wanted = [expected(case, event) for case, event in drawn]
    events = [event for _, event in drawn]
    assert book.price(frame_of(events))["cost_picodollars"].to_list() == wanted
    assert [book.price_event(event) for event in events] == wanted


def active_variant(case: Case, service_tier: str, at: datetime) -> bool:
    """Whether the library has a price of this tier at this time."""
    wanted = contexts[service_tier]
    return any(
        variant.when == wanted and (variant.constraint is None or variant.constraint.active(at))
        for variant in case.info.price_variants or ()
    )


@pytest.mark.parametrize("service_tier", ["batch", "flex", "priority"])
def test_every_listed_tier_costs_what_the_library_says(book: PriceBook, service_tier: str) -> None:
    """Where the catalogue prices a service tier, that price is ours: all models, around each of its start dates."""
    checked = 0
    for case in (case for case in cases() if case.info.price_variants):
        times, sizes = edges(case.info)
        for at in {NOW, *(t + shift for t in times for shift in (-MS, timedelta()))}:
            if not active_variant(case, service_tier, at):
                continue
            for size in {5_000, *(s + 1 for s in sizes)}:
                event = usage_at(case, at, size).model_copy(update={"service_tier": service_tier})
                assert book.price_event(event) == expected(case, event), (case, at, size)
                checked += 1
    assert checked > 10


def test_every_constraint_is_understood() -> None:
    """Prices of the catalogue depend on the start date and the hour only: those are the edges that we cut at."""
    known = (library.StartDateConstraint, library.TimeOfDateConstraint, type(None))
    for case in cases():
        conditional = case.info.prices if isinstance(case.info.prices, list) else []
        constraints = [c.constraint for c in conditional] + [v.constraint for v in case.info.price_variants or ()]
        assert all(isinstance(constraint, known) for constraint in constraints), case


NAMES = [
    ("anthropic", "claude-haiku-4-5-20251001", "1", "5"),
    ("anthropic", "claude-haiku-4-5", "1", "5"),
    ("anthropic", "anthropic/claude-haiku-4-5", "1", "5"),
    ("litellm", "anthropic/claude-haiku-4-5", "1", "5"),
    ("openrouter", "anthropic/claude-haiku-4.5", "1", "5"),
    ("aws.bedrock", "global.anthropic.claude-haiku-4-5-20251001-v1:0", "1", "5"),
    ("aws.bedrock", "us.anthropic.claude-haiku-4-5-20251001-v1:0", "1.1", "5.5"),
    (
        "aws.bedrock",
        "arn:aws:bedrock:us-east-1:1:inference-profile/us.anthropic.claude-haiku-4-5-20251001-v1:0",
        "1.1",
        "5.5",
    ),
    ("gcp.vertex_ai", "claude-haiku-4-5@20251001", "1", "5"),
    ("gcp.gen_ai", "models/gemini-2.5-flash", "0.3", "2.5"),
    ("openai", "gpt-4o-mini-2024-07-18", "0.15", "0.6"),
    ("OpenAI", "GPT-4o-mini", "0.15", "0.6"),
    ("openai", "gpt-5.2-20251211", "1.75", "14"),
    ("azure.ai.openai", "gpt-4o-mini", "0.15", "0.6"),
    ("x_ai", "grok-4", "3", "15"),
]


@pytest.mark.parametrize(("provider", "model", "usd_in", "usd_out"), NAMES)
def test_a_model_is_known_by_all_its_names(
    book: PriceBook, provider: str, model: str, usd_in: str, usd_out: str
) -> None:
    """Dated suffixes, paths, Bedrock's and Vertex's spellings and OpenTelemetry's provider names lead to one price."""
    tenth = 100_000  # of a million: below every long-context tier
    assert book.price_event(call(provider, model, input_tokens=tenth)) == picodollars(Decimal(usd_in) / 10)
    assert book.price_event(call(provider, model, output_tokens=tenth)) == picodollars(Decimal(usd_out) / 10)


@pytest.mark.parametrize(
    ("provider", "model"),
    [
        ("anthropic", "claude-unheard-of"),
        ("nobody", "claude-haiku-4-5"),
        ("openai", "anthropic/claude-haiku-4-5"),
        ("openai", "whisper-1"),
        ("openai", "/"),
        ("cerebras", "qwen-3-coder-480b"),
    ],
)
def test_what_is_not_known_is_unpriced(book: PriceBook, provider: str, model: str) -> None:
    """An unknown model, provider, or a model billed by what an event does not count has no cost: null, never zero."""
    event = call(provider, model, input_tokens=10)
    assert book.price_event(event) is None
    priced = book.price(frame_of([event, call(provider, model)]))
    assert priced["cost_picodollars"].to_list() == [None, None]
    assert priced["price_version"].to_list() == ["", ""]
