"""Do the user's own prices win, and does a file with a slip in it say so in one sentence?"""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from hashlib import sha256
from importlib.metadata import version
from importlib.resources import as_file, files
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.pages import pages
from tests.prices import ANOTHER_ID, MS, NOW, call, cases, frame_of

from spendgauge.schemas import LEAVES, PriceFileError, UsageEvent
from spendgauge.schemas.money import usd_text
from spendgauge.schemas.prices import PriceBook
from spendgauge.schemas.prices.supplements import Supplements
from spendgauge.schemas.prices.units import TOKEN_PRICES

HAIKU = ("anthropic", "claude-haiku-4-5-20251001")


def load(tmp_path: Path, text: str) -> PriceBook:
    """Load a book with this price file."""
    path = tmp_path / "prices.toml"
    path.write_text(text, encoding="utf-8")
    return PriceBook.load(overrides=path)


def usd(book: PriceBook, event: UsageEvent) -> str:
    """Price an event both ways and write the one answer."""
    cost = book.price_event(event)
    assert book.price(frame_of([event]))["cost_picodollars"].to_list() == [cost]
    return "unpriced" if cost is None else usd_text(cost)


@pytest.fixture(scope="module")
def example() -> PriceBook:
    with as_file(files("spendgauge.schemas.prices") / "data" / "example-overrides.toml") as path:
        return PriceBook.load(overrides=path)


EXAMPLES: list[tuple[str, str, dict[str, Any], str]] = [
    # the seeds' table: 1,234 in and 567 out at 3/15, 0.80/4 and 15/75
    (*HAIKU, {"input_tokens": 1_234, "output_tokens": 567}, "0.003255200000"),
    ("anthropic", "claude-sonnet-4-5-20250929", {"input_tokens": 1_234, "output_tokens": 567}, "0.012207000000"),
    ("anthropic", "claude-opus-4-5-20251101", {"input_tokens": 1_234, "output_tokens": 567}, "0.061035000000"),
    # prices that the table does not name stay the catalogue's: a cache read of Haiku at 0.10
    (*HAIKU, {"cache_read_tokens": 1_000}, "0.000100000000"),
    # 15 % off 1.25 and 10
    ("openai", "gpt-5", {"input_tokens": 1_000, "output_tokens": 1_000}, "0.009562500000"),
    # priority at 1.25 x 3
    ("anthropic", "claude-sonnet-4-6", {"service_tier": "priority", "input_tokens": 1_000}, "0.003750000000"),
    # a model of one's own
    ("vllm", "llama-3.3-70b-instruct", {"input_tokens": 1_000, "cache_read_tokens": 1_000}, "0.000220000000"),
    # a gateway's claude-opus-4-6 is anthropic's
    ("our-gateway", "claude-opus-4-6", {"input_tokens": 1_000}, "0.005000000000"),
    # nothing else changes
    ("google", "gemini-2.5-flash", {"input_tokens": 1_000}, "0.000300000000"),
]


@pytest.mark.parametrize(("provider", "model", "fields", "cost"), EXAMPLES)
def test_the_packaged_example(example: PriceBook, provider: str, model: str, fields: dict[str, Any], cost: str) -> None:
    """The example file loads, and each of its kinds of entry does what its comment says."""
    assert usd(example, call(provider, model, **fields)) == cost


MERGED = """
[[price]]
provider = "openai"
model = "gpt-5"
usd_per_mtok = { input = 2, output = 7.5 }   # TOML numbers are read exactly too
usd_per_1000_web_searches = "1.5"
"""


def test_an_entry_changes_only_what_it_names(tmp_path: Path) -> None:
    """Input, output and searches are the user's; the cache read stays at the catalogue's 0.125."""
    event = call(
        "openai", "gpt-5", input_tokens=1_000, cache_read_tokens=1_000, output_tokens=10, web_search_requests=2
    )
    assert usd(load(tmp_path, MERGED), event) == "0.005200000000"  # 0.002 + 0.000125 + 0.000075 + 0.003


def test_unnamed_leaves_of_an_unlisted_model_cost_what_input_and_output_cost(tmp_path: Path) -> None:
    """A model of one's own with two prices: cached and audio input are input, audio output is output."""
    book = load(tmp_path, '[[price]]\nprovider="me"\nmodel="mine"\nusd_per_mtok={input="1", output="2"}')
    tokens: dict[str, Any] = {leaf: 1_000 for leaf in LEAVES if leaf != "web_search_requests"}
    assert usd(book, call("me", "mine", **tokens)) == "0.009000000000"  # 5 input leaves x 1 + 2 output leaves x 2
    assert usd(book, call("me", "mine", web_search_requests=1)) == "unpriced"


