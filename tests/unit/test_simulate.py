"""Is the simulated day realistic, and the same whenever it is asked for?"""

from itertools import pairwise

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from spendgauge.deploy.simulation.day import DAY_MS, simulate_day
from spendgauge.deploy.simulation.world import load_world

START_MS = 1_767_225_600_000
HOUR_MS = 3_600_000
PROMPT = ("input_tokens", "cache_read_tokens", "cache_write_5m_tokens", "cache_write_1h_tokens")


def day(events: int, *, seed: int = 1, run: str = "") -> pl.DataFrame:
    return pl.concat(simulate_day(events, start_ms=START_MS, seed=seed, run=run))


@pytest.fixture(scope="module")
def usual() -> pl.DataFrame:
    """One day of a size that shows all of its features."""
    return day(60_000)


def test_the_seed_decides_everything() -> None:
    """The same seed and run give the same events."""
    assert_frame_equal(day(3_000, seed=7, run="a"), day(3_000, seed=7, run="a"))
    assert not day(3_000, seed=7, run="a").equals(day(3_000, seed=8, run="a"))


def test_another_run_is_another_day_of_the_same_people() -> None:
    """A second run repeats the numbers, in sessions and for entities that the first one did not have."""
    first, second = day(3_000, run="a"), day(3_000, run="b")
    assert_frame_equal(first.select(PROMPT), second.select(PROMPT))
    for name in ("session_id", "entity_id"):
        assert set(first[name]) & set(second[name]) == {""}
    assert set(first["tenant"]) == set(second["tenant"])


@pytest.mark.parametrize("events", [0, 1, 99, 100, 70_000, 150_001])
def test_a_day_has_as_many_events_as_asked(events: int) -> None:
    """The number of events is exact, they come in the order of time, and all lie within the day."""
    frames = list(simulate_day(events, start_ms=START_MS))
    times = pl.concat(frames)["occurred_at_ms"]
    assert len(times) == events
    assert times.is_sorted()
    assert times.is_between(START_MS, START_MS + DAY_MS - 1).all()
    assert max(map(len, frames)) < 100_000


def test_contexts_grow_until_they_are_compacted(usual: pl.DataFrame) -> None:
    """Within a session no prompt is shorter than the one before, unless that one was near the limit."""
    limit = next(w.context_limit for w in load_world().workloads if w.feature == "pair")
    calls = usual.filter(feature="pair", status="ok").with_columns(prompt=pl.sum_horizontal(PROMPT))
    sessions = calls.group_by("session_id", maintain_order=True).agg("prompt")["prompt"].to_list()
    steps = [(before, after) for prompts in sessions for before, after in pairwise(prompts)]
    assert len([True for before, after in steps if after > before]) > len(steps) * 99 // 100
    assert all(before > limit // 2 for before, after in steps if after < before)
    assert max(map(len, sessions)) > 100


def test_a_cache_holds_only_what_was_sent_before(usual: pl.DataFrame) -> None:
    """No call reads more from the cache than the longest prompt that its session had before."""
    calls = usual.filter(pl.col("session_id") != "").with_columns(prompt=pl.sum_horizontal(PROMPT))
    longest = pl.col("prompt").cum_max().shift(1, fill_value=0).over("session_id")
    assert calls.filter(pl.col("cache_read_tokens") > longest).height == 0
    assert 2 * calls.select(pl.col("cache_read_tokens").sum()).item() > _prompts(calls)


def test_an_agent_runs_away(usual: pl.DataFrame) -> None:
    """For less than two hours one session makes hundreds of calls, and takes in more than all others together."""
    runaway = usual.filter(agent="refactor-bot").group_by("session_id").len().sort("len").row(-1, named=True)
    calls = usual.filter(session_id=runaway["session_id"])
    assert runaway["len"] == 600
    assert calls["occurred_at_ms"].max() - calls["occurred_at_ms"].min() < 2 * HOUR_MS  # type: ignore[operator]  # polars says: any scalar
    meanwhile = usual.filter(
        pl.col("occurred_at_ms").is_between(calls["occurred_at_ms"].min(), calls["occurred_at_ms"].max()),
        pl.col("session_id") != runaway["session_id"],
    )
    assert _prompts(calls) > _prompts(meanwhile)


def test_load_follows_the_hours(usual: pl.DataFrame) -> None:
    """Office services are busy by day, batches by night."""
    hours = usual.with_columns(hour=(pl.col("occurred_at_ms") - START_MS) // HOUR_MS)
    office = hours.filter(service="review-api").group_by("hour").len().sort("hour")["len"].to_list()
    assert min(office[9:17]) > 3 * max(office[0:4])
    night = hours.filter(service="night-batch", hour=2).height
    assert night > 3 * hours.filter(service="night-batch", hour=14).height


def test_calls_fail_sometimes(usual: pl.DataFrame) -> None:
    """Failed calls use nothing and are repeated; cancelled ones use less; there are few of both."""
    failed = usual.filter(status="error")
    assert 0.002 < len(failed) / len(usual) < 0.03
    assert failed.select(*PROMPT, "output_tokens").sum().row(0) == (0, 0, 0, 0, 0)
    assert (failed["error_type"] != "").all()
    assert usual.filter(pl.col("attempt") > 1).height > 0
    assert usual.filter(status="cancelled").height > 0


def test_a_day_shows_what_there_is_to_see(usual: pl.DataFrame) -> None:
    """Several services, hosts, providers, features and customers; a model without a price; audio, searches, scores."""
    assert usual["service"].n_unique() == 8
    assert usual["host"].n_unique() > 10
    assert {"anthropic", "openai", "google", "aws.bedrock", "internal"} == set(usual["provider"])
    assert usual["feature"].n_unique() > 10
    for name in ("input_audio_tokens", "web_search_requests", "reasoning_tokens", "cache_write_1h_tokens"):
        assert usual[name].sum() > 0
    assert usual["quality_score"].is_not_null().any()


def _prompts(calls: pl.DataFrame) -> int:
    return int(calls.select(pl.sum_horizontal(PROMPT).sum()).item())
