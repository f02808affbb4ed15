"""Do the adapters do what the published cases say, and do the cases add up?"""

from collections import Counter
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from genai_prices.data import providers
from genai_prices.data_snapshot import get_snapshot
from pydantic import BaseModel, ConfigDict
from tests.adapters import CASES, Case, as_json, numbers_in, value_of

from spendgauge.producers import RecordingProducer
from spendgauge.producers.adapters import with_own
from spendgauge.producers.adapters.leaves import TAG, TOKEN_LEAVES
from spendgauge.schemas.clock import SystemClock
from spendgauge.schemas.prices import Key, PriceBook

each_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.label)
COUNTED = (*TOKEN_LEAVES, "reasoning_tokens", "web_search_requests")
ROUNDING = {3, 4}
"""Numbers of the rule for estimates, which no provider's object needs to hold."""

READERS = {
    "anthropic_events": ("anthropic", "default"),
    "openai_events": ("openai", "responses"),
    "gemini_events": ("google", "default"),
    "bedrock_events": ("aws", "default"),
}
"""How genai-prices names the same reports."""


DIFFERENT = {"thoughts among the candidates", "compaction, outside the top-level counts", "a live session's turn"}
"""Cases that genai-prices counts in another way: it has no rule for the first two, and does not know the third."""


def _comparable(case: Case) -> bool:
    given = case.document["input"]
    if case.document["call"] not in READERS or len(case.expected) != 1 or case.document["name"] in DIFFERENT:
        return False
    usage = given.get("usage") or given.get("usageMetadata") or {}
    return bool(usage) and "input_token_details" not in usage and "tags" not in case.expected[0]


class Loose(BaseModel):
    """An object that has whatever it is given, as the SDKs' own do."""

    model_config = ConfigDict(extra="allow", protected_namespaces=())


def loosened(value: Any) -> Any:
    """Turn JSON into objects with attributes, but for the mappings from one model, or one attribute, to another."""
    if isinstance(value, list):
        return [loosened(entry) for entry in value]
    if not isinstance(value, dict):
        return value
    kept = {"modelUsage", "attributes"}
    return Loose(**{name: entry if name in kept else loosened(entry) for name, entry in value.items()})


@each_case
def test_a_case_becomes_its_events(case: Case) -> None:
    """An adapter makes of a provider's object exactly the fields that the case states."""
    assert [as_json(fields) for fields in case.run()] == case.expected


@pytest.mark.parametrize("case", [case for case in CASES if case.file != "bedrock"], ids=lambda case: case.label)
def test_an_object_is_read_as_its_json_is(case: Case) -> None:
    """An SDK's object with attributes gives what the same JSON gives (boto3 has no objects)."""
    assert case.run(loosened(case.document["input"])) == case.run()


@each_case
def test_the_arithmetic_holds(case: Case) -> None:
    """Every leaf that is not zero is worked out, from numbers that the provider's object holds, to what is expected."""
    held = numbers_in(case.document["input"]) | ROUNDING
    assert len(case.document["arithmetic"]) == len(case.expected)
    for fields, sums in zip(case.expected, case.document["arithmetic"], strict=True):
        assert {name for name in COUNTED if fields.get(name)} <= set(sums)
        for name, text in sums.items():
            if " = " not in text and name == "web_search_requests":
                continue  # searches are not added up but counted in a list: the text says how
            expression, _, result = text.rpartition(" = ")
            assert value_of(expression) == int(result) == fields.get(name, 0), name
            assert set(_operands(expression)) <= held, text


def _operands(expression: str) -> list[int]:
    spaced = "".join(character if character.isdigit() else " " for character in expression)
    return [int(number) for number in spaced.split()]


@each_case
def test_the_leaves_add_up_to_the_total(case: Case) -> None:
    """The leaves of an event add up to the provider's total, or the event says that they do not."""
    for fields in case.run():
        total = fields.get("reported_total_tokens")
        differs = "total_differs" in fields.get("tags", {}).get(TAG, "")
        assert differs is (total is not None and total != sum(fields.get(name, 0) for name in TOKEN_LEAVES))


@each_case
def test_an_event_is_valid(case: Case) -> None:
    """What an adapter gives is a valid event as it is, with a caller's own fields too."""
    producer = RecordingProducer(clock=SystemClock())
    for fields in case.run():
        assert producer.emit(**with_own(fields, feature="triage", tags={"region": "eu"}))
    assert producer.invalid == []
    assert all(event.feature == "triage" and event.tags["region"] == "eu" for event in producer.events)


def _read_by_others(case: Case) -> Any:
    provider, flavor = READERS[case.document["call"]]
    given = case.document["input"]
    if "prompt_tokens" in given.get("usage", {}):
        flavor = "embeddings" if given["object"] == "list" else "chat"
    reader = next(one for one in providers if one.id == provider)
    _, usage = reader.extract_usage(given | {"model": "m", "modelVersion": "m"}, api_flavor=flavor)
    return usage


@pytest.mark.parametrize("case", [case for case in CASES if _comparable(case)], ids=lambda case: case.label)
def test_another_reader_counts_the_same(case: Case) -> None:
    """genai-prices, which reads the same reports with code of its own, finds the same input, cache and output."""
    (fields,) = case.expected
    read = _read_by_others(case)
    inputs = sum(fields.get(name, 0) for name in TOKEN_LEAVES if not name.startswith("output"))
    outputs = sum(fields.get(name, 0) for name in TOKEN_LEAVES if name.startswith("output"))
    assert (read.input_tokens or 0, read.output_tokens or 0) == (inputs, outputs)
    assert (read.cache_read_tokens or 0) == fields.get("cache_read_tokens", 0)


def test_another_reader_charges_the_same() -> None:
    """What our prices charge for an event's leaves is, to the last digit, what genai-prices charges for the report."""
    book, at = PriceBook.load(), datetime(2026, 11, 22, 12, tzinfo=UTC)
    charged = 0
    for case in [case for case in CASES if _comparable(case) and _plainly_priced(case)]:
        (fields,) = case.expected
        key = Key(fields["provider"], fields["model"], "standard")
        quote = book.quote(key, at_ms=int(at.timestamp()) * 1000)
        ours = sum(fields.get(name, 0) * (quote.usd_per_mtok[name] or 0) for name in TOKEN_LEAVES)
        provider, _ = READERS[case.document["call"]]
        theirs = get_snapshot().calc(_read_by_others(case), fields["model"], provider, None, at).total_price
        assert Decimal(ours) / 1_000_000 == theirs, case.label
        charged += 1
    assert charged >= 25


def _plainly_priced(case: Case) -> bool:
    """Leave out tiers and searches, fast mode (unpriced here), and cached audio, which has no leaf of its own."""
    fields = case.expected[0]
    named = "fast" not in fields["model"] and "part of it cached" not in case.document["name"]
    return named and fields.get("service_tier", "standard") == "standard" and not fields.get("web_search_requests")


def test_the_cases_can_be_published() -> None:
    """Every case says whose object it is, what it is called (once), and which page documents the fields."""
    assert all(case.document["provider"] and case.document["source"] for case in CASES)
    assert not any("http" in case.document["source"] for case in CASES)
    assert max(Counter(case.label for case in CASES).values()) == 1
    per_file = Counter(case.file for case in CASES)
    assert all(
        per_file[name] >= 8 for name in ("anthropic", "openai", "gemini", "bedrock", "claude_agent", "litellm", "otel")
    )