@pytest.mark.parametrize(("tokens", "cost"), [(1, 0), (3, 2), (5, 2), (7, 4), (-1, 0), (-3, -2), (-5, -2)])
def test_half_a_picodollar_goes_to_the_even_one(tmp_path: Path, tokens: int, cost: int) -> None:
    """At half a picodollar a token a frame and an event round half to even, on both sides of zero."""
    book = load(tmp_path, '[[price]]\nprovider="me"\nmodel="mine"\nusd_per_mtok={input="0.0000005"}')
    assert usd(book, call("me", "mine", kind="adjustment", adjusts=ANOTHER_ID, input_tokens=tokens)) == usd_text(cost)


PERIODS = """
[[price]]
provider = "me"
model = "*"
usd_per_mtok = { input = "1" }

[[price]]
provider = "me"
model = "*"
from = 2026-02-01
until = 2026-03-01
usd_per_mtok = { input = "2" }
"""


@pytest.mark.parametrize(
    ("at", "cost"),
    [
        (datetime(2026, 2, 1, tzinfo=UTC) - MS, "0.000001000000"),
        (datetime(2026, 2, 1, tzinfo=UTC), "0.000002000000"),
        (datetime(2026, 3, 1, tzinfo=UTC) - MS, "0.000002000000"),
        (datetime(2026, 3, 1, tzinfo=UTC), "0.000001000000"),
    ],
)
def test_the_last_entry_that_holds_decides(tmp_path: Path, at: datetime, cost: str) -> None:
    """An entry holds in [from, until), days of UTC; of several that hold, the last one in the file decides."""
    assert usd(load(tmp_path, PERIODS), call("me", "x", at=at, input_tokens=1)) == cost


def test_an_entry_matches_every_spelling(tmp_path: Path) -> None:
    """An entry for the catalogue's names is for every name that leads to them, and for no other provider's model."""
    book = load(tmp_path, '[[price]]\nprovider="google"\nmodel="claude-haiku-4-5"\nmultiplier="0.5"')
    vertex = call("gcp.vertex_ai", "claude-haiku-4-5@20251001", input_tokens=1_000)
    assert usd(book, vertex) == "0.000500000000"
    assert usd(book, call(*HAIKU, input_tokens=1_000)) == "0.001000000000"
    openai = load(tmp_path, '[[price]]\nprovider="openai"\nmodel="*"\nmultiplier="0.5"')
    assert usd(openai, call("azure.ai.openai", "gpt-4o-mini", input_tokens=1_000)) == "0.000150000000"


TIERS = """
[[price]]
provider = "anthropic"
model = "claude-haiku-4-5*"
usd_per_mtok = { input = "0.80" }

[[price]]
provider = "anthropic"
model = "claude-haiku-4-5*"
service_tier = "flex"
usd_per_mtok = { input = "0.10", output = "0.20" }
"""


@pytest.mark.parametrize(
    ("tier", "cost"), [("standard", "0.000800000000"), ("batch", "0.000400000000"), ("flex", "0.000100000000")]
)
def test_a_price_in_other_tiers(tmp_path: Path, tier: str, cost: str) -> None:
    """A price without a tier is the standard one and takes the tier's published share; with a tier it is its own."""
    assert usd(load(tmp_path, TIERS), call(*HAIKU, service_tier=tier, input_tokens=1_000)) == cost


def test_a_price_in_a_tier_that_nobody_knows_is_unpriced(tmp_path: Path) -> None:
    """Priority has no published share of the user's own price, so the event is unpriced rather than guessed."""
    assert usd(load(tmp_path, TIERS), call(*HAIKU, service_tier="priority", input_tokens=1_000)) == "unpriced"


def test_a_discount_keeps_tiers_and_dates(tmp_path: Path) -> None:
    """A multiplier applies to whatever the catalogue says: long context, batch, hours."""
    book, listed = load(tmp_path, '[[price]]\nprovider="*"\nmodel="*"\nmultiplier="0.9"'), PriceBook.load()
    for event in (
        call("anthropic", "claude-sonnet-4-5", input_tokens=300_000),
        call("anthropic", "claude-sonnet-4-5", input_tokens=1_000, service_tier="batch"),
        call("deepseek", "deepseek-chat", input_tokens=1_000, at=NOW + timedelta(hours=8)),
    ):
        cost = listed.price_event(event)
        assert cost is not None
        assert book.price_event(event) == cost * 9 // 10


