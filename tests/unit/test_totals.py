"""Does ``totals()`` say what the rates and SQL will say of the same events, without being in anybody's way?"""

import subprocess
import sys
import threading
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.prices import ANOTHER_ID, frame_of
from tests.producers import CALL, FakeBroker

from spendgauge.producers import (
    ModelTotals,
    NullProducer,
    RecordingProducer,
    UsageProducer,
    UsageTotals,
    calculate_cost,
    create_producer,
    tariffs,
    totals,
)
from spendgauge.producers.tariffs import load_tariff
from spendgauge.schemas import LEAVES, ConfigurationError, PriceFileError, UnavailableError, UsageEvent
from spendgauge.schemas.money import usd
from spendgauge.schemas.prices import PriceBook

PRICES = '[[price]]\nprovider="anthropic"\nmodel="*"\nusd_per_mtok={input="7.000000000001", output="0.30"}\n'
MODELS = [
    ("anthropic", "claude-haiku-4-5"),
    ("openai", "gpt-5"),
    ("perplexity", "sonar"),
    ("openrouter", "google/gemini-3.8-flash"),
    ("nobody", "knows"),
]


@pytest.fixture(scope="module")
def price_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with an odd price."""
    path = tmp_path_factory.mktemp("prices") / "prices.toml"
    path.write_text(PRICES, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def books(price_file: Path) -> dict[Path | None, PriceBook]:
    """What the worker and the sink price by."""
    return {None: PriceBook.load(), price_file: PriceBook.load(price_file)}


def producer(broker: FakeBroker, **fields: Any) -> UsageProducer:
    """A producer to this broker that does not linger."""
    return UsageProducer(connect=broker.connect, **{"service": "api", "host": "h", "linger_ms": 0, **fields})


def counted(book: PriceBook, events: list[UsageEvent]) -> dict[tuple[str, str], ModelTotals]:
    """Add events up in columns, as the rates do, by model and (under two empty names) in all."""
    if not events:
        return {("", ""): ModelTotals()}
    usage = pl.col("kind") == "usage"
    measures = [
        usage.sum().alias("requests"),
        (usage & (pl.col("status") == "error")).sum().alias("errors"),
        pl.col("cost_picodollars").is_null().sum().alias("unpriced"),
        *(pl.col(name).sum() for name in (*LEAVES, "reasoning_tokens")),
        pl.when(pl.col("cost_picodollars").count() > 0).then(pl.col("cost_picodollars").sum()).alias("cost"),
    ]
    priced = book.price(frame_of(events))
    rows = [*priced.group_by("provider", "model").agg(measures).to_dicts(), *priced.select(measures).to_dicts()]
    return {(row.pop("provider", ""), row.pop("model", "")): _totals(row) for row in rows}


def _totals(row: dict[str, Any]) -> ModelTotals:
    cost = row.pop("cost")
    counts = {name: row.pop(name) for name in (*LEAVES, "reasoning_tokens")}
    searches = counts.pop("web_search_requests")
    return ModelTotals(**row, tokens=counts, web_search_requests=searches, cost_usd=None if cost is None else usd(cost))


def said(found: UsageTotals) -> dict[tuple[str, str], ModelTotals]:
    """Write totals in the same way."""
    whole = ModelTotals(**{name: getattr(found, name) for name in ModelTotals.__dataclass_fields__})
    return {**found.by_model, ("", ""): whole}


@st.composite
def fields(draw: st.DrawFn) -> dict[str, Any]:
    """Draw what a service emits: some of it invalid."""
    provider, model = draw(st.sampled_from(MODELS))
    counts = st.integers(-1, 400_000) if draw(st.integers(0, 9)) == 0 else st.integers(0, 400_000)
    found: dict[str, Any] = {"provider": provider, "model": model, "input_tokens": draw(counts)}
    for leaf in draw(st.sets(st.sampled_from(LEAVES[1:-1]))):
        found[leaf] = draw(counts)
    found["web_search_requests"] = draw(st.sampled_from([0, 0, 0, 3]))
    found["reasoning_tokens"] = draw(st.sampled_from([0, found.get("output_tokens", 0)]))
    found["status"] = draw(st.sampled_from(["ok", "error", "cancelled"]))
    found["service_tier"] = draw(st.sampled_from(["standard", "batch"]))
    if draw(st.booleans()):
        found |= {"kind": "adjustment", "adjusts": ANOTHER_ID}
    return found


@settings(deadline=None, max_examples=60)  # machines are shared
@given(calls=st.lists(fields(), max_size=12), asked=st.integers(0, 12), own=st.booleans())
def test_totals_are_what_the_rates_say(
    books: dict[Path | None, PriceBook], price_file: Path, calls: list[dict[str, Any]], asked: int, own: bool
) -> None:
    """Requests, errors, tokens of each class, cost and what is unpriced, by model and in all, to the picodollar: as
    columns add them up. So for the real producer and the recording one, and whenever somebody asks in between."""
    prices = price_file if own else None
    broker, recording = FakeBroker(), RecordingProducer(prices=prices)
    with producer(broker, prices=prices) as real:
        for number, call in enumerate(calls):
            recording.emit(**call)
            real.emit(**call)
            if number == asked:
                assert real.totals().requests <= number + 1
    expected = counted(books[prices], broker.events)
    assert said(real.totals()) == expected
    assert said(recording.totals()) == counted(books[prices], recording.events)


@pytest.mark.parametrize("durability", ["memory", "process", "disk"])
def test_only_accepted_events_count(broker: FakeBroker, tmp_path: Path, durability: str) -> None:
    """What is valid counts, broker or not; what is invalid, dropped or too late does not."""
    broker.up = False
    emitter = producer(broker, durability=durability, spool_dir=str(tmp_path), queue_events=8)
    for tokens in (10, -1, 20):
        emitter.emit(**{**CALL, "input_tokens": tokens})
    while emitter.stats().accepted < 2 or emitter.stats().invalid < 1:
        threading.Event().wait(0.005)
    found = emitter.totals()
    assert (found.requests, found.tokens["input_tokens"], found.total_tokens) == (2, 30, 34)
    assert found.cost_usd == Decimal("0.000050")  # 30 x 1 + 4 x 5 USD per million
    broker.up = True
    assert emitter.close(10)
    emitter.emit(**CALL)
    assert emitter.totals() == found


def test_what_is_dropped_does_not_count(broker: FakeBroker) -> None:
    """Of a full queue's events those count that were taken."""
    broker.up = False
    emitter = producer(broker, queue_events=5)
    for _ in range(50):
        emitter.emit(**CALL)
    broker.up = True
    assert emitter.close(10)
    assert emitter.stats().dropped > 0
    assert emitter.totals().requests == emitter.stats().delivered == len(broker.events)


