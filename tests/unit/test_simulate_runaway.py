"""Does an agent run away when, as fast and as long as it was told to, and in no other way than the seed says?"""

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from spendgauge.deploy.simulation.day import DAY_MS, simulate_day
from spendgauge.deploy.simulation.runaway import Runaway, RunawayCalls, draw_runaway_calls
from spendgauge.schemas import ConfigurationError
from spendgauge.schemas.prices import PriceBook

START_MS = 1_767_225_600_000
USD = 10**12


@pytest.fixture(scope="module")
def book() -> PriceBook:
    """The built-in prices."""
    return PriceBook.load()


def drawn(text: str, book: PriceBook, *, seed: int = 1) -> RunawayCalls:
    return draw_runaway_calls(Runaway.parse(text), seed=seed, book=book, at_ms=START_MS)


def day(events: int, runaway: RunawayCalls | None) -> pl.DataFrame:
    return pl.concat(simulate_day(events, start_ms=START_MS, runaway=runaway))


@pytest.mark.parametrize("agent", ["coder", "grammar-check", "researcher"])
def test_each_minute_costs_what_was_asked(book: PriceBook, agent: str) -> None:
    """From its beginning to its end every minute costs the amount but for one call, in one session of many calls."""
    calls = day(0, drawn(f"{agent}:3:2h:7m", book))
    priced = book.price(calls.with_columns(kind=pl.lit("usage")))
    minute = (pl.col("occurred_at_ms") - START_MS) // 60_000
    spent = priced.group_by(minute.alias("minute")).agg(pl.col("cost_picodollars").sum(), pl.len()).sort("minute")
    largest = priced["cost_picodollars"].max()
    assert isinstance(largest, int)
    assert largest < USD // 3
    assert spent["minute"].to_list() == list(range(120, 127))
    assert all(abs(cost - 3 * USD) <= largest for cost in spent["cost_picodollars"])
    assert set(calls["agent"]) == {agent}
    assert calls["session_id"].n_unique() == 1
    assert calls["session_id"][0] != ""


def test_it_takes_the_place_of_the_days_own(book: PriceBook) -> None:
    """The day has its usual events and those of the runaway, in the order of time, and nobody else runs away."""
    runaway = drawn("coder:2:9h:4m", book)
    with_it, without = day(3_000, runaway), day(3_000, RunawayCalls.none())
    assert len(without) == 3_000
    assert len(with_it) == 3_000 + len(runaway.calls)
    assert with_it["occurred_at_ms"].is_sorted()
    (session,) = set(with_it["session_id"]) - set(without["session_id"])
    assert_frame_equal(with_it.filter(pl.col("session_id") != session), without)


def test_the_seed_decides_it(book: PriceBook) -> None:
    """The same seed draws the same calls, another one others."""
    first, again, other = (drawn("coder:1:1h:2m", book, seed=seed).calls for seed in (4, 4, 5))
    assert_frame_equal(first, again)
    assert not first.equals(other)


def test_weeks_are_cut_into_days(book: PriceBook) -> None:
    """What runs on over midnight is there on both days, once."""
    runaway = Runaway.parse("coder:1:1d23h58m:4m", span_seconds=4 * 86_400)
    calls = draw_runaway_calls(runaway, seed=1, book=book, at_ms=START_MS)
    parts = [calls.of_day(number).calls for number in range(4)]
    assert [len(part) > 0 for part in parts] == [False, True, True, False]
    moved = pl.concat(part.with_columns(pl.col("at_ms") + n * DAY_MS) for n, part in enumerate(parts))
    assert_frame_equal(moved, calls.calls)


def test_what_is_left_out_is_as_usual() -> None:
    """An agent alone runs away with 6 USD a minute, after five minutes, for ten."""
    assert Runaway.parse("coder") == Runaway("coder", 6 * USD, 300, 600)
    assert Runaway.parse("coder:0.5:1h30m") == Runaway("coder", USD // 2, 5400, 600)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("nobody", "'nobody' is no agent of the simulation: answerer, coder,"),
        ("coder:much", "spends 'much' USD a minute, and must spend 0.01 to 10,000"),
        ("coder:0", "spends '0' USD a minute"),
        ("coder:nan", "spends 'nan' USD a minute"),
        ("coder:1:soon", "says 'soon' for a time; write 90s, 5m, 2h or 1d12h"),
        ("coder:1:5m:0s", "must last some time"),
        ("coder:1:23h:2h", "be over within 24h"),
        ("coder:1:5m:5m:5m", "has too many parts"),
    ],
)
def test_a_slip_is_one_sentence(text: str, said: str) -> None:
    """What is wrong, with which value, and what to write."""
    with pytest.raises(ConfigurationError) as error:
        Runaway.parse(text)
    assert said in str(error.value)


def test_a_model_without_a_price_cannot_spend(book: PriceBook) -> None:
    """An agent on a model of one's own is refused, with the others named."""
    with pytest.raises(ConfigurationError, match="'experiment-7' calls house-summariser-7b, which has no known price"):
        drawn("experiment-7", book)