def test_the_version_names_file_and_content(tmp_path: Path) -> None:
    """A row priced by the file alone names the file and eight digits of its content; a discount names both sources."""
    text = '[[price]]\nprovider="me"\nmodel="*"\nusd_per_mtok={input="1"}\n'
    book = load(tmp_path, text + '[[price]]\nprovider="openai"\nmodel="*"\nmultiplier="0.5"\n')
    content = (tmp_path / "prices.toml").read_bytes()
    mine = f"prices.toml@{sha256(content).hexdigest()[:8]}"
    priced = book.price(frame_of([call("me", "x"), call("openai", "gpt-5"), call(*HAIKU)]))
    listed = priced["price_version"][2]
    assert priced["price_version"].to_list() == [mine, f"{mine} + {listed}", listed]
    assert book.version.startswith(f"{mine} + {listed}")


@settings(deadline=None)  # machines are shared
@given(st.data())
def test_frame_and_event_agree(example: PriceBook, data: st.DataObject) -> None:
    """Whatever the model, tier, kind and status, with overrides or without: a frame costs what its events cost."""
    events = data.draw(st.lists(anything(), max_size=20))
    priced = example.price(frame_of(events))
    assert priced["cost_picodollars"].to_list() == [example.price_event(event) for event in events]
    assert [v == "" for v in priced["price_version"]] == [c is None for c in priced["cost_picodollars"]]


@st.composite
def anything(draw: st.DrawFn) -> UsageEvent:
    """Draw any event: known and unknown names, all tiers, corrections with either sign."""
    named = [(case.provider, case.model) for case in cases() if case.info.price_variants or "gemini" in case.model]
    own = [*EXAMPLES, ("no", "body", {}, "")]
    provider, model = draw(st.sampled_from([*named, *((row[0], row[1]) for row in own)]))
    adjustment = draw(st.booleans())
    low = -300_000 if adjustment else 0
    counts: dict[str, Any] = {leaf: draw(st.integers(low, 300_000)) for leaf in LEAVES if draw(st.booleans())}
    return call(
        provider,
        model,
        at=NOW + draw(st.integers(-400, 100)) * timedelta(hours=7),
        service_tier=draw(st.sampled_from(["standard", "batch", "flex", "priority"])),
        status=draw(st.sampled_from(["ok", "error", "cancelled"])),
        **({"kind": "adjustment", "adjusts": ANOTHER_ID} if adjustment else {}),
        **counts,
    )


ENTRY = '[[price]]\nprovider = "me"\nmodel = "mine"\n'
MINE = r"prices\.toml, entry 1 \(provider me, model mine\): "
FAULTS = [
    ("[[price]", r"price file .*prices\.toml is not valid TOML: .*line 1.*correct it"),
    ("[[prices]]", r"prices\.toml: 'prices' is not known; a price file holds \[\[price\]\] entries only"),
    ('[price]\nprovider = "me"', r"prices\.toml: 'price' must be written as \[\[price\]\]"),
    ('[[price]]\nmodel = "x"', r"entry 1 \(provider \?, model x\): provider is missing; add it"),
    (ENTRY, MINE + "say what it costs: usd_per_mtok, usd_per_1000_..., multiplier or like"),
    (ENTRY + "usd_per_mtok = { inptu = 1 }", MINE + r"usd_per_mtok\.inptu is not known; the fields are input, cache"),
    (ENTRY + "price = 1", MINE + r"price is not known; the fields are provider, model, service_tier, from, until"),
    (ENTRY + 'usd_per_mtok = { input = "-1" }', MINE + r"usd_per_mtok\.input = '-1' cannot be used: write a decimal"),
    (ENTRY + 'usd_per_mtok = { input = "1,5" }', MINE + r"usd_per_mtok\.input = '1,5' cannot be used"),
    (ENTRY + "usd_per_mtok = { input = nan }", MINE + r"usd_per_mtok\.input = nan cannot be used"),
    (ENTRY + "usd_per_mtok = { input = true }", MINE + r"usd_per_mtok\.input = true cannot be used"),
    (ENTRY + "usd_per_mtok = { input = 1000.01 }", MINE + r"usd_per_mtok\.input = 1000\.01 .* from 0 to 1000"),
    (ENTRY + "usd_per_mtok = { input = 1e-13 }", MINE + r"usd_per_mtok\.input = 1e-13 .* at most 12 decimals"),
    (ENTRY + 'usd_per_1000_requests = "x"', MINE + r"usd_per_1000_requests = 'x' cannot be used"),
    (ENTRY + "multiplier = 101", MINE + "multiplier = 101 cannot be used: write a decimal number from 0 to 100"),
    (ENTRY + 'multiplier = 1\nusd_per_mtok = { input = "1" }', MINE + "give either prices or a multiplier"),
    (ENTRY + 'service_tier = "gold"\nmultiplier = 1', MINE + "service_tier = 'gold' cannot be used: .*'standard'"),
    (ENTRY + 'from = "soon"\nmultiplier = 1', MINE + "from = 'soon' cannot be used: write a day"),
    (ENTRY + "from = 1969-01-01\nmultiplier = 1", MINE + "from = 1969-01-01 cannot be used: write a day"),
    (
        ENTRY + "until = 2026-01-01T00:00:01\nmultiplier = 1",
        MINE + "until = 2026-01-01 00:00:01 .*: write a day from",
    ),
    (ENTRY + 'usd_per_mtok = "1"', MINE + r"usd_per_mtok = '1' cannot be used: write a table such as \{ input"),
    ("[[price]]\nprovider = 3\nmodel = 'x'\nmultiplier = 1", r"provider = 3 cannot be used: write text in quotes"),
    ("[[price]]\nprovider = ''\nmodel = 'x'\nmultiplier = 1", r"provider = '' cannot be used: write a name, or \*"),
    (
        ENTRY + "from = 2026-01-01\nuntil = 2026-01-01\nmultiplier = 1",
        MINE + "from 2026-01-01 must be before until 2026-01-01",
    ),
    (ENTRY + "multiplier = 0.9", MINE + r"there is no price to multiply by 0\.9: genai-prices .* does not list these"),
    (
        '[[price]]\nprovider = "antropic"\nmodel = "*"\nmultiplier = 0.9',
        r"\(provider antropic, model \*\): there is no",
    ),
    (
        '[[price]]\nprovider = "openai"\nmodel = "gpt5"\nmultiplier = 0.9',
        r"\(provider openai, model gpt5\): there is no",
    ),
    (ENTRY + 'like = "nobody"', MINE + r"like = 'nobody' is not in genai-prices \S+; write it as the catalogue does"),
    (ENTRY + 'like = "openai/gpt-99x"', MINE + "like = 'openai/gpt-99x' is not in genai-prices"),
    (
        ENTRY + 'like = "openai"\nfrom = 2026-01-01\n' + ENTRY + 'like = "openai"',
        MINE + "it can never apply, because entry 2 is for the same names",
    ),
]