def test_threads_and_a_reader(broker: FakeBroker) -> None:
    """Eight threads emit while one asks: what it is told never goes down, and at the end nothing is missing."""
    emitter, seen = producer(broker), list[int]()
    threads = [threading.Thread(target=lambda: [emitter.emit(**CALL) for _ in range(250)]) for _ in range(8)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        seen.append(emitter.totals().requests)
    assert emitter.close(10)
    assert seen == sorted(seen)
    assert (emitter.totals().requests, emitter.totals().cost_usd) == (2_000, Decimal("0.04"))


def test_a_child_begins_at_zero(broker: FakeBroker) -> None:
    """After a fork the totals are those of the new process."""
    emitter = producer(broker)
    emitter.emit(**CALL)
    assert emitter.flush(10)
    assert emitter.totals().requests == 1
    emitter.on_fork()
    assert emitter.totals() == UsageTotals()
    emitter.emit(**CALL)
    assert emitter.close(10)
    assert emitter.totals().requests == 1


def test_nothing_emitted_is_nothing_spent() -> None:
    """A NullProducer and a fresh one say zeros: no request, no token, no cost, no model."""
    nothing = NullProducer()
    nothing.emit(**CALL)
    assert nothing.totals() == RecordingProducer().totals() == UsageTotals()
    assert (UsageTotals().cost_usd, UsageTotals().total_tokens, len(UsageTotals().by_model)) == (Decimal(0), 0, 0)


def test_what_nobody_has_a_price_for_stands_apart() -> None:
    """An unknown model's requests are named with their tokens and without a cost, and are not in the sum."""
    recording = RecordingProducer()
    recording.emit(**CALL)
    recording.emit(provider="me", model="mine", output_tokens=7)
    found = recording.totals()
    assert (found.requests, found.unpriced, found.cost_usd) == (2, 1, Decimal("0.00002"))
    assert [names for names, part in found.by_model.items() if part.unpriced] == [("me", "mine")]
    assert (found.by_model["me", "mine"].cost_usd, found.by_model["me", "mine"].total_tokens) == (None, 7)


def test_nobody_waits_for_prices_for_ever(broker: FakeBroker, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nobody asks, the prices are read once many events wait for them, and what waits is bounded."""
    monkeypatch.setattr(totals, "_MAX_WAITING", 3)
    monkeypatch.setattr(totals, "_AT_ONCE", 1)
    emitter = producer(broker)
    for _ in range(10):
        emitter.emit(**CALL)
    assert emitter.close(10)
    assert len(emitter._totals._lines) <= 3
    assert emitter.totals().cost_usd == Decimal("0.0002")


def test_invented_models_do_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Past so many models the rest is counted as one, and nothing is left out of the whole."""
    monkeypatch.setattr(totals, "_MAX_MODELS", 3)
    recording = RecordingProducer()
    for number in range(10):
        recording.emit(provider="me", model=f"made-up-{number}", input_tokens=1)
    found = recording.totals()
    assert len(found.by_model) == 4
    assert (found.requests, found.by_model["other", "other"].requests) == (10, 7)


def test_a_price_file_with_a_slip_stops_the_service_at_its_start(tmp_path: Path, broker: FakeBroker) -> None:
    """A file that cannot be used is one sentence at construction, not a cost that is missing later."""
    path = tmp_path / "prices.toml"
    path.write_text("[[price]]\nprovider = 'x'")
    with pytest.raises(PriceFileError, match="model is missing"):
        producer(broker, prices=path)
    with pytest.raises(PriceFileError, match=r"none\.toml cannot be read"):
        RecordingProducer(prices=tmp_path / "none.toml")


def test_totals_that_are_switched_off_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without totals nothing is counted, and asking is an error: zeros would be a lie."""
    monkeypatch.setenv("SPENDGAUGE_TOTALS", "0")
    monkeypatch.setenv("SPENDGAUGE_KAFKA", "127.0.0.1:1")
    emitter = create_producer(service="api")
    with pytest.raises(ConfigurationError, match="SPENDGAUGE_TOTALS"):
        emitter.totals()
    assert emitter.close(0)


def test_without_a_catalogue_all_is_counted_and_unpriced(
    broker: FakeBroker, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Where prices cannot be read, requests and tokens are right, nothing has a cost, and the log says why, once."""
    monkeypatch.setattr(tariffs, "_loaded", tariffs._Loaded())
    monkeypatch.setitem(sys.modules, "genai_prices.data", None)
    emitter = producer(broker)
    emitter.emit(**CALL)
    assert emitter.close(10)
    for _ in range(2):
        found = emitter.totals()
        assert (found.requests, found.total_tokens, found.unpriced, found.cost_usd) == (1, 12, 1, None)
    assert [line.count("pip install genai-prices") for line in caplog.messages] == [1]
    with pytest.raises(UnavailableError, match="there is no price catalogue"):
        calculate_cost("gpt-5", {})


def test_a_child_forked_amid_the_reading_reads_no_prices(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fork while another thread imports the catalogue leaves an import in the child that would never end: there it is
    refused. A fork at any other time changes nothing."""
    loaded = tariffs._Loaded()
    monkeypatch.setattr(tariffs, "_loaded", loaded)
    loaded.on_fork()
    assert load_tariff().version.startswith("genai-prices")
    with loaded.reading:
        loaded.on_fork()
    with pytest.raises(UnavailableError, match="forked while its parent read them"):
        load_tariff()


def test_a_real_child_counts_and_prices_for_itself() -> None:
    """After os.fork the child's totals begin at zero and are priced; the parent's stay."""
    code = (
        "import os; from spendgauge.producers import UsageProducer\n"
        "def emitted():\n"
        "    before = producer.stats().accepted\n"
        "    producer.emit(provider='anthropic', model='claude-haiku-4-5', input_tokens=1_000_000)\n"
        "    while producer.stats().accepted == before: pass\n"
        "    found = producer.totals(); return found.requests, str(found.cost_usd)\n"
        "producer = UsageProducer(service='api', kafka='127.0.0.1:1', exit_seconds=0)\n"
        "one = emitted(); child = os.fork(); two = emitted()\n"
        "if not child: os._exit(0 if one == two == (1, '1.000000000000') else 1)\n"
        "print(os.waitpid(child, 0)[1], two); producer.close(0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "0 (2, '2.000000000000')\n"


def test_emitting_alone_reads_no_prices() -> None:
    """A producer whose totals nobody asks for loads no catalogue."""
    code = (
        "import sys; from spendgauge.producers import UsageProducer; "
        "producer = UsageProducer(service='api', kafka='127.0.0.1:1'); "
        "producer.emit(provider='p', model='m'); producer.close(0); "
        "print([name for name in sys.modules if name.startswith(('genai_prices', 'polars', 'numpy', 'tomllib'))])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