@pytest.mark.parametrize(("text", "message"), FAULTS)
def test_a_fault_is_one_sentence(tmp_path: Path, text: str, message: str) -> None:
    """A price file that cannot be used raises PriceFileError: the file, the entry, the value, and what to do."""
    with pytest.raises(PriceFileError, match=message) as raised:
        load(tmp_path, text)
    sentence = str(raised.value)
    assert "\n" not in sentence
    assert sentence.endswith(".")


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    """A missing file says where it was looked for and which setting names it."""
    with pytest.raises(PriceFileError, match=r"none\.toml cannot be read \(No such file.*SPENDGAUGE_PRICES"):
        PriceBook.load(overrides=tmp_path / "none.toml")


def test_bytes_that_are_not_text(tmp_path: Path) -> None:
    """A file that is not UTF-8 is refused in words; a byte-order mark is not a fault."""
    path = tmp_path / "prices.toml"
    path.write_bytes(b"\xff\xfe[")
    with pytest.raises(PriceFileError, match="is not valid TOML"):
        PriceBook.load(overrides=path)
    path.write_bytes(b"\xef\xbb\xbf" + MERGED.encode())
    assert PriceBook.load(overrides=path).version.startswith("prices.toml@")


def test_an_empty_file_changes_nothing(tmp_path: Path) -> None:
    """No entries: catalogue prices only."""
    event = call(*HAIKU, input_tokens=1)
    assert load(tmp_path, "").price_event(event) == PriceBook.load().price_event(event)


def test_every_addition_names_its_source_and_day() -> None:
    """What we add to the catalogue says where it is written and when it was read, and names prices that exist."""
    additions = Supplements.load()
    entries = [*additions.alias, *additions.tier, *additions.ratio, *additions.free]
    assert len(entries) > 10
    for entry in entries:
        assert entry.source.startswith(("https://", "genai-prices ")), entry
        assert entry.checked <= NOW.date()
    for tier in additions.tier:
        assert set(tier.prices) <= set(TOKEN_PRICES)
        assert Decimal(0) < tier.multiplier < Decimal(3)
    for ratio in additions.ratio:
        assert {ratio.price, ratio.of, ratio.beside} <= set(TOKEN_PRICES)


def test_the_page_on_prices_says_what_happens(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The price file in docs/prices.md loads, and its examples print what the page says."""
    monkeypatch.delenv("SPENDGAUGE_PRICES", raising=False)
    page = next(page for page in pages() if page.name == "docs/prices.md")
    blocks = list(page.blocks())
    (own,) = [block for block in blocks if block.language == "toml"]
    load(tmp_path, own.text)
    shown = [(code, text) for code, text in pairwise(blocks) if (code.language, text.language) == ("python", "text")]
    assert len(shown) == 2
    for code, text in shown:
        exec(compile(code.text, page.name, "exec"), {})
        assert capsys.readouterr().out == text.text.replace("0.2.3", version("genai-prices"))
